#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/inputs.h"
#include "lab/inputs_internal.h"
#include "lab/toposort.h"

#define STEP_PREFIX "step-"

const struct lab_executable *inputs_find_step(const struct lab_job *job,
                                              const char *name)
{
    _cleanup_free_ char *exe = str_printf(STEP_PREFIX "%s", name);

    return exe ? lab_executable(job, exe) : NULL;
}

static int add_step_edges(const struct lab_job *job, const struct lab_executable *step,
                          struct toposort *g, bool *needed, struct error *err)
{
    size_t start = g->edges.n;

    for (size_t i = 0; i < step->deps.count; i++) {
        const struct lab_executable *dep = inputs_find_step(job, step->deps.items[i]);

        if (!dep)
            return error_fail(err, "%s needs step '%s', which the job does not have",
                              step->name, step->deps.items[i]);
        toposort_list_add(&g->edges, (size_t)(dep - job->executables));
        needed[dep - job->executables] = true;
    }
    toposort_list_unique(&g->edges, start);
    return toposort_list_check(&g->edges, err);
}

/* Gather takes what the last step leaves, so there has to be exactly one. */
static int check_sink(const struct lab_job *job, const struct toposort *g,
                      const bool *needed, struct error *err)
{
    const char *sink = NULL;

    for (size_t i = 0; i < job->n_executables; i++) {
        if (!g->visited[i] || needed[i])
            continue;
        if (sink)
            return error_fail(err,
                              "%s and %s are both last (no step needs them); there has "
                              "to be one last step",
                              sink, job->executables[i].name);
        sink = job->executables[i].name;
    }
    return sink ? 0 : error_fail(err, "there is no last step");
}

static int step_cycle(const struct lab_job *job, const struct toposort_list *cycle,
                      struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;

    for (size_t i = 0; i < cycle->n; i++)
        buf_addf(&names, "%s%s", i > 0 ? " -> " : "",
                 job->executables[cycle->items[i]].name);
    return error_fail(err, "steps wait for each other in a cycle: %s", buf_str(&names));
}

static int sort_steps(const struct lab_job *job, struct toposort *g, bool *needed,
                      struct toposort_list *sorted, struct error *err)
{
    _cleanup_(toposort_list_release) struct toposort_list cycle = {0};

    for (size_t i = 0; i < job->n_executables; i++) {
        const struct lab_executable *exe = &job->executables[i];

        if (strncmp(exe->name, STEP_PREFIX, strlen(STEP_PREFIX)) != 0)
            continue;
        toposort_visit(g, i);
        toposort_begin(g, i);
        if (add_step_edges(job, exe, g, needed, err) < 0)
            return -1;
        toposort_end(g, i);
    }
    if (toposort_sort(g, sorted, &cycle, err) < 0)
        return -1;
    if (cycle.n > 0)
        return step_cycle(job, &cycle, err);
    return check_sink(job, g, needed, err);
}

int inputs_step_order(const struct lab_job *job, size_t **order, size_t *n,
                      struct error *err)
{
    _cleanup_(toposort_list_release) struct toposort_list sorted = {0};
    _cleanup_(toposort_release) struct toposort g = {0};
    _cleanup_free_ bool *needed = calloc(job->n_executables + 1, sizeof(*needed));

    if (!needed || toposort_init(&g, job->n_executables) < 0)
        return error_oom(err);
    if (sort_steps(job, &g, needed, &sorted, err) < 0)
        return error_context(err, "job '%s'", job->id);
    *n = sorted.n;
    *order = steal_ptr(sorted.items);
    return 0;
}
