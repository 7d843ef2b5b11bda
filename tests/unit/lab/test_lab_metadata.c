#include "unit/lab/fixture.h"

static void assert_run_refused(const char *text, const char *part)
{
    struct lab_metadata_run run = {0};
    struct error err = ERROR_INIT;

    if (lab_metadata_parse_run(text, strlen(text), &run, &err) != -1)
        fail_msg("accepted: %s", text);
    assert_error(&err, part);
    assert_int_equal(error_exit_code(&err), 125);
    lab_metadata_run_release(&run);
}

static void parse_job(struct lab_metadata_run *run, const char *job)
{
    struct error err = ERROR_INIT;
    char *text = str_printf("{\"type\":\"run\",\"name\":\"r\",\"jobs\":{%s}}", job);

    if (lab_metadata_parse_run(text, strlen(text), run, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(run->n_jobs, 1);
    free(text);
}

static void test_job(void **state)
{
    struct lab_metadata_run run = {0};
    const struct lab_job *job;
    const struct lab_executable *exe;

    parse_job(
        &run,
        "\"h-p-1\":{\"name\":\"p-1\",\"stage_type\":\"simple\","
        "\"params\":{\"z\":1.0,\"a\":{\"k\":1e-7}},"
        "\"resource_hints\":{\"mem\":\"4G\",\"cpus\":2,\"time\":90,"
        "\"partition\":null,\"sbatch_opts\":\"-A x --qos=y\"},"
        "\"executables\":{\"main\":{\"path\":\"jobs/h-p-1/bin/p\","
        "\"inputs\":[{\"job_id\":null,\"target_input\":\"t\",\"type\":\"global\"}],"
        "\"outputs\":{\"z\":3,\"a\":\"$out/a\"}}}}");
    job = &run.jobs[0];
    assert_string_equal(job->id, "h-p-1");
    assert_string_equal(job->name, "p-1");
    assert_false(job->scatter_gather);
    assert_string_equal(job->params_json,
                        "{\n  \"a\": {\n    \"k\": 1e-7\n  },\n  \"z\": 1.0\n}");
    assert_string_equal(job->hints.mem, "4G");
    assert_string_equal(job->hints.cpus, "2");
    assert_string_equal(job->hints.time, "90");
    assert_null(job->hints.partition);
    assert_string_equal(job->hints.sbatch_opts, "-A x --qos=y");
    exe = lab_executable(job, "main");
    assert_non_null(exe);
    assert_null(lab_executable(job, "gather"));
    assert_string_equal(exe->path, "jobs/h-p-1/bin/p");
    assert_int_equal(exe->n_inputs, 1);
    assert_null(exe->inputs[0].job_id);
    assert_string_equal(exe->inputs[0].type, "global");
    assert_int_equal(exe->n_outputs, 2);
    assert_string_equal(exe->outputs[0].name, "a");
    assert_string_equal(exe->outputs[0].template, "$out/a");
    assert_null(exe->outputs[1].template);
    lab_metadata_run_release(&run);
}

static void test_defaults(void **state)
{
    struct lab_metadata_run run = {0};

    parse_job(&run,
              "\"h-p-1\":{\"executables\":{\"main\":{\"path\":\"jobs/h-p-1/b\"}}}");
    assert_string_equal(run.jobs[0].name, "p-1");
    assert_string_equal(run.jobs[0].params_json, "{}");
    assert_false(run.jobs[0].scatter_gather);
    assert_null(run.image);
    lab_metadata_run_release(&run);
}

static void test_broken_json(void **state)
{
    static const char good[] = RUN("r", "", SIMPLE("a-x", "", DATA));
    struct error err = ERROR_INIT;

    for (size_t n = 0; n < strlen(good); n++) {
        struct lab_metadata_run run = {0};

        error_clear(&err);
        assert_int_equal(lab_metadata_parse_run(good, n, &run, &err), -1);
        assert_error(&err, "not valid JSON");
        lab_metadata_run_release(&run);
    }
    assert_run_refused(RUN("r", "", "") "x", "line 1 column");
    assert_run_refused("{\"name\":\"a\",\"jobs\":{},\"name\":\"b\"}", "duplicate");
    assert_run_refused("{\"name\":\"\377\",\"jobs\":{}}", "not valid JSON");
    assert_run_refused("[]", "not a JSON object");
    assert_run_refused("{\"type\":\"root\",\"name\":\"r\",\"jobs\":{}}", "\"run\"");
    assert_run_refused("{\"type\":7,\"name\":\"r\",\"jobs\":{}}", "\"run\"");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"a\":{\"params\":"
                       "{\"n\":123456789012345678901234}}}}",
                       "64 bits");
}

/* Each job is valid alone; the name of the second is the first's, spelt otherwise. */
static void test_duplicate_jobs(void **state)
{
#define TWICE(a, b)                                                                    \
    "{\"name\":\"r\",\"jobs\":{" SIMPLE(a, "", "") "," SIMPLE(b, "", "") "}}"
    assert_run_refused(TWICE("a-x", "a-x"), "duplicate");
    assert_run_refused(TWICE("a-x", "a\\u002dx"), "duplicate");
}

static void test_wrong_types(void **state)
{
    assert_run_refused("{\"jobs\":{}}", "\"name\" is missing");
    assert_run_refused("{\"name\":null,\"jobs\":{}}", "\"name\" is missing");
    assert_run_refused("{\"name\":3,\"jobs\":{}}", "\"name\" is not a string");
    assert_run_refused("{\"name\":\"r\"}", "\"jobs\" is missing");
    assert_run_refused("{\"name\":\"r\",\"jobs\":[]}", "\"jobs\" is not an object");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{},\"image\":1}", "\"image\"");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"a-b\":7}}", "job 'a-b'");
    assert_run_refused(RUN("r", "\"revision/x\":\"firm\"", ""), "neither \"hard\"");
    assert_run_refused(RUN("r", "\"revision/x\":1", ""), "neither \"hard\"");
#define JOB(members) "{\"name\":\"r\",\"jobs\":{\"a-b\":{" members "}}}"
#define MAIN(members) JOB("\"executables\":{\"main\":{" members "}}")
#define PATHED(members) MAIN("\"path\":\"jobs/a-b/bin/x\"," members)
    assert_run_refused(JOB("\"params\":{}"), "\"executables\" is missing");
    assert_run_refused(JOB("\"params\":[]"), "\"params\" is not an object");
    assert_run_refused(JOB("\"stage_type\":\"odd\""), "stage_type 'odd'");
    assert_run_refused(JOB("\"executables\":{}"), "no executable 'main'");
    assert_run_refused(JOB("\"stage_type\":\"scatter-gather\",\"executables\":{}"),
                       "no executable 'scatter'");
    assert_run_refused(JOB("\"executables\":{\"main\":1}"), "executable 'main'");
    assert_run_refused(MAIN("\"inputs\":[]"), "\"path\" is missing");
    assert_run_refused(MAIN("\"path\":1"), "\"path\" is not a string");
    assert_run_refused(PATHED("\"inputs\":{}"), "\"inputs\" is not an array");
    assert_run_refused(PATHED("\"inputs\":[1]"), "input 0: is not an object");
    assert_run_refused(PATHED("\"inputs\":[{\"job_id\":1}]"), "\"job_id\"");
    assert_run_refused(PATHED("\"outputs\":[]"), "\"outputs\" is not an object");
    assert_run_refused(PATHED("\"deps\":[1]"), "\"deps\"");
#define HINTED(hints)                                                                  \
    JOB("\"executables\":{\"main\":{\"path\":\"jobs/a-b/"                              \
        "x\"}},\"resource_hints\":" hints)
    assert_run_refused(HINTED("[]"), "resource_hints");
    assert_run_refused(HINTED("{\"mem\":[]}"), "\"mem\" is neither");
    assert_run_refused(HINTED("{\"mem\":\"1G\\n#SBATCH -w evil\"}"),
                       "control character");
}

static void test_no_steps(void **state)
{
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"a-b\":{\"stage_type\":"
                       "\"scatter-gather\",\"executables\":{"
                       "\"scatter\":{\"path\":\"jobs/a-b/s\"},"
                       "\"gather\":{\"path\":\"jobs/a-b/g\"}}}}}",
                       "no step");
}

static void test_paths_outside(void **state)
{
    static const char *const bad[] = {
        "/bin/sh",          "jobs/a-b/../c/x", "../x",      "jobs/other/bin/x",
        "jobs/a-bc/bin/x",  "jobs/a-b",        "jobs/a-b/", "store/x",
        "jobs/a-b/./bin/x", "jobs/a-b//x",     "",          "jobs/a-b/x\\ny"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char *text = str_printf(MAIN("\"path\":\"%s\""), bad[i]);

        assert_run_refused(text, "does not lie below jobs/a-b/");
        free(text);
    }
    assert_run_refused("{\"name\":\"r\",\"image\":\"../i\",\"jobs\":{}}",
                       "inside the lab");
    assert_run_refused("{\"name\":\"r\",\"image\":\"/i\",\"jobs\":{}}",
                       "inside the lab");
    assert_run_refused("{\"name\":\"../r\",\"jobs\":{}}", "run name");
    assert_run_refused("{\"name\":\"a\\u001bb\",\"jobs\":{}}", "run name");
    assert_run_refused(RUN("r", "\"../x.json\":\"hard\"", ""), "inside the lab");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"..\":{}}}", "job id");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"a/b\":{}}}", "job id");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"\":{}}}", "job id");
    assert_run_refused("{\"name\":\"r\",\"jobs\":{\"a\\nb\":{}}}", "job id");
    assert_run_refused(JOB("\"executables\":{\"step-../x\":{\"path\":\"jobs/a-b/x\"}}"),
                       "cannot be a file name");
}

static void test_manifest(void **state)
{
    static const char hex[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"{}", "\"labId\" is missing"},
        {"[]", "is missing"},
        {"{\"labId\":\"a/b\",\"metadata\":\"m\",\"files\":[]}", "labId 'a/b'"},
        {"{\"labId\":\"a\",\"metadata\":\"/m\",\"files\":[]}", "inside the lab"},
        {"{\"labId\":\"a\",\"metadata\":\"m\"}", "\"files\" is missing"},
        {"{\"labId\":\"a\",\"metadata\":\"m\",\"files\":[1]}", "entry 0"},
        {"{\"labId\":\"a\",\"metadata\":\"m\",\"files\":[{\"path\":\"../x\"}]}",
         "inside the lab"},
        {"{\"labId\":\"a\",\"metadata\":\"m\",\"files\":[{\"path\":\"x\"}]}",
         "\"sha256\" is missing"},
        {"{\"labId\":\"a\",\"metadata\":\"m\",\"files\":[{\"path\":\"x\",\"sha256\":"
         "\"12\"}]}",
         "64 hexadecimal"},
    };
    struct lab_manifest m = {0};
    struct error err = ERROR_INIT;
    char *text = str_printf("{\"labId\":\"a\",\"metadata\":\"revision/t\",\"files\":"
                            "[{\"path\":\"x/y\",\"sha256\":\"%s\"}]}",
                            hex);

    assert_int_equal(lab_metadata_parse_manifest(text, strlen(text), &m, &err), 0);
    assert_string_equal(m.id, "a");
    assert_string_equal(m.paths.items[0], "x/y");
    assert_string_equal(m.sha256.items[0], hex);
    lab_manifest_release(&m);
    free(text);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        error_clear(&err);
        assert_int_equal(
            lab_metadata_parse_manifest(bad[i].text, strlen(bad[i].text), &m, &err),
            -1);
        assert_error(&err, bad[i].part);
        lab_manifest_release(&m);
    }
}

static void test_top(void **state)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"{\"type\":\"run\",\"runs\":[]}", "\"root\""},
        {"{\"type\":\"root\"}", "\"runs\" is missing"},
        {"{\"type\":\"root\",\"runs\":{}}", "not an array"},
        {"{\"type\":\"root\",\"runs\":[1]}", "entry 0"},
        {"{\"type\":\"root\",\"runs\":[\"../m.json\"]}", "inside the lab"},
        {"{\"type\":\"root\",\"runs\":[],\"repx_version\":5}", "repx_version"},
    };
    static const char good[] = "{\"type\":\"root\",\"repx_version\":\"0.5.0\",\"runs\":"
                               "[\"revision/b\",\"revision/a\"],\"groups\":{\"g\":[]}}";
    struct lab_metadata_top top = {0};
    struct error err = ERROR_INIT;

    assert_int_equal(lab_metadata_parse_top(good, strlen(good), &top, &err), 0);
    assert_int_equal(top.runs.count, 2);
    assert_string_equal(top.runs.items[0], "revision/b");
    assert_null(top.git_hash);
    lab_metadata_top_release(&top);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        error_clear(&err);
        assert_int_equal(
            lab_metadata_parse_top(bad[i].text, strlen(bad[i].text), &top, &err), -1);
        assert_error(&err, bad[i].part);
        lab_metadata_top_release(&top);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job),           cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_broken_json),   cmocka_unit_test(test_duplicate_jobs),
        cmocka_unit_test(test_wrong_types),   cmocka_unit_test(test_no_steps),
        cmocka_unit_test(test_paths_outside), cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_top),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
