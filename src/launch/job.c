#include "launch/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/image.h"
#include "sys/lockfile.h"

void job_unit_release(struct job_unit *j)
{
    free(j->out);
    free(j->repx);
    free(j->job_repx);
    free(j->inputs_path);
    free(j->params_path);
    free(j->script);
    free(j->host_tools);
    free(j->image);
    free(j->inputs_text);
    inputs_release(&j->inputs);
    strv_release(&j->argv);
    *j = (struct job_unit){0};
}

static int find_executable(struct job_unit *j, struct error *err)
{
    _cleanup_free_ char *step = NULL;
    const char *name = "main";

    if (j->job->scatter_gather != (j->unit.kind != UNIT_SIMPLE)) {
        error_usage(err, "job %s is %s", j->job->id,
                    j->job->scatter_gather ? "a scatter-gather job"
                                           : "simple, it has no phases");
        return error_hint(err, j->job->scatter_gather
                                   ? "name a phase with --unit, for example scatter"
                                   : "leave --unit out");
    }
    if (j->unit.kind == UNIT_SCATTER)
        name = "scatter";
    if (j->unit.kind == UNIT_GATHER)
        name = "gather";
    if (j->unit.kind == UNIT_STEP) {
        step = str_printf("step-%s", j->unit.step);
        if (!step)
            return error_oom(err);
        name = step;
    }
    j->exe = lab_executable(j->job, name);
    if (!j->exe)
        return error_fail(err, "job %s has no executable %s", j->job->id, name);
    return 0;
}

static int set_paths(struct job_unit *j, struct error *err)
{
    const struct unit whole = {.kind = UNIT_SIMPLE};

    j->out = layout_out_dir(j->base, j->job->id, &j->unit);
    j->repx = layout_repx_dir(j->base, j->job->id, &j->unit);
    j->job_repx = layout_repx_dir(j->base, j->job->id, &whole);
    j->script = str_printf("%s/%s", j->lab->path, j->exe->path);
    j->host_tools = str_printf("%s/%s", j->lab->path, j->lab->host_tools);
    if (!j->out || !j->repx || !j->job_repx || !j->script || !j->host_tools)
        return error_oom(err);
    /* FACTS-REPX section 2: scatter reads the composite's files, gather its own */
    if (j->unit.kind == UNIT_GATHER)
        j->inputs_path = str_printf("%s/gather_inputs.json", j->job_repx);
    else if (j->unit.kind == UNIT_STEP)
        j->inputs_path = str_printf("%s/inputs.json", j->repx);
    else
        j->inputs_path = str_printf("%s/inputs.json", j->job_repx);
    j->params_path = str_printf("%s/parameters.json", j->job_repx);
    if (!j->inputs_path || !j->params_path)
        return error_oom(err);
    return 0;
}

/* The run's image by the search of CONTRACT section 4: in the lab, then in base_path.
 */
static int find_image(struct job_unit *j, struct error *err)
{
    const struct lab_run *run = &j->lab->runs[j->job->run];
    const char *name;
    int r;

    if (!run->image)
        return 0;
    name = strrchr(run->image, '/');
    name = name ? name + 1 : run->image;
    r = image_find_in_lab(j->lab->path, name, &j->image, err);
    if (r == 1)
        r = image_find_in_lab(j->base, name, &j->image, err);
    if (r == 1) {
        error_fail(err, "image %s of run %s is neither in the lab %s nor in %s", name,
                   run->name, j->lab->path, j->base);
        return error_hint(err, "build the lab again or copy the image to %s/images",
                          j->lab->path);
    }
    return r;
}

static int resolve_inputs(struct job_unit *j, struct error *err)
{
    struct inputs sg = INPUTS_INIT;
    _cleanup_strv_ struct strv items = STRV_INIT;
    int r;

    if (j->unit.kind == UNIT_SIMPLE || j->unit.kind == UNIT_SCATTER)
        return inputs_resolve(j->lab, j->job, j->base, &j->inputs, err);
    if (job_work_items(j->base, j->job, &items, err) < 0)
        return -1;
    j->n_branches = items.count;
    r = inputs_resolve(j->lab, j->job, j->base, &sg, err);
    if (r == 0 && j->unit.kind == UNIT_STEP) {
        if (j->unit.branch >= items.count)
            r = error_fail(err, "job %s has %zu branches, there is no branch %zu",
                           j->job->id, items.count, j->unit.branch);
        else
            r = inputs_resolve_step(j->lab, j->job, j->exe, j->unit.branch, j->base,
                                    &sg, &j->inputs, err);
    } else if (r == 0) {
        r = inputs_resolve_gather(j->lab, j->job, j->base, &sg, &j->inputs, err);
    }
    inputs_release(&sg);
    return r;
}

int job_unit_init(struct job_unit *j, const struct session *s, const struct lab *lab,
                  const struct lab_job *job, const struct unit *u, struct error *err)
{
    *j = (struct job_unit){.lab = lab,
                           .job = job,
                           .unit = *u,
                           .base = s->settled.base_path,
                           .inputs = INPUTS_INIT,
                           .argv = STRV_INIT};
    if (find_executable(j, err) < 0 || set_paths(j, err) < 0 ||
        find_image(j, err) < 0 || resolve_inputs(j, err) < 0)
        return -1;
    for (size_t i = 0; i < j->inputs.warnings.count; i++)
        log_warn("%s", j->inputs.warnings.items[i]);
    j->inputs_text = inputs_json(&j->inputs, err);
    if (!j->inputs_text)
        return -1;
    strv_addl(&j->argv, j->script, j->out, j->inputs_path, j->params_path, NULL);
    return strv_check(&j->argv, err);
}

int job_unit_claim(const struct job_unit *j, int repx_fd, const char *note,
                   struct lockfile *lock, struct error *err)
{
    _cleanup_buf_ struct buf holder = BUF_INIT;
    int r = lockfile_try(lock, repx_fd, ".launch.lock", true, err);

    if (r == 0)
        r = lockfile_note_write(lock, note, err);
    if (r < 0)
        return error_context(err, "job %s cannot use %s", j->job->id, j->repx);
    if (r == 0)
        return 0;
    if (lockfile_note_read(lock, &holder, err) < 0)
        return -1;
    error_fail(err, "job %s is running already (%s)", j->job->id, buf_str(&holder));
    return error_hint(err, "wait for it, or cancel it");
}
