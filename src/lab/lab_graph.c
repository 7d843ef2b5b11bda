#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/lab.h"
#include "lab/toposort.h"

/* Nodes: the runs first, then the jobs. A run stands for "all its jobs are done", so
 * that a run of m jobs behind a run of n jobs costs m + n edges and not m * n. */
static size_t run_node(const struct lab *lab, const struct lab_run *run)
{
    return (size_t)(run - lab->runs);
}

static size_t job_node(const struct lab *lab, size_t job)
{
    return lab->n_runs + job;
}

static bool run_has_job(const struct lab_run *run, size_t job)
{
    return bsearch(&job, run->jobs, run->n_jobs, sizeof(job), toposort_compare);
}

static int add_producer(const struct lab *lab, size_t self, const char *id,
                        struct toposort_list *out, struct error *err)
{
    const struct lab_job *producer = lab_job_by_id(lab, id);

    if (!producer)
        return error_fail(err,
                          "job '%s': takes an input from job '%s', which is not in the "
                          "lab; build the lab again",
                          lab->jobs[self].id, id);
    toposort_list_add(out, job_node(lab, (size_t)(producer - lab->jobs)));
    return 0;
}

/* A job that is part of the run it is to wait for would wait for itself. */
static void add_run(const struct lab *lab, size_t self, const char *name,
                    struct toposort_list *out)
{
    const struct lab_run *run = lab_find_run(lab, name);

    if (run && !run_has_job(run, self))
        toposort_list_add(out, run_node(lab, run));
}

/* Appends the nodes that the job waits for, ascending, each once. */
static int job_edges(const struct lab *lab, size_t self, struct toposort_list *out,
                     struct error *err)
{
    const struct lab_job *job = &lab->jobs[self];
    const struct lab_run *run = &lab->runs[job->run];
    size_t start = out->n;

    for (size_t e = 0; e < job->n_executables; e++) {
        for (size_t i = 0; i < job->executables[e].n_inputs; i++) {
            const struct lab_mapping *m = &job->executables[e].inputs[i];

            /* "self" is how gather names its own scatter */
            if (m->job_id && strcmp(m->job_id, "self") != 0 &&
                add_producer(lab, self, m->job_id, out, err) < 0)
                return -1;
            if (m->source_run &&
                !(m->dependency_type && strcmp(m->dependency_type, "soft") == 0))
                add_run(lab, self, m->source_run, out);
        }
    }
    for (size_t i = 0; i < run->hard_deps.count; i++)
        add_run(lab, self, run->hard_deps.items[i], out);
    toposort_list_unique(out, start);
    return toposort_list_check(out, err);
}

int lab_job_deps(const struct lab *lab, const struct lab_job *job, size_t **deps,
                 size_t *n, struct error *err)
{
    _cleanup_(toposort_list_release) struct toposort_list nodes = {0}, jobs = {0};
    size_t self = (size_t)(job - lab->jobs);

    if (job_edges(lab, self, &nodes, err) < 0)
        return -1;
    for (size_t i = 0; i < nodes.n; i++) {
        if (nodes.items[i] >= lab->n_runs) {
            toposort_list_add(&jobs, nodes.items[i] - lab->n_runs);
            continue;
        }
        for (size_t k = 0; k < lab->runs[nodes.items[i]].n_jobs; k++)
            toposort_list_add(&jobs, lab->runs[nodes.items[i]].jobs[k]);
    }
    toposort_list_unique(&jobs, 0);
    if (toposort_list_check(&jobs, err) < 0)
        return -1;
    *n = jobs.n;
    *deps = steal_ptr(jobs.items);
    return 0;
}

static int node_edges(const struct lab *lab, size_t node, struct toposort_list *out,
                      struct error *err)
{
    if (node >= lab->n_runs)
        return job_edges(lab, node - lab->n_runs, out, err);
    for (size_t k = 0; k < lab->runs[node].n_jobs; k++)
        toposort_list_add(out, job_node(lab, lab->runs[node].jobs[k]));
    return toposort_list_check(out, err);
}

/* Adds to the graph what the selection needs, directly and indirectly. */
static int reach(const struct lab *lab, const size_t *selection, size_t n,
                 struct toposort *g, struct error *err)
{
    _cleanup_(toposort_list_release) struct toposort_list todo = {0};

    for (size_t i = 0; i < n; i++)
        if (toposort_visit(g, job_node(lab, selection[i])))
            toposort_list_add(&todo, job_node(lab, selection[i]));
    while (todo.n > 0) {
        size_t node = todo.items[--todo.n];

        toposort_begin(g, node);
        if (node_edges(lab, node, &g->edges, err) < 0)
            return -1;
        toposort_end(g, node);
        for (size_t i = g->first[node]; i < g->last[node]; i++)
            if (toposort_visit(g, g->edges.items[i]))
                toposort_list_add(&todo, g->edges.items[i]);
    }
    return toposort_list_check(&todo, err);
}

enum { CYCLE_NAMES = 8 };

static int cycle_error(const struct lab *lab, const struct toposort_list *cycle,
                       struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;

    for (size_t i = 0; i < cycle->n && i < CYCLE_NAMES; i++) {
        size_t node = cycle->items[i];

        buf_adds(&names, i > 0 ? " -> " : "");
        if (node < lab->n_runs)
            buf_addf(&names, "run %s", lab->runs[node].name);
        else
            buf_adds(&names, lab->jobs[node - lab->n_runs].id);
    }
    if (cycle->n > CYCLE_NAMES)
        buf_addf(&names, " and %zu more", cycle->n - CYCLE_NAMES);
    return error_fail(
        err, "jobs wait for each other in a cycle: %s; build the lab without it",
        buf_str(&names));
}

int lab_order(const struct lab *lab, const size_t *selection, size_t n, size_t **order,
              size_t *n_order, struct error *err)
{
    _cleanup_(toposort_list_release) struct toposort_list sorted = {0}, cycle = {0},
                                                          jobs = {0};
    _cleanup_(toposort_release) struct toposort g = {0};
    _cleanup_free_ bool *wanted = calloc(lab->n_jobs + 1, sizeof(*wanted));

    if (!wanted || toposort_init(&g, lab->n_runs + lab->n_jobs) < 0)
        return error_oom(err);
    for (size_t i = 0; i < n; i++)
        wanted[selection[i]] = true;
    if (reach(lab, selection, n, &g, err) < 0 ||
        toposort_sort(&g, &sorted, &cycle, err) < 0)
        return -1;
    if (cycle.n > 0)
        return cycle_error(lab, &cycle, err);
    for (size_t i = 0; i < sorted.n; i++)
        if (sorted.items[i] >= lab->n_runs && wanted[sorted.items[i] - lab->n_runs])
            toposort_list_add(&jobs, sorted.items[i] - lab->n_runs);
    if (toposort_list_check(&jobs, err) < 0)
        return -1;
    *n_order = jobs.n;
    *order = steal_ptr(jobs.items);
    return 0;
}
