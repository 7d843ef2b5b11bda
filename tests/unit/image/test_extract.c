/* Extraction by threads: the same tree as without, whatever the order of names, and the
 * lines for verification without looking at it. */
#include "unit/image/image_test.h"

#include <sys/resource.h>

#include "image/compose.h"
#include "image/extract.h"
#include "image/layerstream.h"
#include "image/rootsums.h"
#include "image/source.h"
#include "image/treesum.h"
#include "image/treewriter.h"
#include "image/unpack.h"

#define ROUNDS 150
#define LAYERS 3

static struct error err;
static struct image_progress progress;

static int setup(void **state)
{
    error_clear(&err);
    progress = (struct image_progress){0};
    return test_setup(state);
}

/* The tar as a file without a name, given to the blob. */
static struct blob *blob_of(const struct buf *tar)
{
    static int fd = -1;
    struct blob *b;

    if (fd >= 0)
        close(fd);
    fd = openat(test_dir.fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, tar->data ? tar->data : "", tar->len), tar->len);
    b = blob_of_fd(fd, &err);
    assert_non_null(b);
    return b;
}

/* By threads, into test_dir/<dir>/tree. */
static int by_threads(const struct buf *tar, const char *dir, struct extract_layer *l)
{
    struct extract_options options = {.progress = &progress, .total = tar->len};
    struct extract *x = extract_new(&options, &err);
    int rc = 0;

    assert_non_null(x);
    test_mkdir(dir);
    *l = (struct extract_layer){.blob = blob_of(tar), .tree = "tree"};
    l->dirfd = test_open_dir(dir);
    extract_start(x, l);
    if (!extract_wait(x, &err)) {
        rc = -1;
    } else if (l->failed) {
        err = l->failure;
        rc = -1;
    }
    extract_free(&x);
    return rc;
}

/* One entry after the other, in this thread, into test_dir/<dir>. */
static int by_one(const struct buf *tar, const char *dir, struct layernotes *notes)
{
    const struct layerstream_options options = {.no_hash = true};
    struct layerstream *ls = layerstream_new(blob_of(tar), &options, &err);
    struct treewriter w;
    int tree, rc;

    assert_non_null(ls);
    test_mkdir(dir);
    tree = test_open_dir(dir);
    assert_int_equal(fchmod(tree, 0755), 0);
    treewriter_init(&w, tree);
    rc = unpack(ls, &w, &err);
    if (notes) {
        *notes = w.notes;
        w.notes = (struct layernotes)LAYERNOTES_INIT;
    }
    treewriter_release(&w);
    layerstream_free(&ls);
    close(tree);
    return rc;
}

static void print_difference(void *arg, const char *how, const char *path)
{
    print_message("%s: %s /%s\n", (const char *)arg, how, path);
}

static void assert_same(const struct treesum *a, const struct treesum *b,
                        const char *what)
{
    char name[64];

    snprintf(name, sizeof(name), "%s", what);
    assert_int_equal(treesum_compare(a, b, print_difference, name), 0);
}

static void walk(struct treesum *t, int dirfd)
{
    struct treesum_options o = {0};

    *t = (struct treesum)TREESUM_INIT;
    assert_ok(treesum_walk(t, dirfd, &o, &err));
}

static void walk_at(struct treesum *t, const char *dir)
{
    int fd = test_open_dir(dir);

    walk(t, fd);
    close(fd);
}

/* The layer's sums file has the lines that a walk over its tree finds. */
static void assert_lines(const struct extract_layer *l, const char *tree)
{
    struct treesum found, told = TREESUM_INIT;

    walk_at(&found, tree);
    assert_int_equal(treesum_read(&told, l->dirfd, &l->sums, &err), 0);
    assert_same(&found, &told, tree);
    treesum_release(&found);
    treesum_release(&told);
}

static void add_zeros(struct buf *b, size_t n)
{
    static const char zeros[4096];

    for (; n > 0; n -= n < sizeof(zeros) ? n : sizeof(zeros))
        buf_add(b, zeros, n < sizeof(zeros) ? n : sizeof(zeros));
}

static void sizes_around_every_border(void **state)
{
    static const size_t sizes[] = {0,       1,       511,     512,    513,
                                   262143,  262144,  262145,  524289, 1048575,
                                   1048576, 1048577, 3000000, 2097152};
    struct buf tar = BUF_INIT, data = BUF_INIT;
    struct extract_layer l;
    struct digest diff;
    struct stat st;
    size_t i, k;

    (void)state;
    for (k = 0; k < 3000000; k++)
        buf_addc(&data, (char)(k * 2654435761u >> 13));
    for (i = 0; i < array_size(sizes); i++) {
        char name[32];

        snprintf(name, sizeof(name), "d%zu/f%zu", i % 3, sizes[i]);
        tar_header(&tar, name, '0', 0640, sizes[i], NULL);
        tar_data(&tar, data.data, sizes[i]);
    }
    tar_end(&tar);
    assert_ok(by_threads(&tar, "l", &l));
    assert_ok(digest_of(tar.data, tar.len, &diff, &err));
    assert_string_equal(l.diff_id.hex, diff.hex);
    assert_int_equal(l.stored, tar.len);
    assert_int_equal(l.plain, tar.len);
    assert_int_equal(l.entries, array_size(sizes));
    assert_lines(&l, "l/tree");
    for (i = 0; i < array_size(sizes); i++) {
        char name[64];

        snprintf(name, sizeof(name), "l/tree/d%zu/f%zu", i % 3, sizes[i]);
        assert_int_equal(fstatat(test_dir.fd, name, &st, 0), 0);
        assert_int_equal(st.st_size, sizes[i]);
        assert_int_equal(st.st_mode, S_IFREG | 0640);
        assert_int_equal(st.st_mtime, TAR_MTIME);
    }
    close(l.dirfd);
    buf_release(&tar);
    buf_release(&data);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

/* "a", "b/c", ...: so few names that entries meet all the time. */
static void random_name(unsigned *seed, char *out, size_t size)
{
    static const char *const parts[] = {"a", "b", "c", "a-b", "d"};
    unsigned depth = 1 + next_random(seed) % 3;

    *out = '\0';
    while (depth-- > 0) {
        size_t n = strlen(out);

        snprintf(out + n, size - n, "%s%s", n ? "/" : "",
                 parts[next_random(seed) % array_size(parts)]);
    }
}

/* At most 2 + most entries; one of `hard` possible hard links is there. */
static void random_layer(unsigned *seed, struct buf *tar, unsigned hard, unsigned most)
{
    unsigned n = 3 + next_random(seed) % most;
    char name[64], target[64], text[64];

    while (n-- > 0) {
        random_name(seed, name, sizeof(name));
        random_name(seed, target, sizeof(target));
        snprintf(text, sizeof(text), "%u", next_random(seed));
        switch (next_random(seed) % 9) {
        case 0:
        case 1:
        case 2:
            tar_file(tar, name, next_random(seed) % 2 ? 0644 : 0755, text);
            break;
        case 3:
        case 4:
            tar_dir(tar, name, next_random(seed) % 2 ? 0755 : 0700);
            break;
        case 5:
            if (next_random(seed) % hard)
                break;
            tar_hardlink(tar, name, target);
            break;
        case 6: {
            const char *slash = strrchr(name, '/');

            snprintf(text, sizeof(text), "%.*s.wh.%s",
                     slash ? (int)(slash - name) + 1 : 0, name,
                     next_random(seed) % 4 ? "a" : ".wh..opq");
            tar_file(tar, text, 0644, "");
            break;
        }
        default:
            tar_symlink(tar, name, target);
        }
    }
    tar_end(tar);
}

/* Threads and no threads agree on tars in which names meet, and so do the lines. */
static void names_meet_in_any_order(void **state)
{
    unsigned seed = 1, good = 0, i;

    (void)state;
    for (i = 0; i < ROUNDS; i++) {
        struct treesum one, many;
        struct extract_layer l;
        struct buf tar = BUF_INIT;
        struct error first;
        int rc, rc_threads;

        random_layer(&seed, &tar, 1, 25);
        error_clear(&err);
        rc = by_one(&tar, "one", NULL);
        first = err;
        error_clear(&err);
        rc_threads = by_threads(&tar, "many", &l);
        if (rc != rc_threads)
            fail_msg("round %u: %d (%s), with threads %d (%s)", i, rc, first.text,
                     rc_threads, err.text);
        if (rc == 0) {
            walk_at(&one, "one");
            walk_at(&many, "many/tree");
            assert_same(&one, &many, "with threads");
            assert_lines(&l, "many/tree");
            treesum_release(&one);
            treesum_release(&many);
            good++;
        }
        close(l.dirfd);
        buf_release(&tar);
        error_clear(&err);
        assert_ok(pathfd_empty_dir(test_dir.fd, &err));
    }
    /* neither kind of tar is rare */
    assert_true(good > ROUNDS / 5 && good < ROUNDS);
}

static void compose_and_compare(unsigned *seed, unsigned *told)
{
    struct rootsums sums = ROOTSUMS_INIT;
    struct treesum found;
    struct compose c;
    struct digest sum;
    int root, i, rc = 0;

    test_mkdir("root");
    root = test_open_dir("root");
    compose_init(&c, root, NULL);
    for (i = 0; rc == 0 && i < LAYERS; i++) {
        struct layernotes notes = LAYERNOTES_INIT;
        struct extract_layer l;
        struct buf tar = BUF_INIT;
        char dir[16], tree[32];
        int treefd;

        snprintf(dir, sizeof(dir), "l%d", i);
        snprintf(tree, sizeof(tree), "l%d/tree", i);
        random_layer(seed, &tar, 6, 6);
        rc = by_threads(&tar, dir, &l);
        if (rc == 0) {
            treefd = test_open_dir(tree);
            assert_ok(layernotes_read(&notes, l.dirfd, &err));
            assert_ok(rootsums_add(&sums, l.dirfd, &l.sums, &notes, &err));
            rc = compose_layer(&c, treefd, &notes, &err);
            close(treefd);
        }
        layernotes_release(&notes);
        close(l.dirfd);
        buf_release(&tar);
    }
    if (rc == 0 && !sums.unknown) {
        walk(&found, root);
        assert_same(&found, &sums.lines, "composed");
        treesum_release(&found);
        ++*told;
    }
    if (rc == 0) {
        assert_ok(rootsums_write(&sums, root, root, NULL, &sum, &err));
        assert_true(exists(root, "sums"));
    }
    rootsums_release(&sums);
    compose_release(&c);
    close(root);
    error_clear(&err);
    assert_ok(pathfd_empty_dir(test_dir.fd, &err));
}

/* The lines of a composed tree follow from those of its layers. */
static void composed_lines_need_no_look(void **state)
{
    unsigned seed = 7, told = 0, i;

    (void)state;
    for (i = 0; i < ROUNDS; i++)
        compose_and_compare(&seed, &told);
    assert_true(told > ROUNDS / 5);
}

static void links_to_links_have_the_same_line(void **state)
{
    struct buf tar = BUF_INIT;
    struct extract_layer l;
    char from[16] = "f", to[16];
    int i;

    (void)state;
    tar_file(&tar, "f", 0644, "text");
    for (i = 0; i < 40; i++) {
        snprintf(to, sizeof(to), "l%d", i);
        tar_hardlink(&tar, to, from);
        memcpy(from, to, sizeof(from));
    }
    tar_end(&tar);
    assert_ok(by_threads(&tar, "l", &l));
    assert_lines(&l, "l/tree");
    close(l.dirfd);
    buf_release(&tar);
}

/* A file that a thread cannot write ends in one error that names it. */
static void a_failing_thread_is_told(void **state)
{
    struct rlimit limit, old;
    struct buf tar = BUF_INIT;
    struct extract_layer l;
    int rc;

    (void)state;
    tar_file(&tar, "d/small", 0644, "text");
    tar_header(&tar, "d/big", '0', 0644, 4000000, NULL);
    add_zeros(&tar, 4000000);
    tar_pad(&tar);
    tar_file(&tar, "d/later", 0644, "text");
    tar_end(&tar);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){1000000, old.rlim_max};
    close(test_open_dir("."));
    /* the tar itself is written before the limit */
    {
        struct extract_options options = {.progress = &progress, .total = tar.len};
        struct extract *x = extract_new(&options, &err);

        assert_non_null(x);
        test_mkdir("l");
        l = (struct extract_layer){.blob = blob_of(&tar), .tree = "tree"};
        l.dirfd = test_open_dir("l");
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        extract_start(x, &l);
        assert_ptr_equal(extract_wait(x, &err), &l);
        extract_free(&x);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        rc = l.failed;
    }
    assert_true(rc);
    assert_int_equal(l.failure.errnum, EFBIG);
    err = l.failure;
    assert_mentions("entry \"d/big\": cannot write");
    close(l.dirfd);
    buf_release(&tar);
}

static int always(void *arg)
{
    (void)arg;
    return 1;
}

static void stopping_stops(void **state)
{
    struct buf tar = BUF_INIT;
    struct extract_layer l;

    (void)state;
    tar_file(&tar, "f", 0644, "text");
    tar_end(&tar);
    progress.cancelled = always;
    assert_int_equal(by_threads(&tar, "l", &l), -1);
    assert_int_equal(err.errnum, ECANCELED);
    close(l.dirfd);
    buf_release(&tar);
}

static void a_huge_hole_costs_nothing(void **state)
{
    static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                              "35 GNU.sparse.realsize=68719476736\n";
    struct buf tar = BUF_INIT;
    struct extract_layer l;
    char block[512];
    struct stat st;

    /* 64 GiB with one block near its end, as lastlog has for large uids */
    (void)state;
    tar_header(&tar, "pax", 'x', 0644, strlen(pax), NULL);
    tar_data(&tar, pax, strlen(pax));
    tar_header(&tar, "lastlog", '0', 0644, 1024, NULL);
    tar_data(&tar, "1\n68719470000\n512\n", 18);
    memset(block, 'z', sizeof(block));
    tar_data(&tar, block, sizeof(block));
    tar_end(&tar);
    assert_ok(by_threads(&tar, "l", &l));
    assert_int_equal(fstatat(test_dir.fd, "l/tree/lastlog", &st, 0), 0);
    assert_int_equal(st.st_size, 68719476736);
    assert_true(st.st_blocks * 512 < 1024 * 1024);
    assert_lines(&l, "l/tree");
    close(l.dirfd);
    buf_release(&tar);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_around_every_border),   TEST(names_meet_in_any_order),
        TEST(composed_lines_need_no_look), TEST(links_to_links_have_the_same_line),
        TEST(a_failing_thread_is_told),    TEST(stopping_stops),
        TEST(a_huge_hole_costs_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
