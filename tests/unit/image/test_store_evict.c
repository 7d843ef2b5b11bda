/* Eviction: order, what is in use, layers that others share, limits, full disks. */
#include "unit/image/store_test.h"

#include <sys/file.h>

#define LAYERS "s/repx/store-v1/layers"
#define ROOTFS "s/repx/store-v1/rootfs"
#define TMP "s/repx/store-v1/tmp"
#define BIG 20000

static struct store_pruned pruned;

static int setup(void **state)
{
    pruned = (struct store_pruned)STORE_PRUNED_INIT;
    return store_setup(state);
}

static int teardown(void **state)
{
    store_pruned_release(&pruned);
    return store_teardown(state);
}

/* A layer that all have, 5 bytes, and one of BIG bytes for each. */
static void make_image(const char *dir)
{
    struct buf tars[2] = {BUF_INIT, BUF_INIT};
    char text[BIG + 1];

    memset(text, dir[0], BIG);
    text[BIG] = '\0';
    tar_dir(&tars[0], "bin", 0555);
    tar_file(&tars[0], "bin/sh", 0755, "shell");
    tar_end(&tars[0]);
    tar_file(&tars[1], "own", 0644, text);
    tar_end(&tars[1]);
    test_docker_image(dir, tars, 2, -1);
    buf_release(&tars[0]);
    buf_release(&tars[1]);
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

/* Prepares it, used so many seconds after the epoch. */
static void put(const char *name, time_t used)
{
    struct timespec times[2] = {{.tv_sec = used}, {.tv_sec = used}};
    char path[PATH_MAX];

    make_image(name);
    assert_ok(prepare(name));
    snprintf(path, sizeof(path), ROOTFS "/%s/" STORE_USED, img.id.hex);
    assert_int_equal(utimensat(test_dir.fd, path, times, 0), 0);
    image_rootfs_release(&rootfs);
}

static bool stored(const char *name)
{
    struct image i = IMAGE_INIT;
    char path[PATH_MAX];
    bool there;

    assert_ok(image_open_cached(&i, test_path(name), &store, &err));
    snprintf(path, sizeof(path), ROOTFS "/%s", i.id.hex);
    there = exists(test_dir.fd, path);
    image_release(&i);
    return there;
}

static void prune(const struct store_prune *goal)
{
    store_pruned_release(&pruned);
    assert_ok(store_prune(&store, goal, &pruned, &err));
    assert_int_equal(count_entries(TMP), 0);
}

static void least_recently_used_goes_first(void **state)
{
    struct store_prune goal = STORE_PRUNE_INIT;

    (void)state;
    put("b", 200);
    put("a", 300);
    put("c", 100);
    goal.max_size = 2 * BIG + 5;
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_true(strstr(pruned.items[0].name, "/c"));
    assert_int_equal(pruned.bytes, BIG);
    assert_int_equal(pruned.layers, 1);
    assert_int_equal(pruned.left, 2 * BIG + 5);
    assert_false(stored("c"));
    goal.max_size--;
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_false(stored("b"));
    assert_true(stored("a"));
    /* the shared layer is needed by the last one */
    assert_int_equal(count_entries(LAYERS), 2);
    assert_ok(prepare("a"));
    assert_false(rootfs.extracted);
    assert_text(rootfs.dirfd, "bin/sh", "shell");
    assert_ok(prepare("c"));
    assert_true(rootfs.extracted);
}

static void all_removes_everything_unused(void **state)
{
    const struct store_prune goal = {.all = true};

    (void)state;
    put("a", 1);
    put("b", 2);
    prune(&goal);
    assert_int_equal(pruned.n, 2);
    assert_int_equal(pruned.layers, 3);
    assert_int_equal(pruned.bytes, 2 * BIG + 5);
    assert_int_equal(pruned.left, 0);
    assert_int_equal(count_entries(ROOTFS), 0);
    assert_int_equal(count_entries(LAYERS), 0);
    prune(&goal);
    assert_int_equal(pruned.n, 0);
}

static void dry_run_removes_nothing(void **state)
{
    struct store_prune goal = STORE_PRUNE_INIT;

    (void)state;
    put("a", 1);
    put("b", 2);
    goal.dry_run = true;
    goal.max_size = BIG + 5;
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_int_equal(pruned.bytes, BIG);
    assert_int_equal(count_entries(ROOTFS), 2);
    assert_int_equal(count_entries(LAYERS), 3);
}

static void images_in_use_stay(void **state)
{
    const struct store_prune goal = {.all = true};

    (void)state;
    put("a", 1);
    put("b", 2);
    assert_ok(prepare("a"));
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_int_equal(pruned.in_use, BIG + 5);
    assert_text(rootfs.dirfd, "bin/sh", "shell");
    assert_true(stored("a"));
    assert_int_equal(count_entries(LAYERS), 2);
    image_rootfs_release(&rootfs);
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_int_equal(count_entries(LAYERS), 0);
}

/* A build under way holds its layers shared and has no record yet. */
static void layers_of_a_build_stay(void **state)
{
    const struct store_prune goal = {.all = true};
    char path[PATH_MAX];
    int fd;

    (void)state;
    put("a", 1);
    snprintf(path, sizeof(path), "s/repx/store-v1/locks/layer-%s.lock",
             img.layers[0].diff_id.hex);
    fd = openat(test_dir.fd, path, O_RDWR);
    assert_int_equal(flock(fd, LOCK_SH), 0);
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_int_equal(pruned.layers, 1);
    assert_int_equal(count_entries(LAYERS), 1);
    close(fd);
    /* now it is an orphan */
    prune(&goal);
    assert_int_equal(pruned.layers, 1);
    assert_int_equal(count_entries(LAYERS), 0);
}

static void leftovers_without_a_record_go(void **state)
{
    const struct store_prune goal = {.all = true};
    char path[PATH_MAX];

    (void)state;
    put("a", 1);
    snprintf(path, sizeof(path), ROOTFS "/%s/" STORE_RECORD, img.id.hex);
    assert_int_equal(unlinkat(test_dir.fd, path, 0), 0);
    prune(&goal);
    assert_int_equal(pruned.n, 1);
    assert_null(pruned.items[0].name);
    assert_int_equal(count_entries(ROOTFS), 0);
    assert_int_equal(count_entries(LAYERS), 0);
}

static void an_extraction_makes_room(void **state)
{
    (void)state;
    put("a", 1);
    put("b", 2);
    /* the need is the size of the tar: content and headers */
    store_set_limits(&store, 3 * BIG, 0);
    put("c", 3);
    assert_false(stored("a"));
    assert_true(stored("c"));
    /* the common layer was kept for c although nothing else needed it */
    assert_int_equal(count_entries(TMP), 0);
    /* a warm start removes nothing */
    store_set_limits(&store, 1, 0);
    assert_ok(prepare("c"));
    assert_false(rootfs.extracted);
}

static void no_room_is_told_in_numbers(void **state)
{
    struct image_rootfs held;

    (void)state;
    make_image("b");
    put("a", 1);
    assert_ok(prepare("a"));
    held = rootfs;
    rootfs = (struct image_rootfs)IMAGE_ROOTFS_INIT;
    store_set_limits(&store, 2 * BIG, 0);
    assert_int_equal(prepare("b"), -1);
    assert_mentions("does not fit into the store");
    assert_mentions("cache_max_size");
    assert_mentions("in use");
    assert_mentions("MiB");
    assert_true(stored("a"));
    assert_false(stored("b"));
    assert_int_equal(count_entries(LAYERS), 2);
    assert_int_equal(count_entries(TMP), 0);
    image_rootfs_release(&held);
    /* no longer in use: it makes room */
    assert_ok(prepare("b"));
    assert_false(stored("a"));
    store_set_limits(&store, BIG, 0);
    make_image("c");
    assert_int_equal(prepare("c"), -1);
    assert_mentions("the image needs about");
    assert_true(stored("b"));
}

static void min_free_is_kept(void **state)
{
    (void)state;
    make_image("b");
    put("a", 1);
    store_set_limits(&store, 0, (uint64_t)1 << 60);
    assert_int_equal(prepare("b"), -1);
    assert_mentions("cache_min_free");
    assert_mentions("GiB");
    assert_false(stored("a")); /* it was tried */
    assert_int_equal(count_entries(TMP), 0);
}

static void rescue_frees_what_is_needed(void **state)
{
    (void)state;
    put("a", 1);
    put("b", 2);
    assert_int_equal(store_space_rescue(&store, 1), 1);
    assert_false(stored("a"));
    assert_int_equal(store_space_rescue(&store, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(least_recently_used_goes_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(all_removes_everything_unused, setup, teardown),
        cmocka_unit_test_setup_teardown(dry_run_removes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(images_in_use_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(layers_of_a_build_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_without_a_record_go, setup, teardown),
        cmocka_unit_test_setup_teardown(an_extraction_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_is_told_in_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(min_free_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(rescue_frees_what_is_needed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
