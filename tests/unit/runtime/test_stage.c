/* What a stage does without any right: which mounts are its own, where their places
 * are, and that no link leads out of its root. */
#include "unit/sys/tempdir.h"

#include <errno.h>

#include "base/cleanup.h"
#include "runtime/runtime_internal.h"
#include "runtime/stage_internal.h"

static void add(struct plan *p, enum plan_mount_kind kind, const char *source,
                const char *dest)
{
    struct error err = ERROR_INIT;

    assert_int_equal(plan_add_mount(p, kind, PLAN_ROLE_USER, source, dest, &err), 0);
}

static void test_proc_is_bwraps(void **state)
{
    struct plan p = PLAN_INIT;
    struct stage s = {.plan = &p, .root = (char[]){"/state/stage/root"}};
    struct strv options = STRV_INIT;
    static const char *const expected[] = {"--unshare-all",
                                           "--share-net",
                                           "--die-with-parent",
                                           "--as-pid-1",
                                           "--cap-drop",
                                           "ALL",
                                           "--dev-bind",
                                           "/state/stage/root",
                                           "/",
                                           "--proc",
                                           "/proc",
                                           "--ro-bind",
                                           "/proc/sys",
                                           "/proc/sys",
                                           "--chdir",
                                           "/"};

    p.network = PLAN_NETWORK_HOST;
    add(&p, PLAN_MOUNT_BIND_RO, "/image", "/");
    add(&p, PLAN_MOUNT_PROC, NULL, "/proc");
    add(&p, PLAN_MOUNT_BIND_RO, "/proc/sys", "/proc/sys");
    add(&p, PLAN_MOUNT_DEV, NULL, "/dev");
    add(&p, PLAN_MOUNT_BIND_RW, "/a", "/processes");
    assert_true(stage_makes(&p.mounts[0]));
    assert_false(stage_makes(&p.mounts[1]));
    assert_false(stage_makes(&p.mounts[2]));
    assert_true(stage_makes(&p.mounts[3]));
    assert_true(stage_makes(&p.mounts[4]));
    bwrap_staged_options(&s, &options);
    assert_int_equal(options.count, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < options.count; i++)
        assert_string_equal(options.items[i], expected[i]);
    strv_release(&options);
    plan_release(&p);
}

static void test_what_needs_a_place_in_the_root(void **state)
{
    struct plan p = PLAN_INIT;
    struct error err = ERROR_INIT;
    bool found[16];
    static const bool expected[] = {false, true,  true, true,  false, true,
                                    true,  false, true, false, true};

    add(&p, PLAN_MOUNT_BIND_RO, "/image", "/");
    add(&p, PLAN_MOUNT_PROC, NULL, "/proc");
    add(&p, PLAN_MOUNT_DEV, NULL, "/dev");
    add(&p, PLAN_MOUNT_TMPFS, NULL, "/tmp");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/tmp/lab");
    add(&p, PLAN_MOUNT_BIND_RW, "/x", "/tmpfile");
    add(&p, PLAN_MOUNT_BIND_RW, "/x", "/data");
    add(&p, PLAN_MOUNT_BIND_RW, "/x", "/data/inner/deep");
    add(&p, PLAN_MOUNT_DIR, NULL, "/dir");
    add(&p, PLAN_MOUNT_REMOUNT_RO, NULL, "/dev");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/dir/inside");
    assert_int_equal(stage_on_root(&p, found, &err), 0);
    for (size_t i = 0; i < p.n_mounts; i++)
        assert_int_equal(found[i], expected[i]);
    plan_release(&p);
}

static void expect_gap(struct plan *p, size_t least, const char *expected)
{
    _cleanup_free_ bool *on_root = calloc(p->n_mounts + 1, sizeof(*on_root));
    _cleanup_free_ char *gap = NULL;
    struct error err = ERROR_INIT;

    assert_int_equal(stage_on_root(p, on_root, &err), 0);
    assert_int_equal(stage_find_gap(p, on_root, least, &gap, &err), 0);
    if (expected)
        assert_string_equal(gap, expected);
    else
        assert_null(gap);
}

static void test_where_the_image_ends(void **state)
{
    struct plan p = PLAN_INIT;
    static const char *const image[] = {"/", "/data", "/data/in", "/etc"};

    (void)state;
    p.dirs = calloc(array_size(image), sizeof(*p.dirs));
    for (size_t i = 0; i < array_size(image); i++)
        p.dirs[p.n_dirs++].path = strdup(image[i]);
    add(&p, PLAN_MOUNT_OVERLAY, "/image", "/");
    add(&p, PLAN_MOUNT_TMPFS, NULL, "/tmp");
    add(&p, PLAN_MOUNT_DATA, "x", "/etc/passwd");
    add(&p, PLAN_MOUNT_DATA, "x", "/etc/group");
    add(&p, PLAN_MOUNT_DATA, "x", "/etc/hosts");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/data/in");
    expect_gap(&p, 1, NULL);
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/base/a/out");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/base/b/out");
    expect_gap(&p, 1, "/base");
    expect_gap(&p, 2, "/base");
    expect_gap(&p, 3, NULL);
    add(&p, PLAN_MOUNT_SYMLINK, "to", "/data/outputs/a/x");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/data/outputs/b/x");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/data/outputs2/b/x");
    expect_gap(&p, 2, "/base");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/data/outputs/c");
    expect_gap(&p, 2, "/data/outputs");
    /* on other mounts: these need no place in the root */
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/base/a/out/1");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/base/a/out/2");
    add(&p, PLAN_MOUNT_BIND_RO, "/x", "/base/a/out/3");
    expect_gap(&p, 2, "/data/outputs");
    plan_release(&p);
}

static void touch(const char *dir, const char *name)
{
    char path[600];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static bool is_there(const char *dir, const char *name, mode_t type)
{
    char path[600];
    struct stat st;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

/* The sandbox's root, and a sibling in which nothing may ever be made. */
struct trees {
    char root[512], outside[512];
    int fd;
    struct stage_way way;
};

static void trees_init(struct trees *t)
{
    snprintf(t->root, sizeof(t->root), "%s/root", tempdir.path);
    snprintf(t->outside, sizeof(t->outside), "%s/outside", tempdir.path);
    assert_int_equal(mkdir(t->root, 0755), 0);
    assert_int_equal(mkdir(t->outside, 0755), 0);
    t->fd = open(t->root, O_PATH | O_DIRECTORY);
    assert_true(t->fd >= 0);
    t->way = (struct stage_way)STAGE_WAY_INIT(t->fd);
}

static void trees_release(struct trees *t)
{
    stage_way_release(&t->way);
    assert_int_equal(rmdir(t->outside), 0);
    close(t->fd);
}

static void make_point(struct trees *t, const char *dest, enum stage_point type)
{
    struct error err = ERROR_INIT;
    int fd = stage_point(&t->way, dest, type, &err);

    if (fd < 0)
        print_error("%s\n", err.text);
    assert_true(fd >= 0);
    close(fd);
}

static void test_missing_places_are_made(void **state)
{
    struct trees t;

    trees_init(&t);
    make_point(&t, "/a/b/c", STAGE_POINT_DIR);
    make_point(&t, "/a/b/file", STAGE_POINT_FILE);
    make_point(&t, "/top", STAGE_POINT_FILE);
    assert_true(is_there(t.root, "a/b/c", S_IFDIR));
    assert_true(is_there(t.root, "a/b/file", S_IFREG));
    assert_true(is_there(t.root, "top", S_IFREG));
    make_point(&t, "/", STAGE_POINT_DIR);
    /* what is there stays */
    make_point(&t, "/a/b/c", STAGE_POINT_DIR);
    make_point(&t, "/top", STAGE_POINT_FILE);
    trees_release(&t);
}

static void test_links_stay_inside(void **state)
{
    struct error err = ERROR_INIT;
    struct trees t;

    trees_init(&t);
    assert_int_equal(symlinkat("../../outside", t.fd, "up"), 0);
    assert_int_equal(symlinkat(t.outside, t.fd, "absolute"), 0);
    assert_int_equal(symlinkat("/proc/self/cwd", t.fd, "magic"), 0);
    /* ".." ends at the root, so this is <root>/outside */
    assert_int_equal(mkdirat(t.fd, "outside", 0755), 0);
    make_point(&t, "/up/new", STAGE_POINT_DIR);
    assert_true(is_there(t.root, "outside/new", S_IFDIR));
    make_point(&t, "/up/file", STAGE_POINT_FILE);
    /* also from a directory that is kept, and at the end of the way */
    make_point(&t, "/up/file2", STAGE_POINT_FILE);
    assert_true(is_there(t.root, "outside/file2", S_IFREG));
    assert_int_equal(symlinkat("outside/new", t.fd, "last"), 0);
    make_point(&t, "/last", STAGE_POINT_DIR);
    make_point(&t, "/last/in", STAGE_POINT_DIR);
    assert_true(is_there(t.root, "outside/new/in", S_IFDIR));
    assert_true(is_there(t.root, "outside/file", S_IFREG));
    /* what is there on the other side is not what is looked for */
    assert_int_equal(symlinkat(tempdir.path, t.fd, "parent"), 0);
    assert_int_equal(stage_point(&t.way, "/parent/outside", STAGE_POINT_DIR, &err), -1);
    error_clear(&err);
    /* those lead to what the root has not got: an error, and nothing made anywhere */
    assert_int_equal(stage_point(&t.way, "/absolute/new", STAGE_POINT_DIR, &err), -1);
    error_clear(&err);
    assert_int_equal(stage_point(&t.way, "/magic/new", STAGE_POINT_FILE, &err), -1);
    error_clear(&err);
    assert_int_equal(stage_symlink(&t.way, "target", "/absolute/link", &err), -1);
    trees_release(&t);
}

static void make_own(struct trees *t, const char *dest, enum stage_point type)
{
    struct error err = ERROR_INIT;

    if (stage_make_point(&t->way, dest, type, &err) < 0)
        fail_msg("%s: %s", dest, err.text);
}

/* As inputs come: of one directory, of many, of one that was there before. */
static void test_a_root_of_our_own(void **state)
{
    struct trees t;

    trees_init(&t);
    make_own(&t, "/o/a/out/file", STAGE_POINT_FILE);
    make_own(&t, "/o/b/out/file", STAGE_POINT_FILE);
    make_own(&t, "/o/c/out", STAGE_POINT_DIR);
    make_own(&t, "/o/a/out/other", STAGE_POINT_FILE);
    make_own(&t, "/o/a/out/file", STAGE_POINT_FILE);
    make_own(&t, "/o/b", STAGE_POINT_DIR);
    make_own(&t, "/o/b/file", STAGE_POINT_FILE);
    make_own(&t, "/o/b2/file", STAGE_POINT_FILE);
    make_own(&t, "/top", STAGE_POINT_FILE);
    make_own(&t, "/o/c/out/deep/er", STAGE_POINT_DIR);
    make_own(&t, "/", STAGE_POINT_DIR);
    assert_true(is_there(t.root, "o/a/out/file", S_IFREG));
    assert_true(is_there(t.root, "o/b/out/file", S_IFREG));
    assert_true(is_there(t.root, "o/c/out/deep/er", S_IFDIR));
    assert_true(is_there(t.root, "o/a/out/other", S_IFREG));
    assert_true(is_there(t.root, "o/b2/file", S_IFREG));
    assert_true(is_there(t.root, "top", S_IFREG));
    trees_release(&t);
}

/* Links that the plan itself has made there: an artifact that leads elsewhere. */
static void test_links_in_a_root_of_our_own(void **state)
{
    struct error err = ERROR_INIT;
    struct trees t;

    trees_init(&t);
    make_own(&t, "/o/a/out/file", STAGE_POINT_FILE);
    assert_int_equal(stage_symlink(&t.way, t.outside, "/o/a/away", &err), 0);
    assert_int_equal(stage_symlink(&t.way, "/o/b", "/o/a/near", &err), 0);
    assert_int_equal(stage_make_point(&t.way, "/o/a/away/x/y", STAGE_POINT_FILE, &err),
                     -1);
    error_clear(&err);
    assert_int_equal(stage_make_point(&t.way, "/o/a/away/z", STAGE_POINT_DIR, &err),
                     -1);
    error_clear(&err);
    make_own(&t, "/o/b/c", STAGE_POINT_DIR);
    make_own(&t, "/o/a/near/c/d/e", STAGE_POINT_FILE);
    make_own(&t, "/o/a/near/c/d/f", STAGE_POINT_FILE);
    make_own(&t, "/o/a/near/c/d/g/h", STAGE_POINT_FILE);
    assert_true(is_there(t.root, "o/b/c/d/e", S_IFREG));
    assert_true(is_there(t.root, "o/b/c/d/f", S_IFREG));
    assert_true(is_there(t.root, "o/b/c/d/g/h", S_IFREG));
    trees_release(&t);
}

/* What is kept open is no longer what is at its path once something is mounted there;
 * a renamed directory stands for the mount. */
static void test_a_mount_is_gone_into(void **state)
{
    static const char *const mounted[] = {"/o", "/o/in", "/"};
    struct trees t;

    trees_init(&t);
    for (size_t i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++) {
        char old[16];

        stage_way_release(&t.way);
        make_point(&t, "/o/in/a/x", STAGE_POINT_DIR);
        make_point(&t, "/o/in/b/x", STAGE_POINT_DIR); /* /o/in is kept */
        snprintf(old, sizeof(old), "old%zu", i);
        assert_int_equal(renameat(t.fd, "o", t.fd, old), 0);
        assert_int_equal(mkdirat(t.fd, "o", 0755), 0);
        stage_way_mounted(&t.way, "/other");
        stage_way_mounted(&t.way, "/o/in/b");
        stage_way_mounted(&t.way, "/o/i");
        stage_way_mounted(&t.way, mounted[i]);
        make_point(&t, "/o/in/a/x", STAGE_POINT_DIR);
        make_point(&t, "/o/in/c", STAGE_POINT_FILE);
        assert_true(is_there(t.root, "o/in/a/x", S_IFDIR));
        assert_true(is_there(t.root, "o/in/c", S_IFREG));
    }
    trees_release(&t);
}

static void test_a_link_is_made(void **state)
{
    struct error err = ERROR_INIT;
    struct trees t;

    trees_init(&t);
    assert_int_equal(stage_symlink(&t.way, "../x", "/d/link", &err), 0);
    assert_true(is_there(t.root, "d/link", S_IFLNK));
    error_clear(&err);
    assert_int_equal(stage_symlink(&t.way, "../x", "/d/link", &err), -1);
    assert_int_equal(err.errnum, EEXIST);
    trees_release(&t);
}

static void test_a_file_is_no_way(void **state)
{
    struct error err = ERROR_INIT;
    struct trees t;

    trees_init(&t);
    touch(t.root, "file");
    assert_int_equal(stage_point(&t.way, "/file/below", STAGE_POINT_DIR, &err), -1);
    assert_int_equal(err.errnum, ENOTDIR);
    trees_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proc_is_bwraps),
        cmocka_unit_test(test_what_needs_a_place_in_the_root),
        cmocka_unit_test(test_where_the_image_ends),
        tempdir_test(test_missing_places_are_made),
        tempdir_test(test_links_stay_inside),
        tempdir_test(test_a_root_of_our_own),
        tempdir_test(test_links_in_a_root_of_our_own),
        tempdir_test(test_a_mount_is_gone_into),
        tempdir_test(test_a_link_is_made),
        tempdir_test(test_a_file_is_no_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
