/* What a unit needs to be there, and what it is shown of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "launch/job.h"
#include "launch/outputs.h"
#include "outcome/markers.h"
#include "sys/pathfd.h"

/* work_items.json is written by the job: bounded, and believed only as data. */
#define WORK_ITEMS_MAX (256u << 20)

static const char *state_words(enum marker_state state)
{
    return state == MARKER_FAIL ? "has failed" : "has not run";
}

/* The look at producers' markers: each once, however many inputs it has. */
struct done {
    struct outputs outputs;
    bool *seen; /* by job of the lab: it has succeeded */
};

static void done_release(struct done *d)
{
    outputs_release(&d->outputs);
    free(d->seen);
}

static int check_job_done(const struct job_unit *j, struct done *d, size_t producer,
                          const char *name, struct error *err)
{
    const char *id = j->lab->jobs[producer].id;
    enum marker_state state;

    if (d->seen[producer])
        return 0;
    state = markers_of_job_at(d->outputs.fd, id);
    d->seen[producer] = state == MARKER_SUCCESS;
    if (d->seen[producer])
        return 0;
    error_fail(err, "job %s needs %s from job %s, which %s", j->job->id, name, id,
               state_words(state));
    return error_hint(err, "run it first: repx-launch run %s", id);
}

/* A hard dependency between runs: every job of the upstream run has to be done (RepX
 * does not enforce it: FACTS-REPX B7). */
static int check_dependencies(const struct job_unit *j, struct done *d,
                              struct error *err)
{
    _cleanup_free_ size_t *deps = NULL;
    size_t n = 0;

    if (lab_job_deps(j->lab, j->job, &deps, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (check_job_done(j, d, deps[i], "its result", err) < 0)
            return -1;
    return 0;
}

static int check_unit(const struct job_unit *j, const struct unit *u, struct error *err)
{
    _cleanup_free_ char *dir = layout_repx_dir(j->base, j->job->id, u);
    _cleanup_free_ char *text = unit_text(u);
    enum marker_state state;

    if (!dir || !text)
        return error_oom(err);
    state = markers_of_dir(dir);
    if (state == MARKER_SUCCESS)
        return 0;
    error_fail(err, "unit %s of job %s, which this one needs, %s", text, j->job->id,
               state_words(state));
    return error_hint(err, "run the whole job: repx-launch run %s", j->job->id);
}

/* The phases of a scatter-gather job that this one comes after. */
static int check_phases(const struct job_unit *j, struct error *err)
{
    struct unit u = {.kind = UNIT_SCATTER};
    _cleanup_free_ size_t *order = NULL;
    size_t n = 0;

    if (j->unit.kind == UNIT_STEP) {
        if (check_unit(j, &u, err) < 0)
            return -1;
        for (size_t i = 0; i < j->exe->deps.count; i++) {
            u = (struct unit){.kind = UNIT_STEP,
                              .branch = j->unit.branch,
                              .step = j->exe->deps.items[i]};
            if (check_unit(j, &u, err) < 0)
                return -1;
        }
        return 0;
    }
    if (check_unit(j, &u, err) < 0 || inputs_step_order(j->job, &order, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < j->n_branches; i++) {
        u = (struct unit){.kind = UNIT_STEP,
                          .branch = i,
                          .step = j->job->executables[order[n - 1]].name + 5};
        if (check_unit(j, &u, err) < 0)
            return -1;
    }
    return 0;
}

static int check_producers(const struct job_unit *j, struct done *d, struct error *err)
{
    for (size_t i = 0; i < j->inputs.n; i++) {
        const struct input *in = &j->inputs.items[i];

        if (in->kind == INPUT_ARTIFACT && in->producer != SIZE_MAX &&
            check_job_done(j, d, in->producer, in->name, err) < 0)
            return -1;
    }
    return check_dependencies(j, d, err);
}

int job_unit_check_inputs(const struct job_unit *j, struct error *err)
{
    _cleanup_(done_release) struct done d = {
        .seen = calloc(j->lab->n_jobs + 1, sizeof(*d.seen))};

    outputs_open(&d.outputs, j->base);
    if (!d.seen)
        return error_oom(err);
    if (check_producers(j, &d, err) < 0)
        return -1;
    if (j->unit.kind == UNIT_STEP || j->unit.kind == UNIT_GATHER)
        return check_phases(j, err);
    return 0;
}

/* RepX hands the path over and leaves it to the job whether it needs the file; so a
 * missing one is only worth a warning, in every runtime. */
static int bind_artifact(const struct job_unit *j, const struct outputs *o,
                         const struct input *in, struct bindlist *binds,
                         struct error *err)
{
    int r = outputs_bind(o, binds, in->path, err);

    if (r == 1)
        log_warn("job %s: input %s, %s, is missing: its producer has succeeded but did "
                 "not leave it there",
                 j->job->id, in->name, in->path);
    return r < 0 ? -1 : 0;
}

/* bwrap takes 9000 arguments, and its time grows with the square of the binds. */
#define MANY_OUTPUTS 1000

/* The outputs of a whole run, which an inter-run input declares. Of a very large run
 * the directory of all outputs is shown, which is said. */
static int bind_run_outputs(const struct job_unit *j, const struct outputs *o,
                            const struct lab_run *run, struct bindlist *binds,
                            struct error *err)
{
    const struct unit whole = {.kind = UNIT_SIMPLE};

    if (run->n_jobs > MANY_OUTPUTS) {
        _cleanup_free_ char *all = str_printf("%s/outputs", j->base);

        if (!all)
            return error_oom(err);
        log_warn("job %s: run %s has %zu jobs; all of %s is shown to it, read-only",
                 j->job->id, run->name, run->n_jobs, all);
        return bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, all, all, false,
                            err);
    }
    for (size_t i = 0; i < run->n_jobs; i++) {
        _cleanup_free_ char *out =
            layout_out_dir(j->base, j->lab->jobs[run->jobs[i]].id, &whole);

        if (!out)
            return error_oom(err);
        if (access(out, F_OK) == 0 && outputs_bind(o, binds, out, err) < 0)
            return -1;
    }
    return 0;
}

/* The sink outputs that worker_outs_manifest.json names: one bind of the job's own
 * directory, however many branches there are. */
static int bind_branches(const struct job_unit *j, struct bindlist *binds,
                         struct error *err)
{
    _cleanup_free_ char *dir = layout_job_dir(j->base, j->job->id);

    if (!dir)
        return error_oom(err);
    return bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, dir, dir, false,
                        err);
}

static int bind_input(const struct job_unit *j, const struct outputs *o,
                      const struct input *in, struct bindlist *binds, struct error *err)
{
    _cleanup_free_ char *source = NULL;

    switch (in->kind) {
    case INPUT_STORE:
        return 0; /* the directory itself is there as the parent of out */
    case INPUT_ARTIFACT:
        return bind_artifact(j, o, in, binds, err);
    case INPUT_METADATA:
        source = str_printf("%s/%s", j->lab->path, in->source);
        if (!source)
            return error_oom(err);
        if (bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, source, in->path,
                         true, err) < 0)
            return -1;
        return in->run == SIZE_MAX
                   ? 0
                   : bind_run_outputs(j, o, &j->lab->runs[in->run], binds, err);
    case INPUT_WORK_ITEM:
        return bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, in->path,
                            in->path, true, err);
    case INPUT_MANIFEST:
        if (bind_branches(j, binds, err) < 0)
            return -1;
        return bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, in->path,
                            in->path, true, err);
    }
    return 0;
}

/* The job's package, the host-tools and the store that their links lead into. */
static int bind_lab(const struct job_unit *j, struct bindlist *binds, struct error *err)
{
    const char *bin = strrchr(j->lab->host_tools, '/');
    _cleanup_free_ char *package = str_printf("%s/jobs/%s", j->lab->path, j->job->id);
    _cleanup_free_ char *tools = str_printf(
        "%s/%.*s", j->lab->path,
        (int)(bin ? bin - j->lab->host_tools : (ptrdiff_t)strlen(j->lab->host_tools)),
        j->lab->host_tools);
    _cleanup_free_ char *store = str_printf("%s/store", j->lab->path);
    struct stat st;

    if (!package || !tools || !store)
        return error_oom(err);
    if (bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB, package, package, false,
                     err) < 0 ||
        bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB, tools, tools, false,
                     err) < 0)
        return -1;
    if (stat(store, &st) < 0)
        return 0;
    return bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB, store, store, false,
                        err);
}

int job_unit_binds(const struct job_unit *j, struct bindlist *binds, struct error *err)
{
    _cleanup_(outputs_release) struct outputs o;

    outputs_open(&o, j->base);
    if (bind_lab(j, binds, err) < 0)
        return -1;
    for (size_t i = 0; i < j->inputs.n; i++)
        if (bind_input(j, &o, &j->inputs.items[i], binds, err) < 0)
            return error_context(err, "input %s of job %s", j->inputs.items[i].name,
                                 j->job->id);
    if (bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, j->inputs_path,
                     j->inputs_path, true, err) < 0 ||
        bindlist_add(binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, j->params_path,
                     j->params_path, true, err) < 0)
        return -1;
    return bindlist_add(binds, PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, j->out, j->out, false,
                        err);
}

int job_work_items(const char *base, const struct lab_job *job, struct strv *items,
                   struct error *err)
{
    const struct unit scatter = {.kind = UNIT_SCATTER};
    _cleanup_free_ char *out = layout_out_dir(base, job->id, &scatter);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int dir = -1, fd = -1;

    if (!out)
        return error_oom(err);
    dir = pathfd_open_user(out, O_PATH | O_DIRECTORY, err);
    if (dir >= 0)
        fd =
            pathfd_open_nofollow(dir, "work_items.json", O_RDONLY | O_NONBLOCK, 0, err);
    if (fd < 0) {
        error_context(err, "the scatter phase of job %s left no work_items.json",
                      job->id);
        return -1;
    }
    if (pathfd_read_all(fd, WORK_ITEMS_MAX, &text, err) < 0 ||
        inputs_work_items(buf_str(&text), text.len, items, err) < 0)
        return error_context(err, "%s/work_items.json", out);
    return 0;
}
