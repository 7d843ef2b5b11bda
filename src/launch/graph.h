/* graph: many units on this machine, producers before consumers, at most N at a time.
 * Each unit has a process of its own, forked from this one so that the lab is read
 * once; one that dies takes nothing with it. A failed unit stops its dependents and
 * nothing else. */
#ifndef REPX_LAUNCH_GRAPH_H
#define REPX_LAUNCH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lab/lab.h"
#include "launch/session.h"
#include "outcome/layout.h"

struct error;

enum node_state { NODE_WAITING, NODE_RUNNING, NODE_DONE, NODE_FAILED, NODE_BLOCKED };

struct graph_node {
    size_t job; /* index into lab.jobs */
    enum unit_kind kind;
    size_t branch;
    const char *step; /* borrowed from the lab */
    size_t *deps;     /* indexes of nodes, owned */
    size_t n_deps;
    enum node_state state;
    bool skipped;  /* had succeeded before */
    bool expanded; /* gather: the branches are known */
    bool speaks;   /* its launcher may warn and show progress */
    int exit_code;
    pid_t pid;
    int pidfd;
    uint64_t start_ns;
};

struct graph {
    struct session *s;
    const struct lab *lab;
    struct graph_node *nodes;
    size_t n, cap;
    size_t *job_node; /* by job: the node dependents wait for, SIZE_MAX: not selected */
    size_t running;
    int first_failure; /* exit code of the unit that failed first, 0 none */
    int signalled;
};

struct graph_options {
    size_t parallel; /* units at the same time, at least 1 */
    bool rerun;      /* also what has succeeded */
    /* Jobs named one by one run also when they have succeeded. */
    const bool *named; /* by job, or NULL */
};

/* Runs the jobs of `order` (dependency order, indexes into lab.jobs). *exit_code: 0
 * when all have succeeded, 128+n after a signal, else the code of the first that
 * failed. */
int graph_run(struct session *s, const struct lab *lab, const size_t *order, size_t n,
              const struct graph_options *opts, int *exit_code, struct error *err);

/* --- between the files of this module --- */

/* Adds the nodes of a job; what has succeeded is done at once. */
int graph_add_job(struct graph *g, size_t job, bool rerun, struct error *err);
int graph_add_dep(struct graph *g, size_t node, size_t dep, struct error *err);
struct graph_node *graph_new_node(struct graph *g, size_t job, enum unit_kind kind,
                                  struct error *err);
/* Scatter node `scatter` is done: writes the work items and adds the steps. */
int graph_expand(struct graph *g, size_t scatter, bool rerun, struct error *err);
/* A phase of a scatter-gather job failed: the job as a whole has failed. */
int graph_fail_composite(struct graph *g, size_t job, struct error *err);

#endif
