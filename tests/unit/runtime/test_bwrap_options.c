#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "runtime/runtime_internal.h"
#include "unit/golden.h"
#include "unit/plan/cases.h"

static void check_golden(const struct plan_input *in, const char *name)
{
    static const int data[] = {100, 101, 102, 103};
    struct plan p = PLAN_INIT;
    struct strv options = STRV_INIT;
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;

    assert_int_equal(plan_build(&p, in, &err), 0);
    assert_int_equal(bwrap_options(&p, data, 99, &options, &err), 0);
    for (size_t i = 0; i < options.count; i++) {
        const char *item = options.items[i];

        buf_addf(&text, "%s%s", strncmp(item, "--", 2) == 0 ? (i ? "\n" : "") : " ",
                 item);
    }
    buf_addc(&text, '\n');
    golden_check(TEST_DATA, name, buf_str(&text));
    buf_release(&text);
    strv_release(&options);
    plan_release(&p);
}

static void test_golden_complete_image(void **state)
{
    struct plan_input in = case_pure();

    check_golden(&in, "complete.args");
}

/* As bwrap 0.11 would do it: for people. */
static void test_golden_merged_image(void **state)
{
    struct plan_input in = case_merged();

    check_golden(&in, "merged.args");
}

static void test_golden_opened_image(void **state)
{
    struct plan_input in = case_opened();

    check_golden(&in, "opened.args");
}

static void test_golden_host_root(void **state)
{
    struct plan_input in = case_host_root();

    check_golden(&in, "host-root.args");
}

static void test_too_many_mounts(void **state)
{
    struct plan p = PLAN_INIT;
    struct strv options = STRV_INIT;
    struct error err = ERROR_INIT;

    for (int i = 0; i < 3000; i++) {
        char dest[32];

        snprintf(dest, sizeof(dest), "/x%d", i);
        assert_int_equal(
            plan_add_mount(&p, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "/x", dest, &err),
            0);
    }
    assert_int_equal(bwrap_options(&p, NULL, 99, &options, &err), -1);
    assert_non_null(strstr(err.text, "3000 mounts"));
    strv_release(&options);
    plan_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_complete_image),
        cmocka_unit_test(test_golden_opened_image),
        cmocka_unit_test(test_golden_merged_image),
        cmocka_unit_test(test_golden_host_root),
        cmocka_unit_test(test_too_many_mounts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
