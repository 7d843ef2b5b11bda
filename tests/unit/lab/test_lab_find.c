#include "unit/lab/fixture.h"

static const char *const texts[] = {
    RUN("one", "",
        SIMPLE("aab1-p-1.0", "", DATA) "," SIMPLE("aab2-q-1.0", "", DATA) "," SIMPLE(
            "zz-same-1", "", DATA)),
    RUN("two", "", SIMPLE("yy-same-1", "", DATA) "," SIMPLE("aab", "", DATA)), NULL};

static int make(void **state)
{
    struct lab *lab = calloc(1, sizeof(*lab));

    memory_lab_ok(lab, texts);
    *state = lab;
    return 0;
}

static int drop_it(void **state)
{
    lab_release(*state);
    free(*state);
    return 0;
}

static void assert_found(const struct lab *lab, const char *name, const char *id)
{
    struct error err = ERROR_INIT;
    const struct lab_job *job = lab_find_job(lab, name, &err);

    if (!job)
        fail_msg("%s", err.text);
    assert_string_equal(job->id, id);
}

static void assert_not_found(const struct lab *lab, const char *name, const char *part)
{
    struct error err = ERROR_INIT;

    assert_null(lab_find_job(lab, name, &err));
    assert_error(&err, part);
    assert_int_equal(error_exit_code(&err), 125);
}

static void test_found(void **state)
{
    assert_found(*state, "aab1-p-1.0", "aab1-p-1.0");
    assert_found(*state, "aab1", "aab1-p-1.0");
    assert_found(*state, "aab2-", "aab2-q-1.0");
    assert_found(*state, "aab", "aab"); /* an id that is a prefix of others */
    assert_found(*state, "z", "zz-same-1");
    assert_found(*state, "q-1.0", "aab2-q-1.0");
}

static void test_not_found(void **state)
{
    assert_not_found(*state, "nothing", "no job 'nothing'");
    assert_not_found(*state, "", "no job ''");
    assert_not_found(*state, "aab1-p-1.0x", "no job");
    assert_not_found(*state, "jobs/aab1-p-1.0", "no job");
    assert_not_found(*state, "~", "no job");
}

static void test_ambiguous(void **state)
{
    assert_not_found(*state, "aa",
                     "ambiguous: 3 jobs match (aab, aab1-p-1.0, aab2-q-1.0)");
    assert_not_found(*state, "same-1", "(yy-same-1, zz-same-1)");
}

static void test_many_candidates(void **state)
{
    static const char *const many[] = {
        RUN("r", "",
            SIMPLE("a1", "", "") "," SIMPLE("a2", "", "") "," SIMPLE(
                "a3", "", "") "," SIMPLE("a4", "",
                                         "") "," SIMPLE("a5", "",
                                                        "") "," SIMPLE("a6", "", "")),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, many);
    assert_not_found(&lab, "a", "a5 and 1 more");
    lab_release(&lab);
}

static void test_runs(void **state)
{
    const struct lab *lab = *state;

    assert_ptr_equal(lab_find_run(lab, "two"), &lab->runs[1]);
    assert_null(lab_find_run(lab, "tw"));
    assert_null(lab_find_run(lab, ""));
}

static void test_by_id(void **state)
{
    const struct lab *lab = *state;

    assert_ptr_equal(lab_job_by_id(lab, "aab"), &lab->jobs[0]);
    assert_null(lab_job_by_id(lab, "aa"));
    assert_null(lab_job_by_id(lab, "zzz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found, make, drop_it),
        cmocka_unit_test_setup_teardown(test_not_found, make, drop_it),
        cmocka_unit_test_setup_teardown(test_ambiguous, make, drop_it),
        cmocka_unit_test(test_many_candidates),
        cmocka_unit_test_setup_teardown(test_runs, make, drop_it),
        cmocka_unit_test_setup_teardown(test_by_id, make, drop_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
