#include "image/archive_walker.h"

#include <archive_entry.h>
#include <limits.h>
#include <zlib.h>

#include "image/source.h"
#include "unit/image/image_test.h"
#include "unit/image/tar_builder.h"

#define LONG_NAME "a-long-name/of-a-member"

static struct error err;

static int open_test(const char *name)
{
    int fd = openat(test_dir.fd, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* "first", one with a pax header, "twice" in two versions. */
static void make_archive(struct buf *tar)
{
    char large[20000];

    memset(large, 'x', sizeof(large));
    tar_header(tar, "first", '0', 0644, sizeof(large), NULL);
    tar_data(tar, large, sizeof(large));
    tar_file(tar, "twice", 0644, "old");
    tar_pax(tar, "path", LONG_NAME);
    tar_file(tar, "short", 0644, "behind a pax header");
    tar_symlink(tar, "link", "twice");
    tar_file(tar, "twice", 0644, "the last one counts");
    /* what GNU tar makes of a file that is named twice */
    tar_hardlink(tar, "./twice", "twice");
    tar_end(tar);
}

static void write_archives(void)
{
    struct buf tar = BUF_INIT;
    gzFile gz;

    make_archive(&tar);
    test_write("plain.tar", tar.data, tar.len);
    gz = gzopen(test_path("packed.tar"), "wb");
    assert_non_null(gz);
    assert_int_equal(gzwrite(gz, tar.data, (unsigned)tar.len), (int)tar.len);
    assert_int_equal(gzclose(gz), Z_OK);
    buf_release(&tar);
}

/* The position of the last member of that name that is no link. */
static uint64_t position_of(int fd, const char *want)
{
    struct walker *w = walker_new(fd, 0, &err);
    struct archive_entry *entry;
    uint64_t found = UINT64_MAX;
    char name[PATH_MAX];
    int rc;

    assert_non_null(w);
    while ((rc = walker_next(w, &entry, name, &err)) == 0)
        if (strcmp(name, want) == 0 && !archive_entry_hardlink(entry))
            found = walker_position(w);
    assert_int_equal(rc, 1);
    walker_free(&w);
    return found;
}

static void a_walk_begins_at_any_member(void **state)
{
    static const char *const names[] = {"first", LONG_NAME, "twice"};
    int fd;

    (void)state;
    write_archives();
    fd = open_test("plain.tar");
    for (size_t i = 0; i < 3; i++) {
        struct walker *w = walker_new(fd, position_of(fd, names[i]), &err);
        struct archive_entry *entry;
        char name[PATH_MAX], data[64];

        assert_non_null(w);
        assert_int_equal(walker_next(w, &entry, name, &err), 0);
        assert_true(walker_is_plain(w));
        assert_string_equal(name, names[i]);
        assert_true(walker_position(w) == position_of(fd, names[i]));
        assert_true(walker_data(w, data, sizeof(data), &err) > 0);
        assert_true(data[0] == "xbt"[i]);
        walker_free(&w);
    }
    close(fd);
}

static void positions_in_a_compressed_archive_are_the_same(void **state)
{
    int plain, packed;

    (void)state;
    write_archives();
    plain = open_test("plain.tar");
    packed = open_test("packed.tar");
    assert_true(position_of(plain, "twice") == position_of(packed, "twice"));
    close(plain);
    close(packed);
}

static void assert_member(struct source *s, const char *name, const char *expected)
{
    struct blob *blob = NULL;
    char data[64] = "";
    ssize_t n;

    assert_int_equal(source_open(s, name, &blob, &err), 0);
    n = blob_read(blob, data, sizeof(data) - 1, &err);
    assert_int_equal(n, (ssize_t)strlen(expected));
    assert_string_equal(data, expected);
    blob_free(&blob);
}

static void the_last_member_of_a_name_counts(void **state)
{
    static const char *const files[] = {"plain.tar", "packed.tar"};

    (void)state;
    write_archives();
    for (size_t i = 0; i < 2; i++) {
        struct source s = SOURCE_INIT;
        struct blob *blob = NULL;
        int fd = open_test(files[i]);

        /* with and without an index of its contents */
        source_archive_init(&s, fd);
        assert_member(&s, "link", "the last one counts");
        source_release(&s);
        source_archive_init(&s, fd);
        assert_int_equal(source_archive_index(&s, &err), 0);
        assert_member(&s, "twice", "the last one counts");
        assert_member(&s, LONG_NAME, "behind a pax header");
        assert_int_equal(source_open(&s, "none", &blob, &err), 1);
        source_release(&s);
        close(fd);
    }
}

/* Bytes that this process got from read calls. */
static uint64_t bytes_read(void)
{
    char text[256] = "";
    int fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_int_equal(strncmp(text, "rchar: ", 7), 0);
    return strtoull(text + 7, NULL, 10);
}

static void of_many_members_each_is_read_once(void **state)
{
    static char large[300000], piece[65536];
    struct source s = SOURCE_INIT;
    struct buf tar = BUF_INIT;
    uint64_t before;
    char name[32];
    int fd;

    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "member-%d", i);
        tar_header(&tar, name, '0', 0644, sizeof(large), NULL);
        tar_data(&tar, large, sizeof(large));
    }
    tar_end(&tar);
    test_write("many.tar", tar.data, tar.len);
    fd = open_test("many.tar");
    before = bytes_read();
    source_archive_init(&s, fd);
    for (int i = 0; i < 40; i++) {
        struct blob *blob = NULL;

        snprintf(name, sizeof(name), "member-%d", i);
        assert_int_equal(source_open(&s, name, &blob, &err), 0);
        while (blob_read(blob, piece, sizeof(piece), &err) > 0)
            ;
        blob_free(&blob);
    }
    /* and a part of a block behind it */
    assert_true(bytes_read() - before < 2 * tar.len);
    source_release(&s);
    buf_release(&tar);
    close(fd);
}

static void an_archive_that_is_cut_short_is_an_error(void **state)
{
    struct source s = SOURCE_INIT;
    struct blob *blob = NULL;
    int fd;

    (void)state;
    write_archives();
    assert_int_equal(truncate(test_path("plain.tar"), 15000), 0);
    fd = open_test("plain.tar");
    source_archive_init(&s, fd);
    assert_int_equal(source_open(&s, "twice", &blob, &err), -1);
    assert_non_null(strstr(err.text, "damaged"));
    source_release(&s);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_walk_begins_at_any_member, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(positions_in_a_compressed_archive_are_the_same,
                                        test_setup, test_teardown),
        cmocka_unit_test_setup_teardown(the_last_member_of_a_name_counts, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(of_many_members_each_is_read_once, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(an_archive_that_is_cut_short_is_an_error,
                                        test_setup, test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
