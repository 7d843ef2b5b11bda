/* What a launch needs of a lab, made from its index: the jobs that were named, those
 * that they take from, and (unless one simple job is all that was named, which nothing
 * has to be ordered for) what these wait for in turn. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/labcodec.h"
#include "lab/labindex.h"
#include "lab/metadata.h"
#include "lab/toposort.h"

enum {
    WANT_HEAD = 1, /* it is only waited for */
    WANT_WHOLE = 2,
    WANT_NAMED = 4, /* it will run: its own files are checked */
};

struct selection {
    struct labindex *ix;
    struct lab *lab;
    unsigned char *want;       /* by job */
    struct toposort_list todo; /* jobs whose needs are still to be added */
    size_t n_named, n_wanted;
    bool by_run; /* a run was named */
    bool onward; /* what is needed is itself to be followed */
};

static void selection_release(struct selection *s)
{
    free(s->want);
    toposort_list_release(&s->todo);
}

static void want(struct selection *s, size_t job, unsigned char how)
{
    s->n_wanted += s->want[job] == 0;
    s->want[job] |= how;
}

static int add_named(void *arg, size_t job)
{
    struct selection *s = arg;

    if (s->want[job] & WANT_NAMED)
        return 0;
    want(s, job, WANT_WHOLE | WANT_NAMED);
    s->n_named++;
    toposort_list_add(&s->todo, job);
    return 0;
}

/* A job that another one needs. */
static void add_needed(struct selection *s, size_t job, unsigned char how)
{
    bool fresh = !(s->want[job] & WANT_WHOLE);

    want(s, job, s->onward ? WANT_WHOLE : how);
    if (fresh && s->onward)
        toposort_list_add(&s->todo, job);
}

/* As run's arguments are understood: a run, or else a job. */
static int select_name(struct selection *s, const char *name)
{
    const struct lab_run *run = lab_find_run(s->lab, name);
    size_t r = run ? (size_t)(run - s->lab->runs) : 0, job;

    s->by_run |= run != NULL;
    for (size_t i = 0; run && i < s->ix->lists[r].n; i++)
        if (labindex_run_job(s->ix, r, i, &job) < 0 || add_named(s, job) < 0)
            return -1;
    return run ? 0 : labindex_each_named(s->ix, name, add_named, s);
}

static int add_run(struct selection *s, const char *name)
{
    const struct lab_run *run = lab_find_run(s->lab, name);
    size_t r = run ? (size_t)(run - s->lab->runs) : 0, job;

    for (size_t i = 0; run && i < s->ix->lists[r].n; i++) {
        if (labindex_run_job(s->ix, r, i, &job) < 0)
            return -1;
        add_needed(s, job, WANT_HEAD);
    }
    return 0;
}

/* A producer that the lab does not have is an error later, where it is used. */
static int add_producer(struct selection *s, const char *id)
{
    bool found;
    size_t at;

    if (labindex_lower_bound(s->ix, id, &at, &found) < 0)
        return -1;
    if (found)
        add_needed(s, at, WANT_WHOLE);
    return 0;
}

/* The runs of a record, ascending, each once; in *first the lowest. */
static int decode_runs(struct selection *s, struct labcodec *c, size_t self,
                       struct lab_job *job, bool enter)
{
    size_t n = 0, run = 0, before = 0;

    labcodec_count(c, &n, 1);
    for (size_t i = 0; i < n && !c->failed; i++, before = run) {
        labcodec_size(c, &run);
        if (c->failed || run >= s->lab->n_runs || (i > 0 && run <= before))
            return -1;
        if (i == 0)
            job->run = run;
        if (!enter)
            continue;
        if (s->lab->runs[run].n_jobs >= s->ix->lists[run].n)
            return -1;
        s->lab->runs[run].jobs[s->lab->runs[run].n_jobs++] = self;
    }
    return c->failed || n == 0 ? -1 : 0;
}

static int expand_mappings(struct selection *s, const struct lab_job *job)
{
    for (size_t e = 0; e < job->n_executables; e++)
        for (size_t i = 0; i < job->executables[e].n_inputs; i++) {
            const struct lab_mapping *m = &job->executables[e].inputs[i];

            if (m->job_id && add_producer(s, m->job_id) < 0)
                return -1;
            if (m->source_run && add_run(s, m->source_run) < 0)
                return -1;
        }
    return 0;
}

/* Everything that the job reads from or waits for. */
static int expand(struct selection *s, size_t at)
{
    const struct strv *hard;
    struct lab_job job = {0};
    const unsigned char *data;
    struct labcodec c;
    size_t len;
    int r = -1;

    if (labindex_record(s->ix, at, &data, &len) < 0)
        return -1;
    c = labcodec_reader(data, len);
    labcodec_job_head(&c, &job);
    if (!c.failed && decode_runs(s, &c, at, &job, false) == 0) {
        labcodec_job_body(&c, &job);
        /* of a run, of many jobs, or of one with phases, an order is asked for */
        if (s->want[at] & WANT_NAMED)
            s->onward = s->n_named > 1 || s->by_run || job.scatter_gather;
        r = c.failed ? -1 : expand_mappings(s, &job);
        hard = &s->lab->runs[job.run].hard_deps;
        for (size_t i = 0; r == 0 && i < hard->count; i++)
            r = add_run(s, hard->items[i]);
    }
    lab_job_release(&job);
    return r;
}

static int choose(struct selection *s, const struct strv *names)
{
    s->want = calloc(s->ix->n_jobs + 1, 1);
    if (!s->want)
        return -1;
    if (!names) {
        memset(s->want, WANT_WHOLE, s->ix->n_jobs);
        s->n_wanted = s->ix->n_jobs;
        return 0;
    }
    for (size_t i = 0; i < names->count; i++)
        if (select_name(s, names->items[i]) < 0)
            return -1;
    while (s->todo.n > 0 && !s->todo.failed)
        if (expand(s, s->todo.items[--s->todo.n]) < 0)
            return -1;
    return s->todo.failed ? -1 : 0;
}

/* The job's own files, with the digests of the manifest. 1: the record is damaged. */
static int check_files(const struct lab *lab, struct labcodec *c,
                       const struct lab_job *job, const struct lab_options *opts,
                       struct error *err)
{
    size_t n = 0;

    labcodec_count(c, &n, 2);
    for (size_t i = 0; i < n && !c->failed; i++) {
        _cleanup_free_ char *name = NULL, *path = NULL;
        char sha256[65];

        labcodec_text(c, &name);
        labcodec_digest(c, sha256);
        if (c->failed || !opts->verify)
            continue;
        path = str_printf("jobs/%s/%s", job->id, name);
        if (!path)
            return error_oom(err);
        if (lab_verify_file(lab->fd, path, sha256, opts, NULL, err) < 0)
            return -1;
    }
    return c->failed || c->data != c->end;
}

/* What the launch will use has to be there; the rest was when the index was made. */
static int check_named(const struct lab *lab, const struct lab_job *job,
                       struct error *err)
{
    _cleanup_free_ char *dir = str_printf("jobs/%s", job->id);
    const struct lab_run *run = &lab->runs[job->run];

    if (!dir)
        return error_oom(err);
    if (lab_check_exists(lab->fd, dir, O_DIRECTORY, err) < 0)
        return error_context(err, "job of run '%s'", run->name);
    if (run->image && lab_check_exists(lab->fd, run->image, 0, err) < 0)
        return error_context(err, "image of run '%s'", run->name);
    return 0;
}

static int load_job(struct selection *s, size_t at, const struct lab_options *opts,
                    struct error *err)
{
    struct lab_job *job = &s->lab->jobs[s->lab->n_jobs++];
    const unsigned char *data;
    struct labcodec c;
    size_t len;

    if (labindex_record(s->ix, at, &data, &len) < 0)
        return 1;
    c = labcodec_reader(data, len);
    labcodec_job_head(&c, job);
    if (c.failed || decode_runs(s, &c, s->lab->n_jobs - 1, job, true) < 0)
        return 1;
    if (s->want[at] & WANT_WHOLE)
        labcodec_job_body(&c, job);
    if (c.failed)
        return 1;
    if (!(s->want[at] & WANT_NAMED))
        return 0;
    if (check_named(s->lab, job, err) < 0)
        return -1;
    return check_files(s->lab, &c, job, opts, err);
}

static int load_jobs(struct selection *s, const struct lab_options *opts,
                     struct error *err)
{
    int r = 0;

    s->lab->jobs = calloc(s->n_wanted + 1, sizeof(*s->lab->jobs));
    if (!s->lab->jobs)
        return error_oom(err);
    for (size_t i = 0; i < s->lab->n_runs; i++) {
        s->lab->runs[i].jobs =
            calloc(s->ix->lists[i].n + 1, sizeof(*s->lab->runs[i].jobs));
        if (!s->lab->runs[i].jobs)
            return error_oom(err);
    }
    for (size_t i = 0; r == 0 && i < s->ix->n_jobs; i++)
        if (s->want[i])
            r = load_job(s, i, opts, err);
    return r;
}

int labindex_select(struct labindex *ix, struct lab *lab,
                    const struct lab_options *opts, struct error *err)
{
    _cleanup_(selection_release) struct selection s = {.ix = ix, .lab = lab};

    return choose(&s, opts->names) < 0 ? 1 : load_jobs(&s, opts, err);
}
