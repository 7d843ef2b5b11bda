#include "unit/lab/fixture.h"

#define JOIN(a, b) a "," b

/* "a b c": the ids of the lab's jobs at these indexes. */
static char *ids(const struct lab *lab, const size_t *jobs, size_t n)
{
    struct buf b = BUF_INIT;

    for (size_t i = 0; i < n; i++)
        buf_addf(&b, "%s%s", i > 0 ? " " : "", lab->jobs[jobs[i]].id);
    return buf_steal(&b);
}

static void assert_deps(const struct lab *lab, const char *id, const char *expected)
{
    struct error err = ERROR_INIT;
    size_t *deps, n;
    char *text;

    if (lab_job_deps(lab, &lab->jobs[job_index(lab, id)], &deps, &n, &err) < 0)
        fail_msg("%s", err.text);
    text = ids(lab, deps, n);
    assert_string_equal(text, expected);
    free(text);
    free(deps);
}

/* selection: ids, NULL at the end. */
static void assert_order(const struct lab *lab, const char *const *selection,
                         const char *expected)
{
    struct error err = ERROR_INIT;
    size_t wanted[16], n = 0, *order, n_order;
    char *text;

    for (; selection[n]; n++)
        wanted[n] = job_index(lab, selection[n]);
    if (lab_order(lab, wanted, n, &order, &n_order, &err) < 0)
        fail_msg("%s", err.text);
    text = ids(lab, order, n_order);
    assert_string_equal(text, expected);
    free(text);
    free(order);
}

#define ORDER(lab, expected, ...)                                                      \
    assert_order(lab, (const char *const[]){__VA_ARGS__, NULL}, expected)

static void assert_no_order(const struct lab *lab, const char *id, const char *part)
{
    struct error err = ERROR_INIT;
    size_t wanted = job_index(lab, id), *order, n;

    assert_int_equal(lab_order(lab, &wanted, 1, &order, &n, &err), -1);
    assert_error(&err, part);
}

/* d <- a <- c, b alone, e needs a and d. */
static const char *const diamond[] = {
    RUN("r", "",
        SIMPLE("a", FROM("d", "data", "x"), DATA) "," SIMPLE("b", "", DATA) "," SIMPLE(
            "c", FROM("a", "data", "x"),
            DATA) "," SIMPLE("d", "",
                             DATA) "," SIMPLE("e",
                                              JOIN(FROM("d", "data", "x"),
                                                   JOIN(FROM("a", "data", "y"),
                                                        FROM("d", "data", "z"))),
                                              DATA)),
    NULL};

static void test_simple(void **state)
{
    struct lab lab;

    memory_lab_ok(&lab, diamond);
    assert_deps(&lab, "b", "");
    assert_deps(&lab, "c", "a");
    assert_deps(&lab, "e", "a d");
    ORDER(&lab, "b d a c e", "a", "b", "c", "d", "e");
    ORDER(&lab, "b d a c e", "e", "d", "c", "b", "a", "e", "a");
    ORDER(&lab, "d c", "c", "d"); /* through a, which is not selected */
    ORDER(&lab, "c", "c");
    assert_order(&lab, (const char *const[]){NULL}, "");
    lab_release(&lab);
}

static void test_cycles(void **state)
{
    static const char *const cyclic[] = {
        RUN("r", "",
            SIMPLE("a", FROM("b", "data", "x"), DATA) "," SIMPLE(
                "b", FROM("c", "data", "x"),
                DATA) "," SIMPLE("c", FROM("a", "data", "x"),
                                 DATA) "," SIMPLE("d", "",
                                                  DATA) "," SIMPLE("s",
                                                                   FROM("s", "data",
                                                                        "x"),
                                                                   DATA)),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, cyclic);
    assert_no_order(&lab, "a", "cycle: a -> b -> c");
    assert_no_order(&lab, "c", "cycle");
    assert_no_order(&lab, "s", "cycle: s");
    ORDER(&lab, "d", "d");
    lab_release(&lab);
}

static void test_unknown_producer(void **state)
{
    static const char *const broken[] = {
        RUN("r", "", SIMPLE("a", FROM("gone", "data", "x"), DATA)), NULL};
    struct error err = ERROR_INIT;
    struct lab lab;
    size_t *deps, n;

    memory_lab_ok(&lab, broken);
    assert_int_equal(lab_job_deps(&lab, &lab.jobs[0], &deps, &n, &err), -1);
    assert_error(&err, "job 'a': takes an input from job 'gone'");
    assert_no_order(&lab, "a", "job 'gone', which is not in the lab");
    lab_release(&lab);
}

#define SG_EXE(name, inputs) EXE("g", name, inputs, "")

static void test_scatter_gather(void **state)
{
    static const char *const texts[] = {
        RUN("r", "",
            SIMPLE("a", "", DATA) "," SIMPLE("b", "", DATA) "," SIMPLE(
                "c", "",
                DATA) ",\"g\":{"
                      "\"stage_type\":\"scatter-gather\",\"executables\":"
                      "{" SG_EXE("scatter", FROM("b", "data", "x")) "," SG_EXE(
                          "step-s",
                          FROM("c", "data",
                               "y")) "," SG_EXE("gather",
                                                JOIN(FROM("a", "data", "z"),
                                                     FROM("self", "q", "q"))) "}}"),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, texts);
    assert_deps(&lab, "g", "a b c");
    ORDER(&lab, "a b c g", "g", "c", "b", "a");
    lab_release(&lab);
}

#define META(run, kind)                                                                \
    "{\"type\":\"inter-run\",\"source_run\":\"" run "\",\"dependency_type\":" kind     \
    ",\"target_input\":\"metadata__" run "\"}"
#define HARD(n) "\"revision/metadata-" n ".json\":\"hard\""

static void test_inter_run(void **state)
{
    /* run 0 waits for run 1; run 2 names runs in mappings only */
    static const char *const texts[] = {
        RUN("down", HARD("1"), SIMPLE("a", "", DATA) "," SIMPLE("b", "", DATA)),
        RUN("up", "",
            SIMPLE("x", "", DATA) "," SIMPLE("y", FROM("x", "data", "d"), DATA)),
        RUN("maps", "",
            SIMPLE("m1", META("down", "\"hard\""), "") "," SIMPLE(
                "m2", META("up", "null"),
                "") "," SIMPLE("m3", META("up", "\"soft\""),
                               "") "," SIMPLE("m4", META("gone", "\"hard\""), "")),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, texts);
    assert_deps(&lab, "a", "x y");
    assert_deps(&lab, "x", "");
    assert_deps(&lab, "m1", "a b");
    assert_deps(&lab, "m2", "x y");
    assert_deps(&lab, "m3", "");
    assert_deps(&lab, "m4", "");
    ORDER(&lab, "m3 m4 x y a b m1 m2", "a", "b", "m1", "m2", "m3", "m4", "x", "y");
    ORDER(&lab, "x m1", "m1", "x");
    lab_release(&lab);
}

/* A job that is in both runs belongs to what the other jobs wait for. */
static void test_shared_job(void **state)
{
    static const char *const texts[] = {
        RUN("down", HARD("1"), SIMPLE("a", "", DATA) "," SIMPLE("s", "", DATA)),
        RUN("up", "",
            SIMPLE("s", "", DATA) "," SIMPLE("z", FROM("s", "data", "d"), DATA)),
        NULL};
    struct lab lab;

    memory_lab_ok(&lab, texts);
    assert_int_equal(lab.n_jobs, 3);
    assert_deps(&lab, "s", "");
    assert_deps(&lab, "a", "s z");
    ORDER(&lab, "s z a", "a", "s", "z");
    lab_release(&lab);
}

static void test_cycle_through_a_run(void **state)
{
    static const char *const texts[] = {
        RUN("one", "", SIMPLE("a", META("two", "\"hard\""), DATA)),
        RUN("two", "", SIMPLE("b", FROM("a", "data", "d"), DATA)), NULL};
    struct lab lab;

    memory_lab_ok(&lab, texts);
    assert_no_order(&lab, "a", "cycle: run two -> b -> a");
    lab_release(&lab);
}

enum { MANY = 50000 };

/* Two runs of 50,000 jobs, the second waiting for the first, each a chain: were an edge
 * kept for each pair of jobs, this would need 20 GB. */
static void test_many_jobs(void **state)
{
    struct buf up = BUF_INIT, down = BUF_INIT;
    struct error err = ERROR_INIT;
    struct lab lab;
    size_t *all = calloc(2 * MANY, sizeof(*all)), *order, n;

    buf_adds(&up, "{\"name\":\"up\",\"jobs\":{");
    buf_adds(&down, "{\"name\":\"down\",\"dependencies\":{" HARD("0") "},\"jobs\":{");
    for (int i = 0; i < MANY; i++) {
        const char *comma = i > 0 ? "," : "";

        /* each waits for the one with the next higher id */
        buf_addf(&up,
                 "%s\"u%06d\":{\"executables\":{\"main\":{\"path\":\"jobs/u%06d/x\"",
                 comma, i, i);
        if (i + 1 < MANY)
            buf_addf(&up, ",\"inputs\":[{\"job_id\":\"u%06d\"}]", i + 1);
        buf_adds(&up, "}}}");
        buf_addf(&down,
                 "%s\"d%06d\":{\"executables\":{\"main\":{\"path\":\"jobs/d%06d/x\"}}}",
                 comma, i, i);
    }
    buf_adds(&up, "}}");
    buf_adds(&down, "}}");
    memory_lab_ok(&lab, (const char *const[]){buf_str(&up), buf_str(&down), NULL});
    assert_int_equal(lab.n_jobs, 2 * MANY);
    for (size_t i = 0; i < 2 * MANY; i++)
        all[i] = i;
    if (lab_order(&lab, all, 2 * MANY, &order, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n, 2 * MANY);
    assert_string_equal(lab.jobs[order[0]].id, "u049999");
    assert_string_equal(lab.jobs[order[MANY - 1]].id, "u000000");
    assert_string_equal(lab.jobs[order[MANY]].id, "d000000");
    free(order);
    free(all);
    lab_release(&lab);
    buf_release(&up);
    buf_release(&down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_cycles),
        cmocka_unit_test(test_unknown_producer),
        cmocka_unit_test(test_scatter_gather),
        cmocka_unit_test(test_inter_run),
        cmocka_unit_test(test_shared_job),
        cmocka_unit_test(test_cycle_through_a_run),
        cmocka_unit_test(test_many_jobs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
