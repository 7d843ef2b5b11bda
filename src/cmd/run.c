#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/command.h"
#include "launch/graph.h"
#include "launch/labopen.h"
#include "launch/run_unit.h"
#include "runtime/supervise.h"

/* The jobs that the arguments name: runs with all their jobs, jobs one by one. */
struct selection {
    size_t *jobs;
    size_t n;
    bool *named; /* by job: named one by one */
    bool *chosen;
};

static void selection_release(struct selection *sel)
{
    free(sel->jobs);
    free(sel->named);
    free(sel->chosen);
}

static void select_job(struct selection *sel, size_t job)
{
    if (!sel->chosen[job]) {
        sel->chosen[job] = true;
        sel->jobs[sel->n++] = job;
    }
}

static int selection_init(struct selection *sel, const struct lab *lab,
                          const struct strv *args, struct error *err)
{
    *sel = (struct selection){.jobs = calloc(lab->n_jobs + 1, sizeof(size_t)),
                              .named = calloc(lab->n_jobs + 1, sizeof(bool)),
                              .chosen = calloc(lab->n_jobs + 1, sizeof(bool))};
    if (!sel->jobs || !sel->named || !sel->chosen)
        return error_oom(err);
    for (size_t i = 0; i < args->count; i++) {
        const struct lab_run *run = lab_find_run(lab, args->items[i]);
        const struct lab_job *job;

        if (run) {
            for (size_t k = 0; k < run->n_jobs; k++)
                select_job(sel, run->jobs[k]);
            continue;
        }
        job = lab_find_job(lab, args->items[i], err);
        if (!job)
            return -1;
        sel->named[job - lab->jobs] = true;
        select_job(sel, (size_t)(job - lab->jobs));
    }
    return 0;
}

/* One simple job, or one phase: this process does it. */
static int run_one(struct session *s, const struct lab *lab, const struct lab_job *job,
                   const struct unit *u, int *exit_code, struct error *err)
{
    if (run_unit(s, lab, job, u, exit_code, err) < 0)
        return -1;
    /* with --unit whoever asked for the phase says how it ended: launch/graph, mostly
     */
    if (s->request->unit)
        return 0;
    if (*exit_code == 0) {
        log_info("job %s succeeded; its output is in %s/outputs/%s/out", job->id,
                 s->settled.base_path, job->id);
        return 0;
    }
    log_info("job %s failed with exit code %d; its logs are in %s/outputs/%s", job->id,
             *exit_code, s->settled.base_path, job->id);
    return 0;
}

static int run_many(struct session *s, const struct lab *lab, struct selection *sel,
                    int *exit_code, struct error *err)
{
    struct graph_options opts = {
        .parallel = s->request->jobs ? (size_t)s->request->jobs : 1,
        .rerun = s->request->rerun,
        .named = sel->named,
    };
    _cleanup_free_ size_t *order = NULL;
    size_t n = 0;

    if (lab_order(lab, sel->jobs, sel->n, &order, &n, err) < 0)
        return -1;
    /* what is wrong with the node is said once, not by each job */
    for (size_t i = 0; i < n; i++) {
        if (!lab->runs[lab->jobs[order[i]].run].image)
            continue;
        if (launch_check_node(s, err) < 0)
            return -1;
        break;
    }
    return graph_run(s, lab, order, n, &opts, exit_code, err);
}

static int run_selected(struct session *s, const struct lab *lab, struct selection *sel,
                        int *exit_code, struct error *err)
{
    const struct request *req = s->request;
    _cleanup_free_ char *text = NULL;
    struct unit u = {.kind = UNIT_SIMPLE};
    bool single = sel->n == 1 && sel->named[sel->jobs[0]];
    const struct lab_job *job = single ? &lab->jobs[sel->jobs[0]] : NULL;

    if (req->unit) {
        text = strdup(req->unit);
        if (!text)
            return error_oom(err);
        if (!single)
            return error_usage(err, "--unit takes exactly one job");
        if (unit_parse(text, &u, err) < 0)
            return -1;
        return run_one(s, lab, job, &u, exit_code, err);
    }
    if (single && !job->scatter_gather)
        return run_one(s, lab, job, &u, exit_code, err);
    return run_many(s, lab, sel, exit_code, err);
}

static int run_main(const struct request *req, char *const *env, int *exit_code,
                    struct error *err)
{
    struct opened_lab lab = OPENED_LAB_INIT;
    struct selection sel = {0};
    struct session s;
    int r;

    if (req->args.count == 0) {
        error_usage(err, "JOB or RUN is missing");
        return error_hint(err, "repx-launch list shows them");
    }
    if (supervise_prepare(err) < 0)
        return -1;
    r = session_init(&s, req, env, err);
    if (r == 0)
        r = opened_lab_init_for(&lab, &s, &req->args, err);
    if (r == 0)
        r = selection_init(&sel, &lab.lab, &req->args, err);
    if (r == 0)
        r = run_selected(&s, &lab.lab, &sel, exit_code, err);
    selection_release(&sel);
    opened_lab_release(&lab);
    session_release(&s);
    return r;
}

const struct command cmd_run = {
    .name = "run",
    .options = FOR_RUN | FOR_LAUNCH | FOR_LAB | FOR_JOB | FOR_CONFIG,
    .synopsis = "JOB|RUN... [--lab LAB] [OPTION...]",
    .summary = "Run jobs of a lab here, producers before consumers",
    .details =
        "A job is named by its id or an unambiguous prefix of it. A run means all\n"
        "its jobs; those that have succeeded before are skipped, a failed job stops\n"
        "its dependents only. A job named by itself runs in any case.\n\n"
        "Results are in BASE/outputs/JOB/out, logs, markers and launch.json in\n"
        "BASE/outputs/JOB/repx. The exit code is the job's own; of several, that of\n"
        "the first that failed.\n",
    .main = run_main,
};
