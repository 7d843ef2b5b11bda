#include "launch/outputs.h"

#include "unit/launch/base_fixture.h"

static int setup(void **state)
{
    if (base_setup(state) < 0)
        return -1;
    make_link("J", "outputs/L");
    make_link(".", "link");
    return 0;
}

static int bind(struct bindlist *l, const char *path, struct error *err)
{
    _cleanup_(outputs_release) struct outputs o;

    outputs_open(&o, base);
    return outputs_bind(&o, l, path, err);
}

/* Adds one artifact to a fresh list and checks the only bind. */
static void expect(const char *rest, enum plan_mount_kind kind, const char *source,
                   bool is_file)
{
    _cleanup_free_ char *path = in_base(rest);
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(bind(&l, path, &err), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.items[0].kind, kind);
    assert_string_equal(l.items[0].source, source);
    assert_string_equal(l.items[0].dest, path);
    assert_int_equal(l.is_file[0], is_file);
    bindlist_release(&l);
}

static void expect_refused(const char *rest)
{
    _cleanup_free_ char *path = in_base(rest);
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(bind(&l, path, &err), -1);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(l.n, 0);
    bindlist_release(&l);
}

static void test_artifacts(void **state)
{
    _cleanup_free_ char *file = in_base("outputs/J/out/file");
    _cleanup_free_ char *sub = in_base("outputs/J/out/sub");
    _cleanup_free_ char *out = in_base("outputs/J/out");
    _cleanup_free_ char *step = in_base("outputs/J/branch-0/step-a/out");

    expect("outputs/J/out/file", PLAN_MOUNT_BIND_RO, file, true);
    expect("outputs/J/out", PLAN_MOUNT_BIND_RO, out, false);
    expect("outputs/J/out/inner", PLAN_MOUNT_BIND_RO, sub, false);
    expect("outputs/J/branch-0/step-a/out", PLAN_MOUNT_BIND_RO, step, false);
}

/* Links before out are the user's own and are followed; the source is named without
 * any link, dot or double slash, whichever way it was found. */
static void test_named_as_it_is(void **state)
{
    _cleanup_free_ char *file = in_base("outputs/J/out/file");
    _cleanup_free_ char *other = in_base("link");
    _cleanup_free_ char *path = str_printf("%s/outputs/J/out/file", other);
    _cleanup_(outputs_release) struct outputs o;
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    expect("outputs/L/out/file", PLAN_MOUNT_BIND_RO, file, true);
    expect("outputs/J/out/./file", PLAN_MOUNT_BIND_RO, file, true);
    expect("outputs/J/out//file", PLAN_MOUNT_BIND_RO, file, true);
    expect("outputs/J/out/sub/../file", PLAN_MOUNT_BIND_RO, file, true);
    outputs_open(&o, other);
    assert_int_equal(outputs_bind(&o, &l, path, &err), 0);
    assert_string_equal(l.items[0].source, file);
    assert_string_equal(l.items[0].dest, path);
    bindlist_release(&l);
}

/* Nothing has run there. */
static void test_no_outputs(void **state)
{
    _cleanup_free_ char *fresh = in_base("outputs/J");
    _cleanup_free_ char *path = str_printf("%s/outputs/J/out/file", fresh);
    _cleanup_(outputs_release) struct outputs o;
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    outputs_open(&o, fresh);
    assert_int_equal(o.fd, -1);
    assert_int_equal(outputs_bind(&o, &l, path, &err), -1);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(l.n, 0);
}

/* A link that leaves out is never followed on the host. */
static void test_links_that_leave(void **state)
{
    expect("outputs/J/out/absolute", PLAN_MOUNT_SYMLINK, "/nix/store/abc", true);
    expect("outputs/J/out/escape", PLAN_MOUNT_SYMLINK, "../secret", true);
    expect_refused("outputs/J/out/up/secret");
}

/* It is there with the directory that holds it, and bwrap makes no link twice. */
static void test_a_link_in_a_bound_out(void **state)
{
    _cleanup_free_ char *out = in_base("outputs/J/out");
    _cleanup_free_ char *link = in_base("outputs/J/out/absolute");
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(bind(&l, out, &err), 0);
    assert_int_equal(bind(&l, link, &err), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(err.class, ERROR_NONE);
    bindlist_release(&l);
}

static void test_not_an_artifact(void **state)
{
    _cleanup_free_ char *missing = in_base("outputs/J/out/missing");
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(bind(&l, missing, &err), 1);
    assert_int_equal(err.class, ERROR_NONE);
    assert_int_equal(l.n, 0);
    expect_refused("outputs/J/secret");
    expect_refused("outputs/J/repx/stdout.log");
    expect_refused("elsewhere/out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_artifacts),
        cmocka_unit_test(test_named_as_it_is),
        cmocka_unit_test(test_no_outputs),
        cmocka_unit_test(test_links_that_leave),
        cmocka_unit_test(test_a_link_in_a_bound_out),
        cmocka_unit_test(test_not_an_artifact),
    };

    return cmocka_run_group_tests(tests, setup, tempdir_teardown);
}
