#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "plan/plan.h"

static void test_mounts_are_copied_in_order(void **state)
{
    struct plan p = PLAN_INIT;
    struct error err = ERROR_INIT;
    char dest[32] = "/a";

    for (int i = 0; i < 100; i++) {
        snprintf(dest, sizeof(dest), "/a/%d", i);
        assert_int_equal(
            plan_add_mount(&p, PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB, "/s", dest, &err), 0);
    }
    assert_int_equal(p.n_mounts, 100);
    assert_string_equal(p.mounts[0].dest, "/a/0");
    assert_string_equal(p.mounts[99].dest, "/a/99");
    plan_release(&p);
    assert_int_equal(p.n_mounts, 0);
    plan_release(&p);
}

static void test_odd_destinations_are_refused(void **state)
{
    static const char *const bad[] = {"",       "a",     "./a", "/a/../b", "/..",  "/.",
                                      "/a/./b", "/a//b", "//a", "/a/",     "/a/.."};
    static const char *const good[] = {"/", "/a", "/...", "/a/..b", "/.hidden/x"};
    struct plan p = PLAN_INIT;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(
            plan_add_mount(&p, PLAN_MOUNT_TMPFS, PLAN_ROLE_USER, NULL, bad[i], &err),
            -1);
        assert_int_equal(err.class, ERROR_LAUNCHER);
        assert_non_null(strstr(err.text, "absolute path"));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(
            plan_add_mount(&p, PLAN_MOUNT_TMPFS, PLAN_ROLE_USER, NULL, good[i], &err),
            0);
    }
    assert_int_equal(p.n_mounts, 5);
    plan_release(&p);
}

static void test_a_bind_needs_a_source(void **state)
{
    static const enum plan_mount_kind kinds[] = {PLAN_MOUNT_BIND_RO, PLAN_MOUNT_BIND_RW,
                                                 PLAN_MOUNT_BIND_DEV,
                                                 PLAN_MOUNT_SYMLINK, PLAN_MOUNT_DATA};
    struct plan p = PLAN_INIT;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(plan_add_mount(&p, kinds[i], PLAN_ROLE_USER, NULL, "/a", &err),
                         -1);
        assert_non_null(strstr(err.text, plan_mount_kind_name(kinds[i])));
    }
    plan_release(&p);
}

static void test_names_differ(void **state)
{
    for (int i = PLAN_MOUNT_BIND_RO; i <= PLAN_MOUNT_OVERLAY; i++) {
        assert_string_not_equal(plan_mount_kind_name((enum plan_mount_kind)i),
                                "unknown");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(plan_mount_kind_name((enum plan_mount_kind)i),
                                    plan_mount_kind_name((enum plan_mount_kind)j));
    }
    for (int i = PLAN_ROLE_ROOT; i <= PLAN_ROLE_USER; i++)
        assert_string_not_equal(plan_role_name((enum plan_role)i), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mounts_are_copied_in_order),
        cmocka_unit_test(test_odd_destinations_are_refused),
        cmocka_unit_test(test_a_bind_needs_a_source),
        cmocka_unit_test(test_names_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
