#include "unit/lab/fixture.h"

#include "lab/inputs.h"

#define STEP(name, deps, inputs, outputs)                                              \
    "\"step-" name "\":{\"path\":\"jobs/g/bin/" name "\",\"deps\":[" deps              \
    "],\"inputs\":[" inputs "],\"outputs\":{" outputs "}}"
#define SG(steps)                                                                      \
    RUN("r", "",                                                                       \
        SIMPLE("a", "", DATA) ",\"g\":{\"stage_type\":\"scatter-gather\","             \
                              "\"executables\":{" EXE(                                 \
                                  "g", "scatter", FROM("a", "data", "data"),           \
                                  "") "," EXE("g", "gather",                           \
                                              FROM("self", "x", "y") "," FROM(         \
                                                  "a", "data", "other"),               \
                                              "") "," steps "}}")
#define FROM_STEP(step, output, input)                                                 \
    "{\"source\":\"step:" step "\",\"source_output\":\"" output                        \
    "\",\"target_input\":\"" input "\"}"

static const char *const demo[] = {
    SG(STEP(
        "square", "\"extract\"",
        FROM_STEP("extract", "number", "n") "," FROM("a", "data", "absent"),
        "\"partial\":\"$out/p.txt\",\"all\":\"$out\",\"count\":1") "," STEP("extract",
                                                                            "",
                                                                            "{\"source"
                                                                            "\":"
                                                                            "\"scatter:"
                                                                            "work_"
                                                                            "item\","
                                                                            "\"target_"
                                                                            "input\":"
                                                                            "\"worker__"
                                                                            "item\"}"
                                                                            "," FROM(
                                                                                "a",
                                                                                "ignore"
                                                                                "d",
                                                                                "data") ",{\"source\":\"other\",\"target_input\":\"q\"}",
                                                                            "\"number\""
                                                                            ":\"$out/"
                                                                            "n.txt\"") "," STEP("bad",
                                                                                                "\"square\"",
                                                                                                FROM_STEP(
                                                                                                    "nope",
                                                                                                    "x",
                                                                                                    "x"),
                                                                                                "")),
    NULL};

static const char *const good[] = {
    SG(STEP(
        "square", "\"extract\"", FROM_STEP("extract", "number", "n"),
        "\"partial\":\"$out/p.txt\",\"all\":\"$out\",\"count\":1") "," STEP("extract",
                                                                            "", "",
                                                                            "\"number\""
                                                                            ":\"$out/"
                                                                            "n.txt\"")),
    NULL};

static void assert_json(const struct inputs *in, const char *expected)
{
    struct error err = ERROR_INIT;
    char *text = inputs_json(in, &err);

    assert_string_equal(text, expected);
    free(text);
}

static void test_steps(void **state)
{
    struct inputs sg = INPUTS_INIT, in = INPUTS_INIT;
    struct error err = ERROR_INIT;
    const struct lab_job *job;
    struct lab lab;

    memory_lab_ok(&lab, demo);
    job = lab_job_by_id(&lab, "g");
    assert_int_equal(inputs_resolve(&lab, job, "/base", &sg, &err), 0);
    assert_int_equal(inputs_resolve_step(&lab, job, lab_executable(job, "step-extract"),
                                         7, "/base", &sg, &in, &err),
                     0);
    assert_json(&in,
                "{\n"
                "  \"data\": \"/base/outputs/a/out/numbers.txt\",\n"
                "  \"worker__item\": \"/base/outputs/g/branch-7/repx/work_item.json\"\n"
                "}");
    assert_int_equal(in.items[0].producer, job_index(&lab, "a"));
    assert_int_equal(in.items[1].kind, INPUT_WORK_ITEM);
    assert_int_equal(in.warnings.count, 0); /* other sources are none of ours */
    inputs_release(&in);

    assert_int_equal(inputs_resolve_step(&lab, job, lab_executable(job, "step-square"),
                                         0, "/base", &sg, &in, &err),
                     0);
    assert_json(&in,
                "{\n  \"n\": \"/base/outputs/g/branch-0/step-extract/out/n.txt\"\n}");
    assert_int_equal(in.items[0].producer, SIZE_MAX);
    assert_int_equal(in.warnings.count, 1);
    assert_non_null(strstr(in.warnings.items[0], "'absent'"));
    inputs_release(&in);

    assert_int_equal(inputs_resolve_step(&lab, job, lab_executable(job, "step-bad"), 0,
                                         "/base", &sg, &in, &err),
                     -1);
    assert_error(&err, "job 'g': step-bad: input 'x': comes from step 'nope'");
    inputs_release(&sg);
    lab_release(&lab);
}

static void test_step_output_refused(void **state)
{
    static const char *const texts[] = {
        SG(STEP("x", "", "", "\"o\":\"$out/../../up\",\"n\":1") "," STEP(
            "y", "\"x\"", FROM_STEP("x", "o", "i"),
            "\"p\":\"/tmp/p\"") "," STEP("z", "\"y\"", FROM_STEP("x", "none", "i"),
                                         "\"p\":\"/tmp/p\"")),
        NULL};
    struct inputs sg = INPUTS_INIT, in = INPUTS_INIT;
    struct error err = ERROR_INIT;
    const struct lab_job *job;
    struct lab lab;

    memory_lab_ok(&lab, texts);
    job = lab_job_by_id(&lab, "g");
    assert_int_equal(inputs_resolve_step(&lab, job, lab_executable(job, "step-y"), 0,
                                         "/base", &sg, &in, &err),
                     -1);
    assert_error(&err, "outside its producer's out");
    assert_int_equal(inputs_resolve_step(&lab, job, lab_executable(job, "step-z"), 0,
                                         "/base", &sg, &in, &err),
                     -1);
    assert_error(&err, "step 'x' has no output 'none'");
    assert_null(inputs_worker_outs(&lab, job, "/base", 1, &err));
    assert_error(&err, "output 'p'");
    lab_release(&lab);
}

static void test_gather(void **state)
{
    struct inputs sg = INPUTS_INIT, in = INPUTS_INIT;
    struct error err = ERROR_INIT;
    const struct lab_job *job;
    struct lab lab;

    memory_lab_ok(&lab, demo);
    job = lab_job_by_id(&lab, "g");
    assert_int_equal(inputs_resolve(&lab, job, "/base", &sg, &err), 0);
    assert_int_equal(inputs_resolve_gather(&lab, job, "/base", &sg, &in, &err), 0);
    assert_json(&in, "{\n"
                     "  \"data\": \"/base/outputs/a/out/numbers.txt\",\n"
                     "  \"worker__outs\": "
                     "\"/base/outputs/g/repx/worker_outs_manifest.json\"\n"
                     "}");
    assert_int_equal(in.items[1].kind, INPUT_MANIFEST);
    inputs_release(&in);
    inputs_release(&sg);
    lab_release(&lab);
}

static void assert_worker_outs(const struct lab *lab, size_t n, const char *expected)
{
    struct error err = ERROR_INIT;
    char *text = inputs_worker_outs(lab, lab_job_by_id(lab, "g"), "/b", n, &err);

    if (!text)
        fail_msg("%s", err.text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_worker_outs(void **state)
{
    struct lab lab;

    memory_lab_ok(&lab, good);
    assert_worker_outs(&lab, 0, "[]");
    assert_worker_outs(&lab, 2,
                       "[{\"all\":\"/b/outputs/g/branch-0/step-square/out\","
                       "\"partial\":\"/b/outputs/g/branch-0/step-square/out/p.txt\"},"
                       "{\"all\":\"/b/outputs/g/branch-1/step-square/out\","
                       "\"partial\":\"/b/outputs/g/branch-1/step-square/out/p.txt\"}]");
    lab_release(&lab);
}

/* expected: names of the steps in order, or a part of the error. */
static void assert_steps(const char *text, const char *expected)
{
    struct error err = ERROR_INIT;
    struct buf names = BUF_INIT;
    size_t *order = NULL, n = 0;
    const struct lab_job *job;
    struct lab lab;

    memory_lab_ok(&lab, (const char *const[]){text, NULL});
    job = lab_job_by_id(&lab, "g");
    if (inputs_step_order(job, &order, &n, &err) < 0) {
        assert_error(&err, expected);
        assert_error(&err, "job 'g'");
    } else {
        for (size_t i = 0; i < n; i++)
            buf_addf(&names, "%s ", job->executables[order[i]].name);
        assert_string_equal(buf_str(&names), expected);
    }
    free(order);
    buf_release(&names);
    lab_release(&lab);
}

#define S(name, deps) STEP(name, deps, "", "")

static void test_step_order(void **state)
{
    assert_steps(SG(S("one", "")), "step-one ");
    assert_steps(SG(S("a", "\"b\",\"c\",\"b\"") "," S("b", "\"c\"") "," S("c", "")),
                 "step-c step-b step-a ");
    assert_steps(SG(S("z", "") "," S("m", "\"z\",\"a\"") "," S("a", "")),
                 "step-a step-z step-m ");
    assert_steps(SG(S("a", "") "," S("b", "")), "step-a and step-b are both last");
    assert_steps(SG(S("a", "\"b\"") "," S("b", "\"a\"")), "cycle: step-a -> step-b");
    assert_steps(SG(S("a", "\"a\"")), "cycle: step-a");
    assert_steps(SG(S("a", "\"none\"")), "step-a needs step 'none'");
    assert_steps(SG(S("a", "\"../scatter\"")), "step-a needs step '../scatter'");
}

static void assert_items(const char *json, size_t n, const char *first)
{
    struct strv items = STRV_INIT;
    struct error err = ERROR_INIT;

    if (inputs_work_items(json, strlen(json), &items, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(items.count, n);
    if (n > 0)
        assert_string_equal(items.items[0], first);
    strv_release(&items);
}

static void assert_items_refused(const char *json, const char *part)
{
    struct strv items = STRV_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(inputs_work_items(json, strlen(json), &items, &err), -1);
    assert_error(&err, "work_items.json");
    assert_error(&err, part);
    strv_release(&items);
}

static void test_work_items(void **state)
{
    assert_items("[]", 0, "");
    assert_items(" [ {\"b\": 1.0, \"a\": [ ]}, 2 ]\n", 2, "{\"a\":[],\"b\":1.0}");
    assert_items("[\"x\\ny\"]", 1, "\"x\\ny\"");
    assert_items("[null,true,-3]", 3, "null");
    assert_items("[{\"a\":1,\"a\":2}]", 1, "{\"a\":2}");
    assert_items_refused("{}", "not a JSON array");
    assert_items_refused("", "not valid JSON");
    assert_items_refused("[1,", "not valid JSON");
    assert_items_refused("[1] 2", "not valid JSON");
    assert_items_refused("[12345678901234567890123]", "64 bits");
    assert_items_refused("3", "not valid JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),      cmocka_unit_test(test_step_output_refused),
        cmocka_unit_test(test_gather),     cmocka_unit_test(test_worker_outs),
        cmocka_unit_test(test_step_order), cmocka_unit_test(test_work_items),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
