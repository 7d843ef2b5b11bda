#include "base/cleanup.h"
#include "lab/inputs.h"
#include "lab/labcodec.h"
#include "lab/labindex.h"
#include "lab/labpages.h"
#include "unit/lab/fixture.h"

#define A "0a-make-1"
#define B "0b-use-1"
#define C "0c-use-1"
#define S "1s-split-1"
#define M "2m-meta-1"
#define L "3l-late-1"
#define TOP                                                                            \
    "{\"repx_version\":\"0.5.0\",\"type\":\"root\",\"gitHash\":\"beef\",\"runs\":["    \
    "\"revision/metadata-sim.json\",\"revision/metadata-ana.json\","                   \
    "\"revision/metadata-late.json\"]}"
#define SPLIT                                                                          \
    "\"" S "\":{\"name\":\"split-1\",\"stage_type\":\"scatter-gather\","               \
    "\"params\":{\"x\":1.5,\"a\":[1,null,\"\\u00e9\"]},\"executables\":{" EXE(         \
        S, "scatter", FROM(B, "data", "data"),                                         \
        "\"work__items\":\"$out/w.json\",\"arg\":{\"i\":0}") "," EXE(S, "gather", "",  \
                                                                     DATA) ","         \
                                                                           "\"step-"   \
                                                                           "one\":{"   \
                                                                           "\"path\":" \
                                                                           "\"jobs/" S \
                                                                           "/bin/"     \
                                                                           "one\","    \
                                                                           "\"deps\":" \
                                                                           "[],"       \
                                                                           "\"outputs" \
                                                                           "\":{" DATA \
                                                                           "}},"       \
                                                                           "\"step-"   \
                                                                           "two\":{"   \
                                                                           "\"path\":" \
                                                                           "\"jobs/" S \
                                                                           "/bin/"     \
                                                                           "two\","    \
                                                                           "\"deps\":" \
                                                                           "[\"one\"]" \
                                                                           ",\"output" \
                                                                           "s\":"      \
                                                                           "{" DATA    \
                                                                           "},"        \
                                                                           "\"inputs"  \
                                                                           "\":[{"     \
                                                                           "\"source"  \
                                                                           "\":"       \
                                                                           "\"step:"   \
                                                                           "one\","    \
                                                                           "\"source_" \
                                                                           "output\":" \
                                                                           "\"data\"," \
                                                                           "\"target_" \
                                                                           "input\":"  \
                                                                           "\"d\"}]}}" \
                                                                           ",\"resour" \
                                                                           "ce_"       \
                                                                           "hints\":{" \
                                                                           "\"mem\":"  \
                                                                           "\"1G\","   \
                                                                           "\"cpus\":" \
                                                                           "2}}"
#define SIM                                                                            \
    "{\"type\":\"run\",\"name\":\"sim\",\"image\":\"images/i.tar\",\"jobs\":{" SIMPLE( \
        B, FROM(A, "data", "d"),                                                       \
        DATA) "," SIMPLE(A, "", DATA) "," SIMPLE(C, FROM(B, "data", "d"),              \
                                                 DATA) "," SPLIT "}}"
#define ANA                                                                            \
    RUN("ana", "\"revision/metadata-sim.json\":\"hard\"",                              \
        SIMPLE(M,                                                                      \
               "{\"type\":\"inter-run\",\"source_run\":\"sim\",\"dependency_type\":"   \
               "\"hard\",\"target_input\":\"metadata__sim\"}",                         \
               DATA) "," SIMPLE(A, "", DATA))
#define LATE                                                                           \
    RUN("late", "\"revision/metadata-ana.json\":\"soft\"",                             \
        SIMPLE(L,                                                                      \
               FROM(C, "data", "d") ",{\"type\":\"inter-run\",\"source_run\":"         \
                                    "\"ana\",\"dependency_type\":\"soft\","            \
                                    "\"target_input\":\"metadata__ana\"}",             \
               DATA))

static const char *const ids[] = {A, B, C, S, M, L};

struct place {
    char *lab, *dir;
    int fd;
};

/* Stands in for SHA-256. */
static int sum_data(const void *data, size_t len, char *hex, struct error *err)
{
    unsigned long long sum = labpages_checksum(data, len, 7);

    (void)err;
    snprintf(hex, 65, "%016llx%016llx%032d", sum, ~sum, 0);
    return 0;
}

static int sum_fd(int fd, char *hex, struct error *err)
{
    static char data[65536];
    ssize_t n = read(fd, data, sizeof(data));

    assert_in_range(n, 0, sizeof(data) - 1);
    return sum_data(data, (size_t)n, hex, err);
}

static struct lab_options options(const struct lab_index_place *index,
                                  const struct strv *names)
{
    return (struct lab_options){
        .verify = true, .digest_fd = sum_fd, .index = index, .names = names};
}

static struct lab_index_place place_of(const struct place *p, bool build)
{
    return (struct lab_index_place){.dirfd = p->fd, .build = build, .digest = sum_data};
}

static void list_file(struct buf *out, const char *dir, const char *rel)
{
    char *path = str_printf("%s/%s", dir, rel), hex[65];
    int fd = open(path, O_RDONLY);
    struct error err = ERROR_INIT;

    assert_true(fd >= 0);
    sum_fd(fd, hex, &err);
    buf_addf(out, "%s{\"path\":\"%s\",\"sha256\":\"%s\"}", out->len ? "," : "", rel,
             hex);
    close(fd);
    free(path);
}

/* The manifest with the digests that the files have now. */
static void seal(const char *dir)
{
    struct buf files = BUF_INIT;
    char *text;

    for (size_t i = 0; i < array_size(ids); i++) {
        char *path = str_printf("jobs/%s/bin/main", ids[i]);

        list_file(&files, dir, path);
        free(path);
    }
    list_file(&files, dir, "host-tools/h/bin/tar");
    list_file(&files, dir, "store/tar");
    list_file(&files, dir, "revision/metadata-sim.json");
    text = str_printf("{\"labId\":\"abc\",\"lab_version\":\"0.1.0\",\"metadata\":"
                      "\"revision/metadata-top.json\",\"files\":[%s]}",
                      buf_str(&files));
    put(dir, "lab/abc-lab-metadata.json", text);
    free(text);
    buf_release(&files);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->lab = make_temp();
    p->dir = make_temp();
    p->fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < array_size(ids); i++) {
        char *path = str_printf("jobs/%s/bin/main", ids[i]);

        put(p->lab, path, ids[i]);
        free(path);
    }
    put(p->lab, "store/tar", "tar");
    put_link(p->lab, "host-tools/h/bin/tar", "../../../store/tar");
    put(p->lab, "images/i.tar/manifest.json", "[]");
    put(p->lab, "revision/metadata-top.json", TOP);
    put(p->lab, "revision/metadata-sim.json", SIM);
    put(p->lab, "revision/metadata-ana.json", ANA);
    put(p->lab, "revision/metadata-late.json", LATE);
    seal(p->lab);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    close(p->fd);
    remove_tree(p->lab);
    remove_tree(p->dir);
    free(p->lab);
    free(p->dir);
    free(p);
    return 0;
}

static struct strv words(const char *text)
{
    struct strv v = STRV_INIT;
    char *copy = strdup(text), *rest = copy, *word;

    while ((word = strsep(&rest, " ")))
        strv_add(&v, word);
    free(copy);
    return v;
}

static void open_ok(struct lab *lab, const struct place *p, bool build,
                    const struct strv *names)
{
    const struct lab_index_place place = place_of(p, build);
    const struct lab_options opts = options(&place, names);
    struct error err = ERROR_INIT;

    if (lab_open(lab, p->lab, &opts, &err) < 0)
        fail_msg("%s", err.text);
}

static void open_json(struct lab *lab, const struct place *p)
{
    const struct lab_options opts = options(NULL, NULL);
    struct error err = ERROR_INIT;

    if (lab_open(lab, p->lab, &opts, &err) < 0)
        fail_msg("%s", err.text);
}

static void build(const struct place *p)
{
    struct strv names = words(A);
    struct lab lab;

    open_ok(&lab, p, true, &names);
    lab_release(&lab);
    strv_release(&names);
}

/* Everything that is known of a job, and what follows from it. */
static void describe_job(const struct lab *lab, const struct lab_job *job,
                         struct buf *out)
{
    struct labcodec c = labcodec_writer(out);
    struct inputs in = INPUTS_INIT;
    struct error err = ERROR_INIT;
    size_t *deps = NULL, n = 0;
    char *text;

    struct lab_job copy = *job;
    labcodec_job_head(&c, &copy);
    labcodec_job_body(&c, &copy);
    buf_addf(out, "\nof %s;", lab->runs[job->run].name);
    if (lab_job_deps(lab, job, &deps, &n, &err) < 0)
        buf_addf(out, "%s", err.text);
    for (size_t i = 0; i < n; i++)
        buf_addf(out, " %s", lab->jobs[deps[i]].id);
    free(deps);
    error_clear(&err);
    if (inputs_resolve(lab, job, "/base", &in, &err) < 0)
        buf_addf(out, "%s", err.text);
    for (size_t i = 0; i < in.n; i++) {
        if (in.items[i].producer != SIZE_MAX)
            buf_addf(out, "<%s>", lab->jobs[in.items[i].producer].id);
        if (in.items[i].run == SIZE_MAX)
            continue;
        for (size_t k = 0; k < lab->runs[in.items[i].run].n_jobs; k++)
            buf_addf(out, "{%s}", lab->jobs[lab->runs[in.items[i].run].jobs[k]].id);
    }
    text = inputs_json(&in, &err);
    buf_adds(out, text);
    free(text);
    inputs_release(&in);
}

static void describe_lab(const struct lab *lab, struct buf *out)
{
    buf_addf(out, "%s %s %s %s %s\n", lab->id, lab->version, lab->repx_version,
             lab->git_hash, lab->host_tools);
    for (size_t i = 0; i < lab->n_runs; i++) {
        const struct lab_run *run = &lab->runs[i];

        buf_addf(out, "%s %s %s", run->name, run->metadata,
                 run->image ? run->image : "-");
        for (size_t k = 0; k < run->hard_deps.count; k++)
            buf_addf(out, " +%s", run->hard_deps.items[k]);
        for (size_t k = 0; k < run->soft_deps.count; k++)
            buf_addf(out, " ~%s", run->soft_deps.items[k]);
        buf_addc(out, '\n');
    }
}

/* What `run` asks of a lab: the jobs of these words, and their order. */
static void describe(const struct lab *lab, const struct strv *names, struct buf *out)
{
    size_t jobs[64], n = 0, *order = NULL, n_order = 0;
    struct error err = ERROR_INIT;

    describe_lab(lab, out);
    for (size_t i = 0; i < names->count; i++) {
        const struct lab_run *run = lab_find_run(lab, names->items[i]);
        const struct lab_job *job;

        for (size_t k = 0; run && k < run->n_jobs; k++)
            jobs[n++] = run->jobs[k];
        job = run ? NULL : lab_find_job(lab, names->items[i], &err);
        if (job)
            jobs[n++] = (size_t)(job - lab->jobs);
        else if (!run)
            buf_addf(out, "%s\n", err.text);
    }
    for (size_t i = 0; i < n; i++)
        describe_job(lab, &lab->jobs[jobs[i]], out);
    if (n == 1 && !lab->jobs[jobs[0]].scatter_gather)
        return;
    if (lab_order(lab, jobs, n, &order, &n_order, &err) < 0)
        buf_addf(out, "%s", err.text);
    for (size_t i = 0; i < n_order; i++)
        buf_addf(out, " %s", lab->jobs[order[i]].id);
    free(order);
}

static void assert_same_buf(const struct buf *a, const struct buf *b, const char *what)
{
    if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
        fail_msg("%s: from JSON:\n%s\nfrom the index:\n%s", what, a->data, b->data);
}

/* From the index, which has to be there when n_jobs says how many it takes. */
static void assert_same_for(const struct place *p, const char *text, size_t n_jobs)
{
    struct buf want = BUF_INIT, have = BUF_INIT;
    struct strv names = words(text);
    struct lab lab;

    open_json(&lab, p);
    describe(&lab, &names, &want);
    lab_release(&lab);
    open_ok(&lab, p, false, &names);
    describe(&lab, &names, &have);
    if (n_jobs)
        assert_int_equal(lab.n_jobs, n_jobs);
    lab_release(&lab);
    assert_same_buf(&want, &have, text);
    buf_release(&want);
    buf_release(&have);
    strv_release(&names);
}

static void test_same_as_json(void **state)
{
    static const struct {
        const char *names;
        size_t n_jobs; /* that the launch has to know of */
    } cases[] = {
        {A, 1},          {B, 2},         {C, 2}, /* its producer's producer does not
                                                    matter */
        {S, 3},                                  /* an order is asked for */
        {M, 5},                                  /* all of sim */
        {L, 4},       /* C, and A and M, which it sees but does not wait for */
        {C " " A, 3}, /* A through B as well */
        {"sim", 4},      {"ana", 5},     {"late", 6}, {"ana late", 6},
        {"0a", 1},       {"0", 3},       {"1s", 3},   {"make-1", 1},
        {"use-1", 3},    {"split-1", 3}, {"0b-u", 2}, {"none", SIZE_MAX},
        {"none sim", 4}, {"", SIZE_MAX},
    };

    build(*state);
    for (size_t i = 0; i < array_size(cases); i++)
        assert_same_for(*state, cases[i].names,
                        cases[i].n_jobs == SIZE_MAX ? 0 : cases[i].n_jobs);
}

static void test_whole_lab(void **state)
{
    struct buf want = BUF_INIT, have = BUF_INIT;
    struct lab json, lab;

    build(*state);
    open_json(&json, *state);
    open_ok(&lab, *state, false, NULL);
    assert_int_equal(lab.n_jobs, array_size(ids));
    describe_lab(&json, &want);
    describe_lab(&lab, &have);
    for (size_t i = 0; i < lab.n_jobs; i++) {
        describe_job(&json, &json.jobs[i], &want);
        describe_job(&lab, &lab.jobs[i], &have);
    }
    for (size_t i = 0; i < lab.n_runs; i++) {
        assert_int_equal(lab.runs[i].n_jobs, json.runs[i].n_jobs);
        assert_memory_equal(lab.runs[i].jobs, json.runs[i].jobs,
                            lab.runs[i].n_jobs * sizeof(size_t));
    }
    assert_same_buf(&want, &have, "all");
    lab_release(&json);
    lab_release(&lab);
    buf_release(&want);
    buf_release(&have);
}

/* Is there an index that is used for this job? One job is less than the whole lab. */
static bool is_indexed(const struct place *p)
{
    struct strv names = words(A);
    struct lab lab;
    bool reduced;

    open_ok(&lab, p, false, &names);
    reduced = lab.n_jobs == 1;
    lab_release(&lab);
    strv_release(&names);
    return reduced;
}

static void test_only_built_when_asked(void **state)
{
    assert_false(is_indexed(*state));
    assert_false(is_indexed(*state));
    build(*state);
    assert_true(is_indexed(*state));
}

static void test_a_changed_lab_is_read_again(void **state)
{
    struct place *p = *state;
    char *changed, *x;

    build(p);
    /* the same length, within what the clock can tell apart */
    changed = strdup(SIM);
    x = strstr(changed, "1.5");
    assert_non_null(x);
    x[0] = '7';
    put(p->lab, "revision/metadata-sim.json", changed);
    seal(p->lab);
    assert_false(is_indexed(p));
    assert_same_for(p, S, 0);
    build(p);
    assert_true(is_indexed(p));
    assert_same_for(p, S, 3);
    put(p->lab, "revision/metadata-top.json",
        "{\"repx_version\":\"0.5.1\",\"runs\":[\"revision/metadata-sim.json\"]}");
    assert_false(is_indexed(p));
    build(p);
    /* a manifest that comes first in the directory */
    put(p->lab, "lab/aaa-lab-metadata.json",
        "{\"labId\":\"x\",\"metadata\":\"revision/metadata-top.json\",\"files\":[]}");
    assert_false(is_indexed(p));
    free(changed);
}

static void assert_refused(const struct place *p, const char *names, const char *part)
{
    const struct lab_index_place place = place_of(p, true);
    struct strv v = words(names);
    const struct lab_options opts = options(&place, &v);
    struct error err = ERROR_INIT;
    struct lab lab;

    assert_int_equal(lab_open(&lab, p->lab, &opts, &err), -1);
    assert_error(&err, part);
    assert_int_equal(lab.fd, -1);
    strv_release(&v);
}

static void test_what_is_used_is_checked(void **state)
{
    struct place *p = *state;

    build(p);
    put(p->lab, "jobs/" B "/bin/main", "changed");
    assert_refused(p, B, "jobs/" B "/bin/main has SHA-256");
    assert_refused(p, B, "copy or build it again");
    assert_refused(p, "sim", "jobs/" B "/bin/main");
    put(p->lab, "jobs/" B "/bin/main", B);
    assert_same_for(p, B, 2);
}

static void test_damage_elsewhere_does_not_matter(void **state)
{
    struct place *p = *state;

    build(p);
    put(p->lab, "jobs/" B "/bin/main", "changed");
    assert_true(is_indexed(p));
    drop(p->lab, "jobs/" B);
    assert_true(is_indexed(p));
    drop(p->lab, "jobs/" A "/bin");
    assert_refused(p, A, "jobs/" A "/bin/main");
    drop(p->lab, "jobs/" A);
    assert_refused(p, A, "jobs/" A);
}

static void test_common_files(void **state)
{
    struct place *p = *state;

    build(p);
    put(p->lab, "store/tar", "rat");
    assert_refused(p, A, "host-tools/h/bin/tar has SHA-256");
    drop(p->lab, "store/tar");
    assert_refused(p, A, "host-tools/h/bin/tar");
    /* another file of the same content is fine */
    put(p->lab, "store/tar", "tar");
    assert_true(is_indexed(p));
    drop(p->lab, "images/i.tar");
    assert_refused(p, A, "images/i.tar");
}

static void test_unverified_index(void **state)
{
    struct place *p = *state;
    const struct lab_index_place place = place_of(p, true);
    struct strv names = words(A);
    struct lab_options opts = options(&place, &names);
    struct error err = ERROR_INIT;
    struct lab lab;

    put(p->lab, "jobs/" B "/bin/main", "changed");
    opts.verify = false;
    assert_int_equal(lab_open(&lab, p->lab, &opts, &err), 0);
    lab_release(&lab);
    assert_int_equal(lab_open(&lab, p->lab, &opts, &err), 0);
    assert_int_equal(lab.n_jobs, 1);
    lab_release(&lab);
    /* whoever wants the digests checked cannot use it */
    assert_refused(p, A, "jobs/" B "/bin/main has SHA-256");
    strv_release(&names);
}

/* Reads, changes or writes one of the two files. */
static char *index_path(const struct place *p, const char *suffix)
{
    struct lab lab = {.path = p->lab};
    const struct lab_index_place place = place_of(p, true);
    const struct lab_options opts = options(&place, NULL);
    struct error err = ERROR_INIT;
    char name[64];

    assert_int_equal(labindex_name(&lab, &opts, suffix, name, sizeof(name), &err), 0);
    return str_printf("%s/%s", p->dir, name);
}

static void read_file(const char *path, struct buf *out)
{
    char data[4096];
    size_t n;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    while ((n = fread(data, 1, sizeof(data), f)) > 0)
        buf_add(out, data, n);
    fclose(f);
}

static void write_file(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* Whatever bit is flipped: the lab is what it is. The whole lab is asked for, so that
 * every part of the index is read; from JSON it is the same. */
static void flip_bits(const struct place *p, const char *suffix, size_t step)
{
    char *path = index_path(p, suffix);
    struct buf good = BUF_INIT;
    size_t noticed = 0, tried = 0;

    read_file(path, &good);
    for (size_t i = 0; i < good.len; i += step) {
        good.data[i] = (char)(good.data[i] ^ (1 << (i % 8)));
        write_file(path, good.data, good.len);
        noticed += !is_indexed(p);
        tried++;
        good.data[i] = (char)(good.data[i] ^ (1 << (i % 8)));
    }
    assert_int_equal(noticed, tried);
    write_file(path, good.data, good.len);
    assert_true(is_indexed(p));
    buf_release(&good);
    free(path);
}

static void test_flipped_bits(void **state)
{
    build(*state);
    flip_bits(*state, ".lab", 13);
    flip_bits(*state, ".jobs", 97);
}

static void test_cut_short_or_strange(void **state)
{
    static const size_t cuts[] = {0, 1, 8, 15, 16, 17, 100, 4095};
    static const char *const suffixes[] = {".lab", ".jobs"};
    struct place *p = *state;

    for (size_t k = 0; k < array_size(suffixes); k++) {
        char *path = index_path(p, suffixes[k]);
        struct buf good = BUF_INIT;

        build(p);
        read_file(path, &good);
        for (size_t i = 0; i < array_size(cuts); i++) {
            if (cuts[i] >= good.len)
                continue;
            write_file(path, good.data, cuts[i]);
            assert_false(is_indexed(p));
        }
        buf_addc(&good, 'x');
        write_file(path, good.data, good.len);
        assert_false(is_indexed(p));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/dev/zero", path), 0);
        assert_false(is_indexed(p));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_false(is_indexed(p));
        build(p);
        assert_true(is_indexed(p)); /* the next launch has repaired it */
        buf_release(&good);
        free(path);
    }
}

/* The jobs of one index with the head of another: a crash between the two renames. */
static void test_halves_that_do_not_belong_together(void **state)
{
    char *path = index_path(*state, ".jobs");
    struct buf old = BUF_INIT;

    build(*state);
    read_file(path, &old);
    assert_int_equal(unlink(path), 0);
    build(*state);
    write_file(path, old.data, old.len);
    assert_false(is_indexed(*state));
    buf_release(&old);
    free(path);
}

static void test_index_of_another_lab(void **state)
{
    struct place *p = *state;
    char *from = index_path(p, ".lab"), *to, *jobs, *moved = make_temp();
    char *old = p->lab;

    build(p);
    jobs = index_path(p, ".jobs");
    remove_tree(moved);
    assert_int_equal(rename(p->lab, moved), 0);
    p->lab = moved;
    to = index_path(p, ".lab");
    assert_int_equal(rename(from, to), 0);
    free(to);
    to = index_path(p, ".jobs");
    assert_int_equal(rename(jobs, to), 0);
    assert_false(is_indexed(p));
    free(old);
    free(to);
    free(from);
    free(jobs);
}

static void test_sweep(void **state)
{
    struct place *p = *state, other;
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char *gone[3], *fresh = str_printf("%s/.fresh", p->dir);
    char *stale = str_printf("%s/.stale", p->dir);
    char *mine = str_printf("%s/note.txt", p->dir);
    void *state2;

    set_up(&state2);
    other = *(struct place *)state2;
    other.dir = p->dir;
    other.fd = p->fd;
    build(&other);
    gone[0] = index_path(&other, ".lab");
    gone[1] = index_path(&other, ".jobs");
    gone[2] = index_path(&other, ".lock");
    write_file(fresh, "", 0);
    write_file(stale, "", 0);
    write_file(mine, "", 0);
    assert_int_equal(utimensat(AT_FDCWD, stale, old, 0), 0);
    build(p);
    for (size_t i = 0; i < array_size(gone); i++)
        assert_int_equal(access(gone[i], F_OK), 0); /* its lab is still there */
    tear_down(&state2);
    put(p->lab, "revision/metadata-top.json", TOP " ");
    build(p);
    for (size_t i = 0; i < array_size(gone); i++) {
        assert_int_equal(access(gone[i], F_OK), -1);
        free(gone[i]);
    }
    assert_int_equal(access(stale, F_OK), -1);
    assert_int_equal(access(fresh, F_OK), 0);
    assert_int_equal(access(mine, F_OK), 0);
    assert_true(is_indexed(p));
    free(fresh);
    free(stale);
    free(mine);
}

int main(void)
{
#define INDEX_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        INDEX_TEST(test_same_as_json),
        INDEX_TEST(test_whole_lab),
        INDEX_TEST(test_only_built_when_asked),
        INDEX_TEST(test_a_changed_lab_is_read_again),
        INDEX_TEST(test_what_is_used_is_checked),
        INDEX_TEST(test_damage_elsewhere_does_not_matter),
        INDEX_TEST(test_common_files),
        INDEX_TEST(test_unverified_index),
        INDEX_TEST(test_flipped_bits),
        INDEX_TEST(test_cut_short_or_strange),
        INDEX_TEST(test_halves_that_do_not_belong_together),
        INDEX_TEST(test_index_of_another_lab),
        INDEX_TEST(test_sweep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
