#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/error.h"
#include "outcome/record.h"

static json_t *render(const struct record *r)
{
    struct error err = ERROR_INIT;
    char *text = record_json(r, &err);
    json_t *o;

    assert_non_null(text);
    o = json_loads(text, 0, NULL);
    assert_non_null(o);
    free(text);
    return o;
}

static const char *text_at(json_t *o, const char *a, const char *b)
{
    json_t *v = json_object_get(o, a);

    return json_string_value(b ? json_object_get(v, b) : v);
}

static void test_complete(void **state)
{
    struct error err = ERROR_INIT;
    struct plan plan = PLAN_INIT;
    struct supervise_result result = {
        .started = true, .wait_status = 9, .signalled = 15, .killed = true};
    char *env[] = {(char[]){"SLURM_JOB_ID=7"}, (char[]){"SECRET=x"}, NULL};
    struct record r = {.job = "J",
                       .unit = "simple",
                       .plan = &plan,
                       .env = env,
                       .result = &result,
                       .exit_code = 137,
                       .run_ns = 1500000000};
    json_t *o;

    plan.runtime = strdup("bwrap");
    strv_add(&plan.env, "TOKEN=hunter2");
    strv_add(&plan.argv, "/x");
    assert_int_equal(plan_add_mount(&plan, PLAN_MOUNT_DATA, PLAN_ROLE_SYSTEM,
                                    "root:x:0:0", "/etc/passwd", &err),
                     0);
    o = render(&r);
    assert_string_equal(text_at(o, "runtime", "name"), "bwrap");
    assert_string_equal(text_at(o, "slurm", "SLURM_JOB_ID"), "7");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(o, "exit"), "signal")), 9);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(o, "exit"), "cancelled_by")),
        15);
    assert_true(json_is_true(
        json_object_get(json_object_get(o, "exit"), "killed_after_grace")));
    /* names of the environment only, never values; no content of data files */
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(o, "environment"), 0)),
        "TOKEN");
    assert_null(
        json_object_get(json_array_get(json_object_get(o, "mounts"), 0), "source"));
    json_decref(o);
    plan_release(&plan);
}

static void test_did_not_start(void **state)
{
    char *env[] = {NULL};
    struct record r = {
        .job = "bad\xff\x1bname", .env = env, .exit_code = 125, .error = "no space"};
    json_t *o = render(&r);

    assert_string_equal(text_at(o, "job", NULL), "bad\\xff\\x1bname");
    assert_string_equal(text_at(o, "exit", "error"), "no space");
    assert_true(json_is_null(json_object_get(o, "usage")));
    assert_true(json_is_null(json_object_get(o, "slurm")));
    json_decref(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_did_not_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
