/* A tree that is not mounted yet: layers over each other. */
#include "unit/image/image_test.h"

#include "image/rootpath.h"
#include "image/rootscan.h"

static struct error err;
static struct roottree tree;

static int setup(void **state)
{
    error_clear(&err);
    tree = (struct roottree)ROOTTREE_INIT;
    return test_setup(state);
}

static int teardown(void **state)
{
    roottree_release(&tree);
    return test_teardown(state);
}

/* On top of those that are there; opened when it is needed. */
static void add(const char *name, const char *prefix)
{
    test_mkdir(name);
    assert_ok(roottree_add(&tree, -1, test_path(name), prefix, &err));
}

/* 'd', 'f', 'l', or '-' when there is nothing. */
static char look(const char *path)
{
    struct stat st;
    int rc = roottree_look(&tree, path, &st, NULL, &err);

    if (rc < 0)
        fail_msg("%s", err.text);
    if (rc == 1)
        return '-';
    return S_ISDIR(st.st_mode) ? 'd' : S_ISLNK(st.st_mode) ? 'l' : 'f';
}

static void assert_reads(const char *path, const char *expected)
{
    struct buf text = BUF_INIT;

    assert_ok(rootscan_read(&tree, path, &text, &err));
    assert_string_equal(buf_str(&text), expected);
    buf_release(&text);
}

static void assert_lists(const char *path, const char *expected)
{
    struct strv names = STRV_INIT;
    struct buf text = BUF_INIT;

    assert_ok(roottree_list(&tree, path, &names, &err));
    for (size_t i = 0; i < names.count; i++)
        buf_addf(&text, "%s ", names.items[i]);
    assert_string_equal(buf_str(&text), expected);
    buf_release(&text);
    strv_release(&names);
}

static void the_topmost_counts(void **state)
{
    test_text("a/etc/conf", "old");
    test_text("a/etc/only", "a");
    test_text("b/etc/conf", "new");
    test_text("b/top", "b");
    add("a", "");
    add("b", NULL);
    assert_reads("/etc/conf", "new");
    assert_reads("/etc/only", "a");
    assert_lists("", "etc top ");
    assert_lists("etc", "conf only ");
    assert_int_equal(look(""), 'd');
    assert_int_equal(look("etc/none"), '-');
    assert_int_equal(look("none/below"), '-');
}

static void what_is_no_directory_hides_what_is_below(void **state)
{
    test_text("a/x/file", "hidden");
    test_text("b/x", "a file");
    test_text("c/x/other", "c");
    add("a", "");
    add("b", "");
    assert_int_equal(look("x"), 'f');
    assert_int_equal(look("x/file"), '-');
    /* a directory over that begins anew */
    add("c", "");
    assert_int_equal(look("x"), 'd');
    assert_int_equal(look("x/file"), '-');
    assert_reads("/x/other", "c");
    assert_lists("x", "other ");
}

static void links_hide_too_and_lead_through_all_layers(void **state)
{
    test_text("a/lib/below", "hidden");
    test_text("a/usr/lib/so", "a");
    test_mkdir("b");
    assert_int_equal(symlinkat("usr/lib", test_dir.fd, "b/lib"), 0);
    test_text("c/usr/lib/more", "c");
    add("a", "");
    add("b", "");
    add("c", "usr/lib");
    assert_int_equal(look("lib"), 'l');
    assert_int_equal(look("lib/below"), '-');
    assert_reads("/lib/so", "a");
    assert_reads("/lib/more", "c");
}

static void nothing_leads_out(void **state)
{
    test_text("outside/secret", "secret");
    test_mkdir("a");
    assert_int_equal(symlinkat("../../outside", test_dir.fd, "a/up"), 0);
    assert_int_equal(symlinkat(test_path("outside"), test_dir.fd, "a/abs"), 0);
    assert_int_equal(symlinkat("/proc/self/cwd", test_dir.fd, "a/magic"), 0);
    add("a", "");
    add("b", "");
    assert_reads("/up/secret", "");
    assert_reads("/abs/secret", "");
    assert_reads("/magic/a", "");
    /* as the program never asks: not a normal path */
    assert_int_equal(look("up/secret"), '-');
}

/* What a prefix says is believed, so that most layers need no look. */
static void prefixes_spare_looks(void **state)
{
    test_text("a/nix/store/aaa/bin", "a");
    test_text("b/etc/passwd", "b");
    assert_ok(roottree_add(&tree, -1, "/does/not/exist", "nix/store/bbb", &err));
    add("a", "nix/store/aaa");
    add("b", "");
    assert_reads("/nix/store/aaa/bin", "a");
    assert_reads("/etc/passwd", "b");
    assert_int_equal(look("nix/store/aaab"), '-');
    assert_int_equal(look("nix/storeroom"), '-');
    /* on the way to it the layer is asked */
    assert_int_equal(
        roottree_look(&tree, "nix/store/bbb", &(struct stat){0}, NULL, &err), -1);
}

static void corrections_are_told(void **state)
{
    const struct timespec mtime = {77, 8};
    struct stat st;

    test_mkdir("a/etc/x");
    test_text("a/etc/file", "");
    add("a", "");
    assert_ok(roottree_add_dir(&tree, "etc", 0700, &mtime, &err));
    assert_ok(roottree_add_dir(&tree, "etc/file", 0111, &mtime, &err));
    assert_ok(roottree_look(&tree, "etc", &st, NULL, &err));
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(st.st_mtim.tv_sec, 77);
    assert_int_equal(st.st_mtim.tv_nsec, 8);
    assert_ok(roottree_look(&tree, "etc/x", &st, NULL, &err));
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    assert_ok(roottree_look(&tree, "etc/file", &st, NULL, &err));
    assert_int_equal(st.st_mode, S_IFREG | 0644);
}

static void a_layer_that_is_gone_is_an_error(void **state)
{
    struct stat st;

    add("a", "");
    assert_ok(roottree_add(&tree, -1, "/does/not/exist", "", &err));
    assert_int_equal(roottree_look(&tree, "etc", &st, NULL, &err), -1);
    assert_mentions("/does/not/exist");
}

int main(void)
{
#define in_dir(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        in_dir(the_topmost_counts),
        in_dir(what_is_no_directory_hides_what_is_below),
        in_dir(links_hide_too_and_lead_through_all_layers),
        in_dir(nothing_leads_out),
        in_dir(prefixes_spare_looks),
        in_dir(corrections_are_told),
        in_dir(a_layer_that_is_gone_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
