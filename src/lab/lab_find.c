#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "lab/lab.h"

/* The first job whose id is not less than name. */
static size_t lower_bound(const struct lab *lab, const char *name)
{
    size_t low = 0, high = lab->n_jobs;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(lab->jobs[mid].id, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct lab_job *lab_job_by_id(const struct lab *lab, const char *id)
{
    size_t i = lower_bound(lab, id);

    return i < lab->n_jobs && strcmp(lab->jobs[i].id, id) == 0 ? &lab->jobs[i] : NULL;
}

/* Whether the job is called so behind its hash ("<hash>-<name>"). */
static bool has_name(const struct lab_job *job, const char *name)
{
    const char *dash = strchr(job->id, '-');

    return (dash && strcmp(dash + 1, name) == 0) || strcmp(job->name, name) == 0;
}

enum { CANDIDATES = 5 };

struct matches {
    const struct lab_job *first;
    size_t n;
    struct buf ids; /* the first few */
};

static void add_match(struct matches *m, const struct lab_job *job)
{
    if (m->n == 0)
        m->first = job;
    if (m->n++ < CANDIDATES)
        buf_addf(&m->ids, "%s%s", m->ids.len ? ", " : "", job->id);
}

static void add_by_name(struct matches *m, const struct lab *lab, const char *name)
{
    for (size_t i = 0; i < lab->n_jobs; i++)
        if (has_name(&lab->jobs[i], name))
            add_match(m, &lab->jobs[i]);
}

static const struct lab_job *one_match(struct matches *m, const char *name,
                                       struct error *err)
{
    if (m->n == 1)
        return m->first;
    if (m->n == 0) {
        error_fail(err,
                   "there is no job '%s' in the lab; 'repx-launch list' shows its jobs",
                   name);
        return NULL;
    }
    if (m->n > CANDIDATES)
        buf_addf(&m->ids, " and %zu more", m->n - CANDIDATES);
    error_fail(err, "job '%s' is ambiguous: %zu jobs match (%s); give more of the id",
               name, m->n, buf_str(&m->ids));
    return NULL;
}

const struct lab_job *lab_find_job(const struct lab *lab, const char *name,
                                   struct error *err)
{
    struct matches m = {NULL, 0, BUF_INIT};
    const struct lab_job *found = lab_job_by_id(lab, name);
    size_t n = strlen(name), i = lower_bound(lab, name);

    if (found)
        return found;
    for (; n > 0 && i < lab->n_jobs && strncmp(lab->jobs[i].id, name, n) == 0; i++)
        add_match(&m, &lab->jobs[i]);
    if (m.n == 0)
        add_by_name(&m, lab, name);
    found = one_match(&m, name, err);
    buf_release(&m.ids);
    return found;
}

const struct lab_run *lab_find_run(const struct lab *lab, const char *name)
{
    for (size_t i = 0; i < lab->n_runs; i++)
        if (strcmp(lab->runs[i].name, name) == 0)
            return &lab->runs[i];
    return NULL;
}

const struct lab_executable *lab_executable(const struct lab_job *job, const char *name)
{
    size_t low = 0, high = job->n_executables;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int r = strcmp(job->executables[mid].name, name);

        if (r == 0)
            return &job->executables[mid];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
