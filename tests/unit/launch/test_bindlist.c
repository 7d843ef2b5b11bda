#include "launch/bindlist.h"

#include "unit/launch/base_fixture.h"

static void test_first_destination_counts(void **state)
{
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(
        bindlist_add(&l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, "/a", "/x", false, &err),
        0);
    assert_int_equal(
        bindlist_add(&l, PLAN_MOUNT_BIND_RW, PLAN_ROLE_USER, "/b", "/x", false, &err),
        0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].source, "/a");
    bindlist_release(&l);
}

/* A mount point below a bind whose links are somebody else's. */
static void test_nested_destinations(void **state)
{
    static const struct {
        const char *dest;
        int expected;
    } cases[] = {
        {"/data/sub", 0},     {"/data/inner/new/x", 0}, {"/data/file", 0},
        {"/data/new/x/y", 0}, {"/data/absolute/x", -1}, {"/data/absolute", -1},
        {"/data/escape", -1}, {"/data/up/x", -1},       {"/database/x", 0},
    };
    _cleanup_free_ char *out = in_base("outputs/J/out");

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bindlist l = BINDLIST_INIT;
        struct error err = ERROR_INIT;

        bindlist_add(&l, PLAN_MOUNT_BIND_RW, PLAN_ROLE_USER, out, "/data", false, &err);
        bindlist_add(&l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "/b", cases[i].dest, false,
                     &err);
        if (bindlist_check_nested(&l, &err) != cases[i].expected)
            fail_msg("%s: %s", cases[i].dest, err.text);
        bindlist_release(&l);
    }
}

static void test_user_mounts(void **state)
{
    struct bindlist l = BINDLIST_INIT;
    struct error err = ERROR_INIT;
    _cleanup_free_ char *text = str_printf("%s/outputs:/data:rw", base);

    assert_int_equal(bindlist_add_mount(&l, text, &err), 0);
    assert_int_equal(l.items[0].kind, PLAN_MOUNT_BIND_RW);
    assert_string_equal(l.items[0].dest, "/data");
    assert_int_equal(bindlist_add_mount(&l, "/no/such/path", &err), -1);
    assert_non_null(strstr(err.text, "/no/such/path"));
    assert_int_equal(bindlist_add_mount(&l, "/dev/null", &err), 0);
    assert_int_equal(l.items[1].kind, PLAN_MOUNT_BIND_DEV);
    assert_true(l.is_file[1]);
    bindlist_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_destination_counts),
        cmocka_unit_test(test_nested_destinations),
        cmocka_unit_test(test_user_mounts),
    };

    return cmocka_run_group_tests(tests, base_setup, tempdir_teardown);
}
