#include "unit/image/image_test.h"

#include "image/rootscan.h"

static struct rootview view;
static struct error err;
static int root = -1;
static struct roottree_layer layer;
static struct roottree tree = {.layers = &layer, .n_layers = 1};

static int setup(void **state)
{
    if (test_setup(state) < 0)
        return -1;
    test_mkdir("root/dev");
    test_mkdir("root/proc");
    test_mkdir("root/tmp");
    root = openat(test_dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    layer.fd = root;
    view = (struct rootview)ROOTVIEW_INIT;
    error_clear(&err);
    return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    rootview_release(&view);
    close(root);
    return test_teardown(state);
}

static int scan(const char *const *dests, size_t n, int is_file)
{
    struct rootscan_want wants[8];
    size_t i;

    for (i = 0; i < n; i++)
        wants[i] = (struct rootscan_want){dests[i], is_file};
    rootview_release(&view);
    return rootscan(&tree, wants, n, &view, &err);
}

#define SCAN(is_file, ...)                                                             \
    scan((const char *const[]){__VA_ARGS__},                                           \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), is_file)

static void link_in_root(const char *target, const char *name)
{
    assert_int_equal(symlinkat(target, root, name), 0);
}

static void nothing_is_missing(void **state)
{
    test_mkdir("root/data/in");
    assert_ok(SCAN(0, "/data/in", "/data"));
    assert_int_equal(view.n_dirs, 0);
    assert_int_equal(view.n_dests, 2);
    assert_string_equal(view.dests[0].resolved, "/data/in");
    assert_ok(scan(NULL, 0, 0));
    assert_int_equal(view.n_dirs, 0);
}

static void missing_point_opens_its_ancestors(void **state)
{
    test_mkdir("root/home/x");
    test_text("root/home/f", "");
    link_in_root("x", "home/l");
    assert_ok(SCAN(0, "/home/alice/deep/out"));
    assert_int_equal(view.n_dirs, 2);
    assert_string_equal(view.dirs[0].path, "/");
    assert_string_equal(view.dirs[1].path, "/home");
    assert_int_equal(view.dirs[0].n_entries, 4);
    assert_string_equal(view.dirs[0].entries[0].name, "dev");
    assert_string_equal(view.dirs[0].entries[3].name, "tmp");
    assert_int_equal(view.dirs[1].n_entries, 3);
    assert_string_equal(view.dirs[1].entries[0].name, "f");
    assert_int_equal(view.dirs[1].entries[0].type, ROOTVIEW_FILE);
    assert_int_equal(view.dirs[1].entries[1].type, ROOTVIEW_SYMLINK);
    assert_string_equal(view.dirs[1].entries[1].target, "x");
    assert_int_equal(view.dirs[1].entries[2].type, ROOTVIEW_DIR);
    assert_null(view.dirs[1].entries[2].target);
    assert_string_equal(view.dests[0].resolved, "/home/alice/deep/out");
}

static void links_of_the_image_are_followed_inside(void **state)
{
    test_mkdir("root/usr/lib");
    link_in_root("/usr", "abs");
    link_in_root("../../../../usr/lib", "up");
    assert_ok(SCAN(0, "/abs/lib", "/up/new", "/abs/share/x"));
    assert_string_equal(view.dests[0].resolved, "/usr/lib");
    assert_string_equal(view.dests[1].resolved, "/usr/lib/new");
    assert_string_equal(view.dests[2].resolved, "/usr/share/x");
    /* the second lies on the first's mount, only the third needs an opened directory */
    assert_int_equal(view.n_dirs, 2);
    assert_string_equal(view.dirs[1].path, "/usr");
    assert_ok(SCAN(0, "/up/new"));
    assert_int_equal(view.n_dirs, 3);
    assert_string_equal(view.dirs[2].path, "/usr/lib");
}

static void dangling_link_is_followed(void **state)
{
    test_mkdir("root/etc");
    test_mkdir("root/run");
    link_in_root("../run/systemd/resolv.conf", "etc/resolv.conf");
    assert_ok(SCAN(1, "/etc/resolv.conf"));
    assert_string_equal(view.dests[0].resolved, "/run/systemd/resolv.conf");
    assert_int_equal(view.n_dirs, 2);
    assert_string_equal(view.dirs[1].path, "/run");
}

static void wrong_type_opens_the_parent(void **state)
{
    test_text("root/etc/hosts", "");
    test_mkdir("root/etc/passwd");
    test_text("root/data", "");
    assert_ok(SCAN(1, "/etc/hosts"));
    assert_int_equal(view.n_dirs, 0);
    assert_ok(SCAN(1, "/etc/passwd"));
    assert_int_equal(view.n_dirs, 2);
    assert_string_equal(view.dirs[1].path, "/etc");
    assert_ok(SCAN(0, "/data/in"));
    assert_int_equal(view.n_dirs, 1);
    assert_string_equal(view.dests[0].resolved, "/data/in");
}

static void points_below_others_are_left(void **state)
{
    test_mkdir("root/mnt/data");
    link_in_root("mnt/data", "data");
    assert_ok(SCAN(0, "/data", "/data/new", "/tmp/x/y", "/dev/shm/z", "/database"));
    assert_string_equal(view.dests[1].resolved, "/mnt/data/new");
    assert_string_equal(view.dests[2].resolved, "/tmp/x/y");
    assert_string_equal(view.dests[3].resolved, "/dev/shm/z");
    /* only for /database */
    assert_int_equal(view.n_dirs, 1);
}

static void fixed_points_must_be_real_directories(void **state)
{
    assert_int_equal(unlinkat(root, "tmp", AT_REMOVEDIR), 0);
    link_in_root("var/tmp", "tmp");
    assert_ok(scan(NULL, 0, 0));
    assert_int_equal(view.n_dirs, 1);
    assert_string_equal(view.dirs[0].path, "/");
    assert_int_equal(unlinkat(root, "tmp", 0), 0);
    assert_ok(scan(NULL, 0, 0));
    assert_int_equal(view.n_dirs, 1);
}

static void links_into_dev_or_proc_are_refused(void **state)
{
    link_in_root("/proc/self", "p");
    assert_int_equal(SCAN(0, "/p/x"), -1);
    assert_mentions("/proc/self/x");
    error_clear(&err);
    link_in_root("dev", "d");
    assert_int_equal(SCAN(0, "/d"), -1);
    error_clear(&err);
    link_in_root("l2", "l1");
    link_in_root("l1", "l2");
    assert_int_equal(SCAN(0, "/l1/x"), -1);
    assert_int_equal(err.errnum, ELOOP);
}

static void programs(void **state)
{
    test_text("root/usr/bin/sh", "#!");
    link_in_root("usr/bin", "bin");
    link_in_root("/usr/bin/sh", "usr/bin/bash");
    assert_int_equal(rootscan_has_program(&tree, "/bin/sh"), 0);
    assert_int_equal(fchmodat(root, "usr/bin/sh", 0755, 0), 0);
    assert_int_equal(rootscan_has_program(&tree, "/bin/sh"), 1);
    assert_int_equal(rootscan_has_program(&tree, "/bin/bash"), 1);
    assert_int_equal(rootscan_has_program(&tree, "/bin"), 0);
    assert_int_equal(rootscan_has_program(&tree, "/bin/zsh"), 0);
}

static void small_files(void **state)
{
    struct buf text = BUF_INIT;

    test_text("root/etc/passwd", "root:x\n");
    link_in_root("/etc/passwd", "link");
    link_in_root("/../../../../../etc/hostname", "escape");
    assert_ok(rootscan_read(&tree, "/link", &text, &err));
    assert_string_equal(buf_str(&text), "root:x\n");
    assert_ok(rootscan_read(&tree, "/gone", &text, &err));
    assert_ok(rootscan_read(&tree, "/escape", &text, &err));
    assert_ok(rootscan_read(&tree, "/etc", &text, &err));
    assert_int_equal(text.len, 7);
    buf_release(&text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Of a tree that overlay merges nothing is opened: what the layer with the mount points
 * has to look like is told instead. */
static void merged_tree_gives_attributes(void **state)
{
    const char *const dests[] = {"/etc/deep/new", "/data/link/x", "/file", "/tmp/in"};
    struct timespec mtime = {1234, 5};

    test_mkdir("root/etc/deep");
    test_mkdir("root/data");
    test_mkdir("root/real/below");
    test_text("root/file", "x");
    assert_int_equal(chmod(test_path("root/etc"), 0750), 0);
    link_in_root("../real", "data/link");
    tree.merged = true;
    assert_ok(roottree_add_dir(&tree, "etc/deep", 0700, &mtime, &err));
    assert_ok(roottree_add_dir(&tree, "real/below", 0711, &mtime, &err));
    assert_ok(scan(dests, 4, 0));
    assert_true(view.merged);
    assert_int_equal(view.n_dirs, 0);
    assert_string_equal(view.dests[1].resolved, "/real/x");
    assert_int_equal(view.n_attrs, 5);
    assert_string_equal(view.attrs[0].path, "/");
    assert_string_equal(view.attrs[1].path, "/etc");
    assert_int_equal(view.attrs[1].mode, 0750);
    assert_string_equal(view.attrs[2].path, "/etc/deep");
    assert_int_equal(view.attrs[2].mode, 0700);
    assert_int_equal(view.attrs[2].mtime_s, 1234);
    assert_int_equal(view.attrs[2].mtime_ns, 5);
    assert_string_equal(view.attrs[3].path, "/real");
    /* no mount point is below it, but its attributes are corrected */
    assert_string_equal(view.attrs[4].path, "/real/below");
    for (size_t i = 0; i < tree.n_dirs; i++)
        free(tree.dirs[i].path);
    free(tree.dirs);
    tree = (struct roottree){.layers = &layer, .n_layers = 1};
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_missing),
        TEST(missing_point_opens_its_ancestors),
        TEST(links_of_the_image_are_followed_inside),
        TEST(dangling_link_is_followed),
        TEST(wrong_type_opens_the_parent),
        TEST(points_below_others_are_left),
        TEST(fixed_points_must_be_real_directories),
        TEST(links_into_dev_or_proc_are_refused),
        TEST(programs),
        TEST(small_files),
        TEST(merged_tree_gives_attributes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
