#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "launch/labopen.h"
#include "outcome/markers.h"

static const char *state_name(const struct session *s, const struct lab_job *job)
{
    switch (markers_of_job(s->settled.base_path, job->id)) {
    case MARKER_SUCCESS:
        return "succeeded";
    case MARKER_FAIL:
        return "failed";
    case MARKER_NONE:
        break;
    }
    return "not run";
}

static bool wanted(const struct request *req, const struct lab_run *run)
{
    return req->args.count == 0 || strv_contains(&req->args, run->name);
}

static int check_names(const struct request *req, const struct lab *lab,
                       struct error *err)
{
    for (size_t i = 0; i < req->args.count; i++)
        if (!lab_find_run(lab, req->args.items[i]))
            return error_fail(err, "the lab %s has no run %s", lab->path,
                              req->args.items[i]);
    return 0;
}

static int list_text(const struct session *s, const struct lab *lab, struct buf *out,
                     struct error *err)
{
    for (size_t r = 0; r < lab->n_runs; r++) {
        const struct lab_run *run = &lab->runs[r];

        if (!wanted(s->request, run))
            continue;
        buf_adds(out, "run ");
        quote_printable(out, run->name);
        buf_addf(out, ": %zu jobs, ", run->n_jobs);
        quote_printable(out, run->image ? run->image : "no image");
        for (size_t i = 0; i < run->hard_deps.count; i++) {
            buf_adds(out, i ? ", " : ", after ");
            quote_printable(out, run->hard_deps.items[i]);
        }
        buf_addc(out, '\n');
        for (size_t i = 0; i < run->n_jobs; i++) {
            const struct lab_job *job = &lab->jobs[run->jobs[i]];

            buf_addf(out, "  %-9s  ", state_name(s, job));
            quote_printable(out, job->id);
            buf_adds(out, job->scatter_gather ? "  scatter-gather\n" : "\n");
        }
    }
    return buf_check(out, err);
}

static json_t *job_json(const struct session *s, const struct lab *lab,
                        const struct lab_job *job, struct error *err)
{
    _cleanup_free_ size_t *deps = NULL;
    json_t *o, *ids;
    size_t n = 0;

    if (lab_job_deps(lab, job, &deps, &n, err) < 0)
        return NULL;
    ids = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(ids, json_string(lab->jobs[deps[i]].id));
    o = json_object();
    json_object_set_new(o, "id", json_string(job->id));
    json_object_set_new(o, "name", json_string(job->name));
    json_object_set_new(o, "run", json_string(lab->runs[job->run].name));
    json_object_set_new(o, "type",
                        json_string(job->scatter_gather ? "scatter-gather" : "simple"));
    json_object_set_new(o, "state", json_string(state_name(s, job)));
    json_object_set_new(o, "deps", ids);
    return o;
}

static int list_json(const struct session *s, const struct lab *lab, struct buf *out,
                     struct error *err)
{
    json_t *root = json_object(), *runs = json_array(), *jobs = json_array();

    json_object_set_new(root, "lab", json_string(lab->path));
    json_object_set_new(root, "lab_id", json_string(lab->id));
    json_object_set_new(root, "runs", runs);
    json_object_set_new(root, "jobs", jobs);
    for (size_t r = 0; r < lab->n_runs; r++) {
        const struct lab_run *run = &lab->runs[r];
        json_t *o = json_object(), *ids = json_array();

        if (!wanted(s->request, run)) {
            json_decref(o);
            json_decref(ids);
            continue;
        }
        json_object_set_new(o, "name", json_string(run->name));
        json_object_set_new(o, "image",
                            run->image ? json_string(run->image) : json_null());
        json_object_set_new(o, "jobs", ids);
        json_array_append_new(runs, o);
        for (size_t i = 0; i < run->n_jobs; i++) {
            const struct lab_job *job = &lab->jobs[run->jobs[i]];
            json_t *j;

            json_array_append_new(ids, json_string(job->id));
            if (job->run != r && wanted(s->request, &lab->runs[job->run]))
                continue;
            j = job_json(s, lab, job, err);
            if (!j) {
                json_decref(root);
                return -1;
            }
            json_array_append_new(jobs, j);
        }
    }
    return json_text(root, out, err);
}

static int list_main(const struct request *req, char *const *env, int *exit_code,
                     struct error *err)
{
    struct opened_lab lab = OPENED_LAB_INIT;
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct session s;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = opened_lab_init(&lab, &s, err);
    if (r == 0)
        r = check_names(req, &lab.lab, err);
    if (r == 0)
        r = req->json ? list_json(&s, &lab.lab, &out, err)
                      : list_text(&s, &lab.lab, &out, err);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    opened_lab_release(&lab);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_list = {
    .name = "list",
    .options = FOR_LAB | FOR_LIST | FOR_CONFIG | FOR_JSON,
    .synopsis = "[RUN...] [--lab LAB] [--json]",
    .summary = "The runs and jobs of a lab and how they stand",
    .main = list_main,
};
