#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/metadata.h"

static const struct lab_run *run_of_metadata(const struct lab *lab, const char *path)
{
    for (size_t i = 0; i < lab->n_runs; i++)
        if (strcmp(lab->runs[i].metadata, path) == 0)
            return &lab->runs[i];
    return NULL;
}

static int check_names(const struct lab *lab, struct error *err)
{
    for (size_t i = 0; i < lab->n_runs; i++)
        if (lab_find_run(lab, lab->runs[i].name) != &lab->runs[i])
            return error_fail(err, "%s: another run has the name '%s' already",
                              lab->runs[i].metadata, lab->runs[i].name);
    return 0;
}

static int link_dependencies(const struct lab *lab, struct lab_run *run,
                             const struct lab_metadata_run *m, struct error *err)
{
    const struct lab_run *other;

    for (size_t i = 0; i < m->hard_paths.count; i++) {
        other = run_of_metadata(lab, m->hard_paths.items[i]);
        if (!other)
            return error_fail(
                err,
                "%s: depends on %s, which the lab's root metadata does not "
                "list; build the lab again",
                run->metadata, m->hard_paths.items[i]);
        strv_add(&run->hard_deps, other->name);
    }
    for (size_t i = 0; i < m->soft_paths.count; i++) {
        other = run_of_metadata(lab, m->soft_paths.items[i]);
        if (other)
            strv_add(&run->soft_deps, other->name);
        else
            log_debug("%s: soft dependency %s is not in the lab", run->metadata,
                      m->soft_paths.items[i]);
    }
    if (strv_check(&run->hard_deps, err) < 0)
        return -1;
    return strv_check(&run->soft_deps, err);
}

/* Of the runs that are left (done[i] false) each waits for another one: names them. */
static int run_cycle(const struct lab *lab, const bool *done, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;

    for (size_t i = 0; i < lab->n_runs; i++)
        if (!done[i])
            buf_addf(&names, "%s%s", names.len ? ", " : "", lab->runs[i].name);
    return error_fail(
        err,
        "runs wait for each other (hard dependencies form a cycle), among: "
        "%s; build the lab without it",
        buf_str(&names));
}

static bool run_ready(const struct lab *lab, const struct lab_run *run,
                      const bool *done)
{
    for (size_t i = 0; i < run->hard_deps.count; i++)
        if (!done[lab_find_run(lab, run->hard_deps.items[i]) - lab->runs])
            return false;
    return true;
}

/* A lab has few runs, so rounds over all of them are fast enough. */
static int check_run_cycles(const struct lab *lab, struct error *err)
{
    _cleanup_free_ bool *done = calloc(lab->n_runs + 1, sizeof(*done));
    size_t left = lab->n_runs, before;

    if (!done)
        return error_oom(err);
    do {
        before = left;
        for (size_t i = 0; i < lab->n_runs; i++) {
            if (done[i] || !run_ready(lab, &lab->runs[i], done))
                continue;
            done[i] = true;
            left--;
        }
    } while (left > 0 && left < before);
    return left > 0 ? run_cycle(lab, done, err) : 0;
}

/* By id; the same id in the order of the runs, so that the first run wins. */
static int compare_jobs(const void *a, const void *b)
{
    const struct lab_job *x = a, *y = b;
    int r = strcmp(x->id, y->id);

    if (r != 0)
        return r;
    return x->run < y->run ? -1 : x->run > y->run;
}

static int gather_jobs(struct lab *lab, struct lab_metadata_run *runs,
                       struct error *err)
{
    size_t total = 0;

    for (size_t i = 0; i < lab->n_runs; i++)
        total += runs[i].n_jobs;
    lab->jobs = calloc(total + 1, sizeof(*lab->jobs));
    if (!lab->jobs)
        return error_oom(err);
    for (size_t i = 0; i < lab->n_runs; i++) {
        lab->runs[i].jobs = calloc(runs[i].n_jobs + 1, sizeof(*lab->runs[i].jobs));
        if (!lab->runs[i].jobs)
            return error_oom(err);
        for (size_t k = 0; k < runs[i].n_jobs; k++) {
            lab->jobs[lab->n_jobs] = runs[i].jobs[k];
            lab->jobs[lab->n_jobs++].run = i;
        }
        runs[i].n_jobs = 0; /* they belong to the lab now */
    }
    return 0;
}

/* Sorted, each id once, each run with the indexes of its jobs. */
static void merge_jobs(struct lab *lab)
{
    size_t kept = 0;

    qsort(lab->jobs, lab->n_jobs, sizeof(*lab->jobs), compare_jobs);
    for (size_t i = 0; i < lab->n_jobs; i++) {
        struct lab_job *job = &lab->jobs[i];
        struct lab_run *run = &lab->runs[job->run];

        if (kept > 0 && strcmp(lab->jobs[kept - 1].id, job->id) == 0)
            lab_job_release(job);
        else if (kept++ != i)
            lab->jobs[kept - 1] = *job;
        run->jobs[run->n_jobs++] = kept - 1;
    }
    lab->n_jobs = kept;
}

int lab_link(struct lab *lab, struct lab_metadata_run *runs, struct error *err)
{
    if (check_names(lab, err) < 0)
        return -1;
    for (size_t i = 0; i < lab->n_runs; i++)
        if (link_dependencies(lab, &lab->runs[i], &runs[i], err) < 0)
            return -1;
    if (check_run_cycles(lab, err) < 0 || gather_jobs(lab, runs, err) < 0)
        return -1;
    merge_jobs(lab);
    return 0;
}
