#include "unit/lab/fixture.h"

#define JOB_A "aaa-p-1"
#define JOB_B "bbb-q-1"
#define TOP                                                                            \
    "{\"repx_version\":\"0.5.0\",\"type\":\"root\",\"gitHash\":\"beef\","              \
    "\"runs\":[\"revision/metadata-sim.json\",\"revision/metadata-ana.json\"]}"
#define SIM                                                                            \
    "{\"type\":\"run\",\"name\":\"sim\",\"image\":\"images/i.tar\",\"jobs\":{" SIMPLE( \
        JOB_B, FROM(JOB_A, "data", "d"), DATA) "," SIMPLE(JOB_A, "", DATA) "}}"
#define ANA                                                                            \
    RUN("ana", "\"revision/metadata-sim.json\":\"hard\"", SIMPLE(JOB_A, "", DATA))

/* Stands in for SHA-256: the sum of the bytes. */
static int sum_fd(int fd, char *hex, struct error *err)
{
    unsigned long sum = 0;
    unsigned char c;

    (void)err;
    while (read(fd, &c, 1) == 1)
        sum += c;
    snprintf(hex, 65, "%064lx", sum);
    return 0;
}

static const struct lab_options checked = {.verify = true, .digest_fd = sum_fd};
static const struct lab_options unchecked = {.verify = false};

/* The manifest lists one script ("x": sum 0x78) and a tool through its link ("t"). */
static void put_manifest(const char *dir, const char *extra)
{
    struct buf b = BUF_INIT;

    buf_addf(&b,
             "{\"labId\":\"abc\",\"lab_version\":\"0.1.0\",\"metadata\":"
             "\"revision/metadata-top.json\",\"files\":["
             "{\"path\":\"jobs/" JOB_A "/bin/main\",\"sha256\":\"%064x\"},"
             "{\"path\":\"host-tools/h1/bin/tar\",\"sha256\":\"%064x\"}%s]}",
             'x', 't', extra);
    put(dir, "lab/abc-lab-metadata.json", buf_str(&b));
    buf_release(&b);
}

static int make_lab(void **state)
{
    char *dir = make_temp();

    put_manifest(dir, "");
    put(dir, "revision/metadata-top.json", TOP);
    put(dir, "revision/metadata-sim.json", SIM);
    put(dir, "revision/metadata-ana.json", ANA);
    put(dir, "jobs/" JOB_A "/bin/main", "x");
    put(dir, "jobs/" JOB_B "/bin/main", "y");
    put(dir, "store/tar", "t");
    put(dir, "host-tools/aa-file", "");
    put_link(dir, "host-tools/h1/bin/tar", "../../../store/tar");
    put(dir, "host-tools/h2/bin/tar", "");
    put(dir, "images/i.tar/manifest.json", "[]");
    *state = dir;
    return 0;
}

static int drop_lab(void **state)
{
    remove_tree(*state);
    free(*state);
    return 0;
}

static void assert_refused(const char *dir, const struct lab_options *opts,
                           const char *part)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(lab_open(&lab, dir, opts, &err), -1);
    assert_error(&err, part);
    assert_error(&err, dir);
    assert_int_equal(error_exit_code(&err), 125);
    assert_int_equal(lab.fd, -1);
    assert_null(lab.path);
}

static void test_open(void **state)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;

    if (lab_open(&lab, *state, &checked, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(lab.id, "abc");
    assert_string_equal(lab.version, "0.1.0");
    assert_string_equal(lab.repx_version, "0.5.0");
    assert_string_equal(lab.git_hash, "beef");
    assert_string_equal(lab.host_tools, "host-tools/h1/bin");
    assert_int_equal(lab.n_runs, 2);
    assert_string_equal(lab.runs[0].name, "sim");
    assert_string_equal(lab.runs[0].image, "images/i.tar");
    assert_string_equal(lab.runs[0].metadata, "revision/metadata-sim.json");
    assert_null(lab.runs[1].image);
    assert_string_equal(lab.runs[1].hard_deps.items[0], "sim");
    assert_int_equal(lab.n_jobs, 2);
    assert_string_equal(lab.jobs[0].id, JOB_A);
    assert_string_equal(lab.jobs[1].id, JOB_B);
    assert_int_equal(lab.jobs[0].run, 0); /* also in ana: the first run wins */
    assert_int_equal(lab.runs[0].n_jobs, 2);
    assert_int_equal(lab.runs[1].n_jobs, 1);
    assert_int_equal(lab.runs[1].jobs[0], 0);
    assert_int_equal(lab.revisions.count, 3);
    assert_true(lab.fd >= 0);
    lab_release(&lab);
    assert_int_equal(lab.fd, -1);
}

static void test_first_run_by_order_of_the_lab(void **state)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;

    put(*state, "revision/metadata-top.json",
        "{\"repx_version\":\"0.5.9\",\"runs\":[\"revision/metadata-ana.json\","
        "\"revision/metadata-sim.json\"]}");
    assert_int_equal(lab_open(&lab, *state, &unchecked, &err), 0);
    assert_string_equal(lab.runs[lab.jobs[0].run].name, "ana");
    assert_string_equal(lab.runs[lab.jobs[1].run].name, "sim");
    lab_release(&lab);
}

static void test_links_inside_are_fine(void **state)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;
    char *path = str_printf("%s/link", (char *)*state);

    drop(*state, "images/i.tar");
    put(*state, "store/img/manifest.json", "[]");
    put_link(*state, "images/i.tar", "../store/img");
    put_link(*state, "link", ".");
    if (lab_open(&lab, path, &checked, &err) < 0)
        fail_msg("%s", err.text);
    assert_null(strstr(lab.path, "link")); /* canonical */
    lab_release(&lab);
    free(path);
}

static void test_not_a_lab(void **state)
{
    char *file = str_printf("%s/store/tar", (char *)*state);
    char *none = str_printf("%s/nothing", (char *)*state);
    char *other = str_printf("%s/store", (char *)*state);

    assert_refused(file, &checked, "not a directory");
    assert_refused(file, &checked, "unpacked");
    assert_refused(none, &checked, "--lab");
    assert_refused(other, &checked, "no RepX lab");
    put(*state, "store/lab/other.json", "{}");
    assert_refused(other, &checked, "no lab/*lab-metadata.json");
    free(file);
    free(none);
    free(other);
}

static void test_missing_parts(void **state)
{
    static const struct {
        const char *drop, *part;
    } cases[] = {
        {"host-tools", "host-tools"},
        {"host-tools/h1/bin", "host-tools/h1/bin"},
        {"jobs", "jobs"},
        {"jobs/" JOB_B, "jobs/" JOB_B},
        {"images/i.tar", "images/i.tar"},
        {"revision", "revision"},
        {"revision/metadata-top.json", "revision/metadata-top.json"},
        {"revision/metadata-ana.json", "revision/metadata-ana.json"},
        {"lab", "lab"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        void *lab;

        make_lab(&lab);
        drop(lab, cases[i].drop);
        assert_refused(lab, &unchecked, cases[i].part);
        drop_lab(&lab);
    }
    drop(*state, "host-tools");
    put(*state, "host-tools/file", "");
    assert_refused(*state, &unchecked, "holds no directory");
}

static void test_digests(void **state)
{
    put(*state, "jobs/" JOB_A "/bin/main", "z");
    assert_refused(*state, &checked, "jobs/" JOB_A "/bin/main has SHA-256");
    assert_refused(*state, &checked, "copy or build it again");
    put(*state, "jobs/" JOB_A "/bin/main", "x");
    put(*state, "store/tar", "u");
    assert_refused(*state, &checked, "host-tools/h1/bin/tar");
    drop(*state, "store/tar");
    assert_refused(*state, &checked, "host-tools/h1/bin/tar");
    put(*state, "store/tar", "t");
    drop(*state, "jobs/" JOB_A "/bin/main");
    assert_refused(*state, &checked, "jobs/" JOB_A "/bin/main");
}

/* Extraction checks a layer against its diff_id; all else of an image is checked here.
 */
static void test_layers_are_left_to_extraction(void **state)
{
    char *extra =
        str_printf(",{\"path\":\"store/l-layer.tar\",\"sha256\":\"%064d\"},"
                   "{\"path\":\"images/i.tar/l/layer.tar\",\"sha256\":\"%064d\"}",
                   0, 0);
    char *config = str_printf(
        "%s,{\"path\":\"images/i.tar/c.json\",\"sha256\":\"%064d\"}", extra, 0);
    struct error err = ERROR_INIT;
    struct lab lab = LAB_INIT;

    put(*state, "store/l-layer.tar", "layer");
    put(*state, "images/i.tar/c.json", "{}");
    put_manifest(*state, extra);
    if (lab_open(&lab, *state, &checked, &err) < 0)
        fail_msg("%s", err.text);
    lab_release(&lab);
    put_manifest(*state, config);
    assert_refused(*state, &checked, "images/i.tar/c.json has SHA-256");
    free(extra);
    free(config);
}

/* More than a thread takes at once; file i holds the byte 'a' + i % 26. */
static void put_many(const char *dir, size_t n, size_t wrong, size_t wrong_too)
{
    struct buf list = BUF_INIT;

    for (size_t i = 0; i < n; i++) {
        char *path = str_printf("host-tools/many/%zu", i), text[2] = {0};
        bool bad = i == wrong || i == wrong_too;

        text[0] = (char)('a' + i % 26);
        put(dir, path, text);
        buf_addf(&list, ",{\"path\":\"%s\",\"sha256\":\"%064x\"}", path,
                 (unsigned)text[0] + bad);
        free(path);
    }
    put_manifest(dir, buf_str(&list));
    buf_release(&list);
}

static void test_the_first_of_many_damaged_files_is_told(void **state)
{
    struct error err = ERROR_INIT;
    struct lab lab = LAB_INIT;

    put_many(*state, 1000, 1000, 1000);
    assert_int_equal(lab_open(&lab, *state, &checked, &err), 0);
    lab_release(&lab);
    put_many(*state, 1000, 999, 999);
    assert_refused(*state, &checked, "host-tools/many/999 has SHA-256");
    put_many(*state, 1000, 900, 300);
    for (int i = 0; i < 20; i++)
        assert_refused(*state, &checked, "host-tools/many/300 has SHA-256");
}

/* The digests are checked while the metadata is read: damage is what is told, as what
 * cannot be read may be of it. */
static void test_damage_comes_before_what_is_made_of_it(void **state)
{
    put(*state, "revision/metadata-sim.json", "{\"type\":\"run\",");
    assert_refused(*state, &checked, "revision/metadata-sim.json: not valid JSON");
    put(*state, "jobs/" JOB_A "/bin/main", "z");
    assert_refused(*state, &checked, "jobs/" JOB_A "/bin/main has SHA-256");
    put(*state, "jobs/" JOB_A "/bin/main", "x");
    put_many(*state, 1000, 1000, 1000);
    assert_refused(*state, &checked, "revision/metadata-sim.json: not valid JSON");
    put_many(*state, 1000, 999, 999);
    assert_refused(*state, &checked, "host-tools/many/999 has SHA-256");
}

static void test_strange_files(void **state)
{
    char *extra = str_printf(",{\"path\":\"pipe\",\"sha256\":\"%064d\"}", 0);
    char *pipe = str_printf("%s/pipe", (char *)*state);

    put_manifest(*state, extra);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_refused(*state, &checked, "not a regular file");
    drop(*state, "pipe");
    put_link(*state, "pipe", "/etc/hostname");
    assert_refused(*state, &checked, "pipe");
    drop(*state, "pipe");
    put(*state, "pipe/dir", "");
    assert_refused(*state, &checked, "not a regular file");
    free(extra);
    free(pipe);
}

static void test_links_that_leave(void **state)
{
    static const char *const parts[] = {
        "jobs/" JOB_A, "images/i.tar", "revision/metadata-sim.json",
        "revision/metadata-top.json", "host-tools/h1/bin"};
    char *outside = make_temp();

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        char *moved = str_printf("%s/%zu", outside, i), *from;
        void *lab;

        make_lab(&lab);
        from = str_printf("%s/%s", (char *)lab, parts[i]);
        assert_int_equal(rename(from, moved), 0);
        put_link(lab, parts[i], moved);
        assert_refused(lab, &unchecked, parts[i]);
        drop_lab(&lab);
        free(moved);
        free(from);
    }
    remove_tree(outside);
    free(outside);
}

static void test_bad_metadata(void **state)
{
    put(*state, "revision/metadata-sim.json", "{\"type\":\"run\",");
    assert_refused(*state, &unchecked, "revision/metadata-sim.json: not valid JSON");
    put(*state, "revision/metadata-sim.json", "");
    assert_refused(*state, &unchecked, "revision/metadata-sim.json");
    put(*state, "revision/metadata-sim.json", RUN("ana", "", ""));
    assert_refused(*state, &unchecked, "another run has the name 'ana'");
    put(*state, "revision/metadata-sim.json",
        RUN("sim", "\"revision/metadata-none.json\":\"hard\"", ""));
    assert_refused(*state, &unchecked, "revision/metadata-none.json");
    put(*state, "revision/metadata-sim.json",
        RUN("sim", "\"revision/metadata-ana.json\":\"hard\"", ""));
    assert_refused(*state, &unchecked, "cycle");
    assert_refused(*state, &unchecked, "sim, ana");
    put(*state, "revision/metadata-top.json", "{\"runs\":[\"revision/../../x\"]}");
    assert_refused(*state, &unchecked, "inside the lab");
    put(*state, "lab/abc-lab-metadata.json", "{}");
    assert_refused(*state, &unchecked, "lab/abc-lab-metadata.json");
}

static void test_soft_cycle_is_fine(void **state)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;

    put(*state, "revision/metadata-sim.json",
        RUN("sim",
            "\"revision/metadata-ana.json\":\"soft\",\"revision/gone.json\":\"soft\"",
            ""));
    assert_int_equal(lab_open(&lab, *state, &unchecked, &err), 0);
    assert_int_equal(lab.runs[0].soft_deps.count, 1);
    assert_string_equal(lab.runs[0].soft_deps.items[0], "ana");
    lab_release(&lab);
}

/* What log_warn writes to stderr while the lab is opened. */
static char *warnings_of(const char *dir)
{
    struct lab lab = LAB_INIT;
    struct error err = ERROR_INIT;
    char text[2048] = "";
    FILE *capture = tmpfile();
    int saved = dup(STDERR_FILENO);

    assert_non_null(capture);
    fflush(stderr);
    dup2(fileno(capture), STDERR_FILENO);
    assert_int_equal(lab_open(&lab, dir, &unchecked, &err), 0);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(capture);
    text[fread(text, 1, sizeof(text) - 1, capture)] = '\0';
    fclose(capture);
    lab_release(&lab);
    return strdup(text);
}

static void test_versions(void **state)
{
    static const struct {
        const char *version;
        bool warns;
    } cases[] = {{"\"0.5.0\"", false}, {"\"0.5\"", false},  {"\"0.5.12\"", false},
                 {"\"0.50.1\"", true}, {"\"0.6.0\"", true}, {"\"1.0.5\"", true},
                 {"null", true}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *top = str_printf("{\"repx_version\":%s,\"runs\":[]}", cases[i].version);
        char *text;

        put(*state, "revision/metadata-top.json", top);
        text = warnings_of(*state);
        assert_int_equal(strstr(text, "warning: lab ") != NULL, cases[i].warns);
        free(text);
        free(top);
    }
}

int main(void)
{
#define LAB_TEST(f) cmocka_unit_test_setup_teardown(f, make_lab, drop_lab)
    const struct CMUnitTest tests[] = {
        LAB_TEST(test_open),
        LAB_TEST(test_first_run_by_order_of_the_lab),
        LAB_TEST(test_links_inside_are_fine),
        LAB_TEST(test_not_a_lab),
        LAB_TEST(test_missing_parts),
        LAB_TEST(test_digests),
        LAB_TEST(test_layers_are_left_to_extraction),
        LAB_TEST(test_damage_comes_before_what_is_made_of_it),
        LAB_TEST(test_the_first_of_many_damaged_files_is_told),
        LAB_TEST(test_strange_files),
        LAB_TEST(test_links_that_leave),
        LAB_TEST(test_bad_metadata),
        LAB_TEST(test_soft_cycle_is_fine),
        LAB_TEST(test_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
