#include "unit/image/image_test.h"

#include "image/rootgaps.h"

static int root = -1;

static int setup(void **state)
{
    if (test_setup(state) < 0)
        return -1;
    test_mkdir("root/var/lib");
    test_text("root/var/file", "");
    root = openat(test_dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(symlinkat("/var", root, "to-var"), 0);
    assert_int_equal(symlinkat("lib", root, "var/to-lib"), 0);
    assert_int_equal(symlinkat("/nowhere/at/all", root, "var/dangling"), 0);
    assert_int_equal(symlinkat("..", root, "var/up"), 0);
    return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    close(root);
    return test_teardown(state);
}

/* Asked one after the other; whatever is answered from what was seen before is what the
 * tree would say. `known`: no look at the tree is needed. */
static void as_the_tree_would_say(void **state)
{
    static const struct {
        const char *path;
        bool known;
    } asked[] = {
        {"/base/outputs/a/out", false},
        {"/base/outputs/b/out", true},
        {"/base", true},
        {"/base/./x", false},
        {"/base/x/../../var/lib", false},
        {"/base//x", false},
        {"/base/x/", false},
        {"/based", false},
        {"/var/lib", false},
        {"/var/lib/x/y", false},
        {"/var/lib/x/z", true},
        {"/var/lib/xx", false},
        {"/var/libx", false},
        {"/var/file/x", false},
        {"/var/file/x/y", true},
        {"/var/file/y", false},
        /* behind a link nothing is remembered */
        {"/to-var/new/a", false},
        {"/to-var/new/b", false},
        {"/var/to-lib/new/a", false},
        {"/var/to-lib/new/a", false},
        {"/var/dangling/a", false},
        {"/var/dangling/a", false},
        {"/var/up/new/a", false},
        {"/var/up/new/b", false},
        {"/new/c", false},
        {"/new/c", true},
    };
    struct rootgaps g = ROOTGAPS_INIT;
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct rootpath want = {0}, got = {0};
        int rc = rootgaps_resolve(&g, asked[i].path, &got, &err);

        if (rc != (asked[i].known ? 0 : 1))
            fail_msg("%s: %d", asked[i].path, rc);
        assert_ok(rootpath_resolve(root, asked[i].path, &want, &err));
        if (rc == 1) {
            rootgaps_note(&g, asked[i].path, &want);
        } else {
            assert_string_equal(got.path, want.path);
            assert_string_equal(got.existing, want.existing);
            assert_int_equal(got.mode & S_IFMT, want.mode & S_IFMT);
        }
        rootpath_release(&want);
        rootpath_release(&got);
    }
    rootgaps_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(as_the_tree_would_say, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
