#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/inputs.h"
#include "lab/inputs_internal.h"
#include "lab/json_write.h"
#include "lab/labjson.h"

static char *step_out_dir(const struct lab_job *job, const struct lab_executable *step,
                          size_t branch, const char *base_path)
{
    return str_printf("%s/outputs/%s/branch-%zu/%s/out", base_path, job->id, branch,
                      step->name);
}

/* source "step:<name>": an output of an earlier step of the same branch. */
static int add_step_output(const struct lab_job *job, const struct lab_mapping *m,
                           size_t branch, const char *base_path, struct inputs *out,
                           struct error *err)
{
    const struct input like = {
        .kind = INPUT_ARTIFACT, .producer = SIZE_MAX, .run = SIZE_MAX};
    const char *name = m->source + strlen("step:");
    const struct lab_executable *step = inputs_find_step(job, name);
    const struct lab_output *output;
    _cleanup_free_ char *dir = NULL;
    char *path;

    if (!step)
        return error_fail(err, "comes from step '%s', which the job does not have",
                          name);
    output = inputs_find_output(step, m->source_output);
    if (!output)
        return error_fail(err, "step '%s' has no output '%s'", name, m->source_output);
    dir = step_out_dir(job, step, branch, base_path);
    if (!dir)
        return error_oom(err);
    path = inputs_expand(output, dir, err);
    if (!path)
        return error_context(err, "step '%s'", name);
    return inputs_set(out, m->target_input, path, &like, err);
}

static int copy_input(const struct input *from, struct inputs *out, struct error *err)
{
    return inputs_set(out, from->name, strdup(from->path), from, err);
}

static int add_from_composite(const struct lab_mapping *m, const struct inputs *sg,
                              struct inputs *out, struct error *err)
{
    for (size_t i = 0; i < sg->n; i++)
        if (strcmp(sg->items[i].name, m->target_input) == 0)
            return copy_input(&sg->items[i], out, err);
    strv_addf(&out->warnings,
              "input '%s': scatter has no input of that name, so it stays absent",
              m->target_input);
    return strv_check(&out->warnings, err);
}

static int add_step_mapping(const struct lab_job *job, const struct lab_mapping *m,
                            size_t branch, const char *base_path,
                            const struct inputs *sg, struct inputs *out,
                            struct error *err)
{
    const struct input item = {
        .kind = INPUT_WORK_ITEM, .producer = SIZE_MAX, .run = SIZE_MAX};

    if (!m->target_input)
        return 0;
    if (m->source && strcmp(m->source, "scatter:work_item") == 0)
        return inputs_set(out, m->target_input,
                          str_printf("%s/outputs/%s/branch-%zu/repx/work_item.json",
                                     base_path, job->id, branch),
                          &item, err);
    if (m->source && strncmp(m->source, "step:", 5) == 0 && m->source_output)
        return add_step_output(job, m, branch, base_path, out, err);
    if (m->job_id)
        return add_from_composite(m, sg, out, err);
    return 0;
}

int inputs_resolve_step(const struct lab *lab, const struct lab_job *job,
                        const struct lab_executable *step, size_t branch,
                        const char *base_path, const struct inputs *sg,
                        struct inputs *out, struct error *err)
{
    (void)lab;
    for (size_t i = 0; i < step->n_inputs; i++)
        if (add_step_mapping(job, &step->inputs[i], branch, base_path, sg, out, err) <
            0) {
            inputs_release(out);
            return error_context(err, "job '%s': %s: input '%s'", job->id, step->name,
                                 step->inputs[i].target_input);
        }
    return 0;
}

/* Gather's own mappings do not count in RepX: it gets scatter's inputs and this one. */
int inputs_resolve_gather(const struct lab *lab, const struct lab_job *job,
                          const char *base_path, const struct inputs *sg,
                          struct inputs *out, struct error *err)
{
    const struct input like = {
        .kind = INPUT_MANIFEST, .producer = SIZE_MAX, .run = SIZE_MAX};
    int r = 0;

    (void)lab;
    for (size_t i = 0; r == 0 && i < sg->n; i++)
        r = copy_input(&sg->items[i], out, err);
    if (r == 0)
        r = inputs_set(out, "worker__outs",
                       str_printf("%s/outputs/%s/repx/worker_outs_manifest.json",
                                  base_path, job->id),
                       &like, err);
    if (r < 0)
        inputs_release(out);
    return r;
}

static int add_branch(const struct lab_job *job, const struct lab_executable *sink,
                      size_t branch, const char *base_path, struct buf *b,
                      struct error *err)
{
    _cleanup_free_ char *dir = step_out_dir(job, sink, branch, base_path);
    const char *separator = "";

    if (!dir)
        return error_oom(err);
    buf_adds(b, branch > 0 ? ",{" : "{");
    for (size_t i = 0; i < sink->n_outputs; i++) {
        _cleanup_free_ char *path = NULL;

        if (!sink->outputs[i].template)
            continue; /* a value and no file: nothing to hand on */
        path = inputs_expand(&sink->outputs[i], dir, err);
        if (!path)
            return error_context(err, "job '%s': %s", job->id, sink->name);
        buf_adds(b, separator);
        json_write_string(b, sink->outputs[i].name);
        buf_addc(b, ':');
        json_write_string(b, path);
        separator = ",";
    }
    buf_addc(b, '}');
    return 0;
}

char *inputs_worker_outs(const struct lab *lab, const struct lab_job *job,
                         const char *base_path, size_t n_branches, struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_free_ size_t *order = NULL;
    size_t n;

    (void)lab;
    if (inputs_step_order(job, &order, &n, err) < 0)
        return NULL;
    buf_addc(&b, '[');
    for (size_t i = 0; i < n_branches; i++)
        if (add_branch(job, &job->executables[order[n - 1]], i, base_path, &b, err) < 0)
            return NULL;
    buf_addc(&b, ']');
    if (buf_check(&b, err) < 0)
        return NULL;
    return buf_steal(&b);
}

int inputs_work_items(const char *json, size_t len, struct strv *items,
                      struct error *err)
{
    /* a job wrote this, not the lab: as in RepX the last of two equal keys counts */
    _cleanup_json_ json_t *doc = labjson_load(json, len, 0, err);
    json_t *item;
    size_t i;

    if (!doc)
        return error_context(err, "work_items.json");
    if (!json_is_array(doc))
        return error_fail(err,
                          "work_items.json is not a JSON array; the scatter script "
                          "has to write one, with an item for each branch");
    json_array_foreach(doc, i, item)
    {
        struct buf b = BUF_INIT;

        json_write_compact(&b, item);
        strv_take(items, buf_steal(&b));
    }
    return strv_check(items, err);
}
