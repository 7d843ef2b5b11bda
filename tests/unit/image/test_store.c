/* The store: extraction once, verified, published whole; waiting, taking over,
 * sweeping. */
#include "unit/image/store_test.h"

#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>

#include "image/source.h"

static void make_image(const char *dir, int lie)
{
    struct buf tars[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    size_t i;

    tar_dir(&tars[0], "bin", 0555);
    tar_file(&tars[0], "bin/sh", 0755, "shell");
    tar_file(&tars[0], "old", 0644, "old");
    tar_end(&tars[0]);
    tar_file(&tars[1], ".wh.old", 0644, "");
    tar_hardlink(&tars[1], "bin/bash", "bin/sh");
    tar_end(&tars[1]);
    tar_file(&tars[2], "top", 0600, dir);
    tar_end(&tars[2]);
    test_docker_image(dir, tars, 3, lie);
    for (i = 0; i < 3; i++)
        buf_release(&tars[i]);
}

static int prepare(const char *name)
{
    image_rootfs_release(&rootfs);
    image_release(&img);
    error_clear(&err);
    if (image_open_cached(&img, test_path(name), &store, &err) < 0)
        return -1;
    return image_prepare(&img, &store, NULL, &rootfs, &err);
}

#define LAYERS "s/repx/store-v1/layers"
#define ROOTFS "s/repx/store-v1/rootfs"
#define TMP "s/repx/store-v1/tmp"

static void extracts_once(void **state)
{
    make_image("img", -1);
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_true(rootfs.bytes > 0);
    assert_text(rootfs.dirfd, "bin/bash", "shell");
    assert_text(rootfs.dirfd, "top", "img");
    assert_false(exists(rootfs.dirfd, "old"));
    assert_int_equal(mode_of(rootfs.dirfd, "bin"), S_IFDIR | 0755);
    assert_int_equal(count_entries(TMP), 0);
    assert_int_equal(count_entries(LAYERS), 3);
    assert_int_equal(access(rootfs.path, F_OK), 0);
    assert_ok(prepare("img"));
    assert_false(rootfs.extracted);
    assert_int_equal(rootfs.bytes, 0);
    assert_text(rootfs.dirfd, "top", "img");
}

static void layers_are_shared(void **state)
{
    make_image("img", -1);
    make_image("img2", -1);
    assert_ok(prepare("img"));
    assert_ok(prepare("img2"));
    assert_true(rootfs.extracted);
    assert_int_equal(rootfs.bytes, 2048); /* one layer of three */
    assert_text(rootfs.dirfd, "top", "img2");
    assert_int_equal(count_entries(LAYERS), 4);
    assert_int_equal(count_entries(ROOTFS), 2);
}

static void wrong_digest_leaves_nothing(void **state)
{
    make_image("img", 2);
    assert_int_equal(prepare("img"), -1);
    assert_mentions("layer 3 of 3");
    assert_mentions("l2/layer.tar");
    assert_mentions("declares sha256:");
    assert_mentions(img.layers[2].diff_id.hex);
    assert_int_equal(count_entries(ROOTFS), 0);
    assert_int_equal(count_entries(TMP), 0);
    /* good ones may stay, as far as they were ready */
    assert_true(count_entries(LAYERS) <= 2);
    assert_false(exists(store.layers_fd, img.layers[2].diff_id.hex));
    assert_int_equal(rootfs.lockfd, -1);
}

static void truncated_layer_leaves_nothing(void **state)
{
    make_image("img", -1);
    assert_int_equal(truncate(test_path("img/l2/layer.tar"), 700), 0);
    assert_int_equal(prepare("img"), -1);
    assert_mentions("layer 3 of 3");
    assert_int_equal(count_entries(ROOTFS), 0);
    assert_int_equal(count_entries(TMP), 0);
}

/* The tar's end comes long before the file's: the rest must be read for the digest. */
static void bytes_behind_the_tar_count(void **state)
{
    static const char rest[700000];
    int fd;

    make_image("img", -1);
    fd = openat(test_dir.fd, "img/l2/layer.tar", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, rest, sizeof(rest)), sizeof(rest));
    close(fd);
    assert_int_equal(prepare("img"), -1);
    assert_mentions("digest");
}

/* And they are part of a digest that was declared with them. */
static void a_long_padding_is_legal(void **state)
{
    static const char rest[700000];
    struct buf tar = BUF_INIT;

    tar_file(&tar, "f", 0644, "x");
    tar_end(&tar);
    buf_add(&tar, rest, sizeof(rest));
    test_docker_image("img", &tar, 1, -1);
    buf_release(&tar);
    assert_ok(prepare("img"));
    assert_text(rootfs.dirfd, "f", "x");
}

static void incomplete_entries_are_replaced(void **state)
{
    char path[PATH_MAX];

    make_image("img", -1);
    assert_ok(image_open(&img, test_path("img"), &err));
    snprintf(path, sizeof(path), LAYERS "/%s/tree", img.layers[0].diff_id.hex);
    test_mkdir(path);
    snprintf(path, sizeof(path), ROOTFS "/%s/root/half", img.id.hex);
    test_mkdir(path);
    assert_int_equal(fchmodat(test_dir.fd, path, 0, 0), 0);
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_false(exists(rootfs.dirfd, "half"));
    assert_text(rootfs.dirfd, "bin/sh", "shell");
}

/* The marks of this boot are those of another one. */
static void rename_marks(const char *top, const char *hex)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    char path[PATH_MAX];
    bool any = false;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", top, hex);
    fd = test_open_dir(path);
    assert_ok(pathfd_names(fd, &names, &err));
    for (size_t i = 0; i < names.count; i++) {
        if (strncmp(names.items[i], "boot.", 5) != 0)
            continue;
        assert_int_equal(renameat(fd, names.items[i], fd, "boot.before"), 0);
        any = true;
    }
    assert_true(any);
    close(fd);
}

static void boot_again(void)
{
    for (size_t i = 0; i < img.n_layers; i++)
        rename_marks(LAYERS, img.layers[i].diff_id.hex);
    rename_marks(ROOTFS, img.id.hex);
}

static void what_another_boot_made_is_read_before_it_counts(void **state)
{
    struct store_layer_record record;
    struct digest id;

    make_image("img", -1);
    assert_ok(prepare("img"));
    id = img.layers[0].diff_id;
    assert_ok(prepare("img"));
    boot_again();
    assert_int_equal(store_record_check_layer(&store, &id, &record, &err), 2);
    /* the tree is what it was: nothing is made again, and its layers are not asked */
    assert_ok(prepare("img"));
    assert_false(rootfs.extracted);
    assert_int_equal(store_record_check_layer(&store, &id, &record, &err), 2);
    /* another image with this layer asks it */
    assert_ok(pathfd_remove_tree(store.rootfs_fd, img.id.hex, &err));
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_int_equal(rootfs.bytes, 0); /* composed of what is there */
    assert_ok(store_record_check_layer(&store, &id, &record, &err));
}

static void what_a_crash_has_taken_is_made_again(void **state)
{
    static const struct {
        size_t layer;
        const char *file;
    } lost[] = {{0, "tree/old"}, {1, "notes"}, {0, "sums"}, {2, "record.json"}};
    char path[PATH_MAX];

    make_image("img", -1);
    for (size_t i = 0; i < array_size(lost); i++) {
        assert_ok(prepare("img"));
        boot_again();
        snprintf(path, sizeof(path), LAYERS "/%s/%s",
                 img.layers[lost[i].layer].diff_id.hex, lost[i].file);
        test_text(path, "");
        assert_ok(pathfd_remove_tree(store.rootfs_fd, img.id.hex, &err));
        assert_ok(prepare("img"));
        assert_true(rootfs.bytes > 0);
    }
}

static void of_many_boots_some_are_remembered(void **state)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    char path[PATH_MAX];
    int fd;

    make_image("img", -1);
    assert_ok(prepare("img"));
    boot_again();
    for (int i = 0; i < 20; i++) {
        snprintf(path, sizeof(path), ROOTFS "/%s/boot.%d", img.id.hex, i);
        test_text(path, "");
    }
    assert_ok(prepare("img"));
    assert_false(rootfs.extracted);
    snprintf(path, sizeof(path), ROOTFS "/%s", img.id.hex);
    fd = test_open_dir(path);
    assert_ok(pathfd_names(fd, &names, &err));
    assert_true(names.count < 8);
    close(fd);
}

static void rootfs_tar_is_learnt_and_remembered(void **state)
{
    struct buf tar = BUF_INIT;
    struct digest diff;

    tar_file(&tar, "bin/sh", 0755, "x");
    tar_end(&tar);
    assert_ok(digest_of(tar.data, tar.len, &diff, &err));
    test_write("root.tar", tar.data, tar.len);
    assert_ok(prepare("root.tar"));
    assert_true(rootfs.extracted);
    assert_true(digest_equal(&img.id, &diff));
    assert_text(rootfs.dirfd, "bin/sh", "x");
    assert_ok(prepare("root.tar"));
    assert_false(rootfs.extracted);
    assert_true(digest_equal(&img.id, &diff));
    assert_int_equal(count_entries(TMP), 0);
    /* another content under the same name */
    tar.data[512] = 'y';
    test_write("root.tar", tar.data, tar.len);
    assert_ok(prepare("root.tar"));
    assert_true(rootfs.extracted);
    assert_text(rootfs.dirfd, "bin/sh", "y");
    buf_release(&tar);
}

static void damaged_memory_is_ignored(void **state)
{
    struct buf tar = BUF_INIT;
    char path[PATH_MAX];

    tar_file(&tar, "bin/sh", 0755, "x");
    tar_end(&tar);
    test_write("root.tar", tar.data, tar.len);
    buf_release(&tar);
    assert_ok(prepare("root.tar"));
    snprintf(path, sizeof(path), "s/repx/store-v1/refs/%s", img.ref.hex);
    test_text(path, "{\"version\":1,\"kind\":5,\"id\":\"../../..\"}");
    assert_ok(prepare("root.tar"));
    assert_text(rootfs.dirfd, "bin/sh", "x");
}

static void a_directory_needs_no_store(void **state)
{
    test_text("tree/bin/sh", "x");
    assert_ok(image_open(&img, test_path("tree"), &err));
    assert_ok(image_prepare(&img, NULL, NULL, &rootfs, &err));
    assert_false(rootfs.extracted);
    assert_int_equal(rootfs.lockfd, -1);
    assert_text(rootfs.dirfd, "bin/sh", "x");
    image_rootfs_release(&rootfs);
    image_release(&img);
    make_image("img", -1);
    assert_ok(image_open(&img, test_path("img"), &err));
    assert_int_equal(image_prepare(&img, NULL, NULL, &rootfs, &err), -1);
    assert_mentions("node_local_path");
}

static void list_tells_use(void **state)
{
    struct store_entry *entries;
    size_t n;

    assert_ok(store_list(&store, &entries, &n, &err));
    assert_int_equal(n, 0);
    store_entries_free(entries, n);
    make_image("img", -1);
    assert_ok(prepare("img"));
    assert_ok(store_list(&store, &entries, &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(entries[0].in_use, 1);
    assert_int_equal(entries[0].layers, 3);
    assert_int_equal(entries[0].bytes, 11);
    assert_string_equal(entries[0].name, test_path("img"));
    assert_true(entries[0].used >= entries[0].created);
    store_entries_free(entries, n);
    image_rootfs_release(&rootfs);
    assert_ok(store_list(&store, &entries, &n, &err));
    assert_int_equal(entries[0].in_use, 0);
    store_entries_free(entries, n);
}

static int always(void *arg)
{
    return 1;
}

static void cancelled_extraction_leaves_nothing(void **state)
{
    const struct image_progress progress = {.cancelled = always};

    make_image("img", -1);
    assert_ok(image_open(&img, test_path("img"), &err));
    assert_int_equal(image_prepare(&img, &store, &progress, &rootfs, &err), -1);
    assert_int_equal(err.errnum, ECANCELED);
    assert_int_equal(count_entries(TMP), 0);
    assert_int_equal(count_entries(ROOTFS), 0);
}

static void sweep_takes_only_the_dead(void **state)
{
    struct store_tmp alive, gone;
    char path[PATH_MAX];

    assert_ok(store_tmp_new(&store, &alive, &err));
    assert_ok(store_tmp_new(&store, &gone, &err));
    snprintf(path, sizeof(path), TMP "/%s/tree/closed", gone.name);
    test_mkdir(path);
    test_text(TMP "/stray", "");
    assert_int_equal(fchmodat(test_dir.fd, path, 0, 0), 0);
    /* what SIGKILL does */
    close(gone.owner.fd);
    close(gone.fd);
    assert_int_equal(count_entries(TMP), 5);
    assert_ok(store_tmp_sweep(&store, &err));
    assert_int_equal(count_entries(TMP), 2);
    assert_true(exists(store.tmp_fd, alive.name));
    store_tmp_discard(&store, &alive);
    assert_int_equal(count_entries(TMP), 0);
    store_tmp_discard(&store, &alive);
}

/* In a child: prepares img and exits with 0, or 10 when it had to extract. */
static pid_t prepare_in_child(const struct image_progress *progress)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    {
        struct store s;
        struct image i;
        struct image_rootfs r;

        if (store_open(&s, test_path("s"), &err) < 0 ||
            image_open_cached(&i, test_path("img"), &s, &err) < 0 ||
            image_prepare(&i, &s, progress, &r, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(1);
        }
        _exit(r.extracted ? 10 : 0);
    }
}

static int exit_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void many_at_once_extract_once(void **state)
{
    pid_t pids[16];
    int extracted = 0;
    size_t i;

    make_image("img", -1);
    for (i = 0; i < array_size(pids); i++)
        pids[i] = prepare_in_child(NULL);
    for (i = 0; i < array_size(pids); i++) {
        int code = exit_of(pids[i]);

        assert_true(code == 0 || code == 10);
        extracted += code == 10;
    }
    assert_int_equal(extracted, 1);
    assert_int_equal(count_entries(TMP), 0);
    assert_ok(prepare("img"));
    assert_text(rootfs.dirfd, "bin/bash", "shell");
}

/* Says that it is in the middle of an extraction, then waits to be killed. */
static void stop_here(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    int *pipe_fd = arg;

    if (strcmp(phase, "extract") != 0 || done == 0)
        return;
    if (write(*pipe_fd, "x", 1) == 1)
        for (;;)
            pause();
}

static bool saw_wait;

static void kill_when_waiting(void *arg, const char *phase, uint64_t done,
                              uint64_t total)
{
    pid_t *holder = arg;

    if (strcmp(phase, "wait") != 0 || saw_wait)
        return;
    saw_wait = true;
    kill(*holder, SIGKILL);
}

static void the_work_of_a_dead_holder_is_taken_over(void **state)
{
    struct image_progress stop = {.update = stop_here};
    pid_t holder;
    struct image_progress watch = {.update = kill_when_waiting, .arg = &holder};
    size_t left;
    int fds[2];
    char c;

    make_image("img", -1);
    assert_int_equal(pipe(fds), 0);
    stop.arg = &fds[1];
    holder = prepare_in_child(&stop);
    assert_int_equal(read(fds[0], &c, 1), 1);
    left = count_entries(TMP);
    assert_true(left >= 2);
    saw_wait = false;
    assert_ok(image_open(&img, test_path("img"), &err));
    assert_ok(image_prepare(&img, &store, &watch, &rootfs, &err));
    assert_true(saw_wait);
    assert_true(rootfs.extracted);
    assert_true(rootfs.wait_ns > 0);
    assert_text(rootfs.dirfd, "bin/bash", "shell");
    assert_int_equal(exit_of(holder), 128 + SIGKILL);
    /* the dead one's leftovers go with the next opening */
    assert_int_equal(count_entries(TMP), left);
    store_release(&store);
    assert_ok(store_open(&store, test_path("s"), &err));
    assert_int_equal(count_entries(TMP), 0);
    close(fds[0]);
    close(fds[1]);
}

static void waiting_can_be_cancelled(void **state)
{
    const struct image_progress progress = {.cancelled = always};
    struct store_work w;
    struct lockfile held = LOCKFILE_INIT, mine = LOCKFILE_INIT;

    img.reference = strdup("img");
    store_work_init(&w, &store, &img, &progress);
    assert_int_equal(lockfile_try(&held, store.locks_fd, "l", true, &err), 0);
    assert_int_equal(store_work_lock(&w, &mine, "l", true, &err), -1);
    assert_int_equal(err.errnum, ECANCELED);
    assert_int_equal(mine.fd, -1);
    lockfile_release(&held);
}

static void space_is_told_in_numbers(void **state)
{
    assert_ok(store_space_make(&store, NULL, 1, &err));
    assert_int_equal(store_space_make(&store, NULL, (uint64_t)1 << 60, &err), -1);
    assert_mentions("GiB are needed");
    assert_mentions("node_local_path");
    error_sys(&err, ENOSPC, "cannot write");
    assert_int_equal(store_space_explain(&store, 5 << 20, &err), -1);
    assert_mentions("5.0 MiB");
    assert_mentions("free");
}

static void neighbours_are_refused(void **state)
{
    struct store other;

    test_mkdir("public");
    assert_int_equal(fchmodat(test_dir.fd, "public", 0777, 0), 0);
    assert_int_equal(store_open(&other, test_path("public"), &err), -1);
    assert_mentions("node-local store");
    assert_int_equal(other.fd, -1);
    error_clear(&err);
    assert_int_equal(fchmodat(store.fd, "layers", 0777, 0), 0);
    assert_int_equal(store_open(&other, test_path("s"), &err), -1);
    assert_mentions("layers");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(extracts_once),
        TEST(layers_are_shared),
        TEST(wrong_digest_leaves_nothing),
        TEST(truncated_layer_leaves_nothing),
        TEST(bytes_behind_the_tar_count),
        TEST(a_long_padding_is_legal),
        TEST(incomplete_entries_are_replaced),
        TEST(what_another_boot_made_is_read_before_it_counts),
        TEST(what_a_crash_has_taken_is_made_again),
        TEST(of_many_boots_some_are_remembered),
        TEST(rootfs_tar_is_learnt_and_remembered),
        TEST(damaged_memory_is_ignored),
        TEST(a_directory_needs_no_store),
        TEST(list_tells_use),
        TEST(cancelled_extraction_leaves_nothing),
        TEST(sweep_takes_only_the_dead),
        TEST(many_at_once_extract_once),
        TEST(the_work_of_a_dead_holder_is_taken_over),
        TEST(waiting_can_be_cancelled),
        TEST(space_is_told_in_numbers),
        TEST(neighbours_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
