#include "unit/lab/fixture.h"

#include "lab/inputs.h"

#define GLOBAL(input) "{\"type\":\"global\",\"target_input\":\"" input "\"}"
#define STORE "{\"target_input\":\"store__base\"}"
#define META(run, input)                                                               \
    "{\"type\":\"inter-run\",\"source_run\":\"" run "\",\"target_input\":\"" input "\"}"

static const char *const texts[] = {
    RUN("sim", "",
        SIMPLE(
            "a-p-1", "",
            DATA
            ",\"dir\":\"$out\",\"twice\":\"$out/x$out\",\"num\":3,"
            "\"up\":\"$out/../../b-q-1/out\",\"abs\":\"/etc/passwd\","
            "\"rel\":\"numbers.txt\",\"beside\":\"$outside\","
            "\"dots\":\"$out/..\",\"fine\":\"$out/..x/y..\"") ","
                                                              "\"g-s-1\":{\"stage_"
                                                              "type\":\"scatter-"
                                                              "gather\","
                                                              "\"executables\":{" EXE(
                                                                  "g-s-1", "scatter",
                                                                  FROM("a-p-1", "data",
                                                                       "n"),
                                                                  "\"sums\":\"$out/"
                                                                  "no\"") "," EXE("g-s-"
                                                                                  "1",
                                                                                  "step"
                                                                                  "-x",
                                                                                  "",
                                                                                  "") "," EXE("g-s-1",
                                                                                              "gather",
                                                                                              "",
                                                                                              "\"sums\":\"$out/sums.txt\"") "}}"),
    RUN("ana", "\"revision/metadata-0.json\":\"hard\"",
        SIMPLE(
            "all",
            META("sim", "metadata__sim") "," GLOBAL(
                "z") "," STORE
                     "," FROM("g-s-1", "sums", "s") "," FROM(
                         "a-p-1", "data",
                         "d") "," FROM("a-p-1", "dir",
                                       "dir") "," META("gone",
                                                       "metadata__gone") ","
                                                                         "{\"target_"
                                                                         "input\":"
                                                                         "\"ignored\","
                                                                         "\"source\":"
                                                                         "\"x\"},"
                                                                         "{\"job_id\":"
                                                                         "\"nowhere\","
                                                                         "\"source_"
                                                                         "output\":"
                                                                         "null,"
                                                                         "\"target_"
                                                                         "input\":"
                                                                         "\"i\"},"
                                                                         "{\"job_id\":"
                                                                         "\"a-p-1\","
                                                                         "\"source_"
                                                                         "output\":"
                                                                         "\"data\"}",
            "") "," SIMPLE("rules",
                           "{\"job_id\":\"a-p-1\",\"source_output\":\"data\",\"type\":"
                           "\"global\",\"source_run\":\"sim\",\"target_input\":\"one\"}"
                           ","
                           "{\"type\":\"global\",\"source_run\":\"sim\",\"target_"
                           "input\":\"two\"},"
                           "{\"source_run\":\"sim\",\"target_input\":\"store__base\"}",
                           "") "," SIMPLE("again",
                                          FROM("a-p-1", "data", "x") "," GLOBAL(
                                              "y") "," GLOBAL("x") "," META("gone",
                                                                            "y"),
                                          "") "," SIMPLE("none", "", "") "," SIMPLE("e-"
                                                                                    "nu"
                                                                                    "m",
                                                                                    FROM("a-p-1", "num",
                                                                                         "x"),
                                                                                    "") "," SIMPLE("e-up",
                                                                                                   FROM(
                                                                                                       "a-p-1", "up",
                                                                                                       "x"),
                                                                                                   "") "," SIMPLE("e-abs", FROM("a-p-1", "abs", "x"), "") "," SIMPLE("e-rel", FROM("a-p-1", "rel", "x"), "") "," SIMPLE("e-beside", FROM("a-p-1", "beside", "x"), "") "," SIMPLE("e-dots", FROM("a-p-1", "dots", "x"), "") "," SIMPLE("e-fine",
                                                                                                                                                                                                                                                                                                                                      FROM("a-p-1", "fine", "x"), "") "," SIMPLE("e-output",
                                                                                                                                                                                                                                                                                                                                                                                 FROM(
                                                                                                                                                                                                                                                                                                                                                                                     "a-p-1",
                                                                                                                                                                                                                                                                                                                                                                                     "nope",
                                                                                                                                                                                                                                                                                                                                                                                     "x"),
                                                                                                                                                                                                                                                                                                                                                                                 "") "," SIMPLE("e-job",
                                                                                                                                                                                                                                                                                                                                                                                                FROM("b-q-9",
                                                                                                                                                                                                                                                                                                                                                                                                     "data", "x"),
                                                                                                                                                                                                                                                                                                                                                                                                "") "," SIMPLE("e-scatter",
                                                                                                                                                                                                                                                                                                                                                                                                               FROM(
                                                                                                                                                                                                                                                                                                                                                                                                                   "g-s-1",
                                                                                                                                                                                                                                                                                                                                                                                                                   "no",
                                                                                                                                                                                                                                                                                                                                                                                                                   "x"),
                                                                                                                                                                                                                                                                                                                                                                                                               "")),
    NULL};

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

static void resolve(const struct lab *lab, const char *id, struct inputs *in)
{
    struct error err = ERROR_INIT;

    if (inputs_resolve(lab, lab_job_by_id(lab, id), "/base", in, &err) < 0)
        fail_msg("%s", err.text);
}

static void assert_json(const struct lab *lab, const char *id, const char *expected)
{
    struct inputs in = INPUTS_INIT;
    struct error err = ERROR_INIT;
    char *text;

    resolve(lab, id, &in);
    text = inputs_json(&in, &err);
    assert_string_equal(text, expected);
    free(text);
    inputs_release(&in);
}

static void assert_refused(const struct lab *lab, const char *id, const char *part)
{
    struct inputs in = INPUTS_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(inputs_resolve(lab, lab_job_by_id(lab, id), "/base", &in, &err),
                     -1);
    assert_error(&err, part);
    assert_error(&err, id);
    assert_error(&err, "input 'x'");
    assert_null(in.items);
}

static void test_json(void **state)
{
    assert_json(*state, "all",
                "{\n"
                "  \"d\": \"/base/outputs/a-p-1/out/numbers.txt\",\n"
                "  \"dir\": \"/base/outputs/a-p-1/out\",\n"
                "  \"metadata__sim\": \"/base/artifacts/revision/metadata-sim.json\",\n"
                "  \"s\": \"/base/outputs/g-s-1/out/sums.txt\",\n"
                "  \"store__base\": \"/base\",\n"
                "  \"z\": \"/base\"\n"
                "}");
    assert_json(*state, "none", "{}");
    assert_json(*state, "g-s-1",
                "{\n  \"n\": \"/base/outputs/a-p-1/out/numbers.txt\"\n}");
}

static void test_details(void **state)
{
    const struct lab *lab = *state;
    struct inputs in = INPUTS_INIT;

    resolve(lab, "all", &in);
    assert_int_equal(in.n, 6);
    assert_int_equal(in.items[0].kind, INPUT_ARTIFACT);
    assert_int_equal(in.items[0].producer, job_index(lab, "a-p-1"));
    assert_int_equal(in.items[0].run, SIZE_MAX);
    assert_null(in.items[0].source);
    assert_int_equal(in.items[2].kind, INPUT_METADATA);
    assert_int_equal(in.items[2].run, 0);
    assert_int_equal(in.items[2].producer, SIZE_MAX);
    assert_string_equal(in.items[2].source, "revision/metadata-sim.json");
    assert_int_equal(in.items[3].producer, job_index(lab, "g-s-1"));
    assert_int_equal(in.items[4].kind, INPUT_STORE);
    assert_int_equal(in.warnings.count, 1);
    assert_non_null(strstr(in.warnings.items[0], "metadata__gone"));
    inputs_release(&in);
}

static void test_first_rule_wins(void **state)
{
    assert_json(*state, "rules",
                "{\n"
                "  \"one\": \"/base/outputs/a-p-1/out/numbers.txt\",\n"
                "  \"store__base\": \"/base\",\n"
                "  \"two\": \"/base\"\n"
                "}");
}

static void test_last_mapping_wins(void **state)
{
    assert_json(*state, "again", "{\n  \"x\": \"/base\",\n  \"y\": \"/base\"\n}");
}

/* The first file by name, and more than the run's own name may stand before the end. */
static void test_first_revision(void **state)
{
    struct lab *lab = *state;
    struct inputs in = INPUTS_INIT;

    strv_add(&lab->revisions, "abc-metadata-sim.json");
    strv_sort(&lab->revisions);
    resolve(lab, "all", &in);
    assert_string_equal(in.items[2].path,
                        "/base/artifacts/revision/abc-metadata-sim.json");
    assert_string_equal(in.items[2].source, "revision/abc-metadata-sim.json");
    inputs_release(&in);
}

static void test_refused(void **state)
{
    assert_refused(*state, "e-num", "output 'num' is not a path");
    assert_refused(*state, "e-up", "outside its producer's out");
    assert_refused(*state, "e-abs", "'/etc/passwd', which points outside");
    assert_refused(*state, "e-rel", "outside its producer's out");
    assert_refused(*state, "e-beside", "outside its producer's out");
    assert_refused(*state, "e-dots", "outside its producer's out");
    assert_refused(*state, "e-output", "job 'a-p-1' has no output 'nope'");
    assert_refused(*state, "e-job", "job 'b-q-9', which is not in the lab");
    assert_refused(*state, "e-scatter", "no output 'no'");
}

static void test_templates(void **state)
{
    struct lab *lab = *state;
    struct lab_mapping *m;
    struct lab_job *job = &lab->jobs[job_index(lab, "e-fine")];
    const struct lab_executable *exe = lab_executable(job, "main");

    assert_json(lab, "e-fine", "{\n  \"x\": \"/base/outputs/a-p-1/out/..x/y..\"\n}");
    m = &exe->inputs[0];
    free(m->source_output);
    m->source_output = strdup("twice");
    assert_json(lab, "e-fine",
                "{\n  \"x\": \"/base/outputs/a-p-1/out/x/base/outputs/a-p-1/out\"\n}");
}

static void test_escapes(void **state)
{
    static const char *const odd[] = {
        RUN("r", "",
            SIMPLE("a-p", "", "\"o\":\"$out/\\\"\\n\\u00e9\"") "," SIMPLE(
                "b-q", FROM("a-p", "o", "k\\\\\\u0001"), "")),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, odd);
    assert_json(&lab, "b-q",
                "{\n  \"k\\\\\\u0001\": \"/base/outputs/a-p/out/\\\"\\n\303\251\"\n}");
    lab_release(&lab);
}

int main(void)
{
#define INPUTS_TEST(f) cmocka_unit_test_setup_teardown(f, make, drop_it)
    const struct CMUnitTest tests[] = {
        INPUTS_TEST(test_json),
        INPUTS_TEST(test_details),
        INPUTS_TEST(test_first_rule_wins),
        INPUTS_TEST(test_last_mapping_wins),
        INPUTS_TEST(test_first_revision),
        INPUTS_TEST(test_refused),
        INPUTS_TEST(test_templates),
        cmocka_unit_test(test_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
