#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "lab/json_write.h"
#include "lab/labjson.h"
#include "lab/metadata.h"

void lab_job_release(struct lab_job *job)
{
    for (size_t i = 0; i < job->n_executables; i++)
        lab_executable_release(&job->executables[i]);
    free(job->executables);
    free(job->id);
    free(job->name);
    free(job->params_json);
    free(job->hints.mem);
    free(job->hints.time);
    free(job->hints.partition);
    free(job->hints.sbatch_opts);
    free(job->hints.cpus);
    *job = (struct lab_job){0};
}

static int parse_hints(const json_t *json, struct lab_hints *hints, struct error *err)
{
    const struct {
        const char *key;
        char **out;
    } members[] = {
        {"mem", &hints->mem},
        {"time", &hints->time},
        {"partition", &hints->partition},
        {"sbatch_opts", &hints->sbatch_opts},
        {"cpus", &hints->cpus},
    };
    json_t *object;

    if (labjson_object(json, "resource_hints", false, &object, err) < 0)
        return -1;
    for (size_t i = 0; object && i < sizeof(members) / sizeof(*members); i++) {
        if (labjson_text(object, members[i].key, members[i].out, err) < 0)
            return error_context(err, "resource_hints");
        /* a line break would add directives of its own to a batch script */
        if (*members[i].out && lab_has_control(*members[i].out))
            return error_fail(err, "resource_hints: \"%s\" has a control character",
                              members[i].key);
    }
    return 0;
}

static int compare_executables(const void *a, const void *b)
{
    return strcmp(((const struct lab_executable *)a)->name,
                  ((const struct lab_executable *)b)->name);
}

static int parse_executables(const json_t *json, struct lab_job *job, struct error *err)
{
    const char *key;
    json_t *object, *value;

    if (labjson_object(json, "executables", true, &object, err) < 0)
        return -1;
    job->executables = calloc(json_object_size(object) + 1, sizeof(*job->executables));
    if (!job->executables)
        return error_oom(err);
    json_object_foreach(object, key, value)
    {
        struct lab_executable *exe = &job->executables[job->n_executables++];

        if (lab_executable_parse(job->id, key, value, exe, err) < 0)
            return error_context(err, "executable '%s'", key);
    }
    qsort(job->executables, job->n_executables, sizeof(*job->executables),
          compare_executables);
    return 0;
}

/* serde writes the parameters back sorted and pretty; so do we, once, here. */
static int parse_params(const json_t *json, struct lab_job *job, struct error *err)
{
    struct buf text = BUF_INIT;
    json_t *params;

    if (labjson_object(json, "params", false, &params, err) < 0)
        return -1;
    if (params)
        json_write_pretty(&text, params);
    else
        buf_adds(&text, "{}");
    job->params_json = buf_steal(&text);
    return job->params_json ? 0 : error_oom(err);
}

static int parse_stage_type(const json_t *json, struct lab_job *job, struct error *err)
{
    _cleanup_free_ char *type = NULL;

    if (labjson_string(json, "stage_type", false, &type, err) < 0)
        return -1;
    job->scatter_gather = type && strcmp(type, "scatter-gather") == 0;
    if (type && !job->scatter_gather && strcmp(type, "simple") != 0)
        return error_fail(err, "stage_type '%s' is neither simple nor scatter-gather",
                          type);
    return 0;
}

static int check_shape(const struct lab_job *job, struct error *err)
{
    const char *need[] = {"main", NULL};
    const char *need_sg[] = {"scatter", "gather", NULL};
    bool step = false;

    for (const char **n = job->scatter_gather ? need_sg : need; *n; n++)
        if (!lab_executable(job, *n))
            return error_fail(err, "has no executable '%s'", *n);
    for (size_t i = 0; i < job->n_executables; i++)
        step = step || strncmp(job->executables[i].name, "step-", 5) == 0;
    if (job->scatter_gather && !step)
        return error_fail(err, "is scatter-gather and has no step");
    return 0;
}

int lab_job_parse(const char *id, json_t *json, struct lab_job *out, struct error *err)
{
    const char *dash = strchr(id, '-');

    if (!is_path_component(id) || lab_has_control(id))
        return error_fail(err, "the job id cannot be a directory name");
    if (!json_is_object(json))
        return error_fail(err, "is not an object");
    out->id = strdup(id);
    if (!out->id)
        return error_oom(err);
    if (labjson_string(json, "name", false, &out->name, err) < 0)
        return -1;
    if (!out->name)
        out->name = strdup(dash && dash[1] ? dash + 1 : id);
    if (!out->name)
        return error_oom(err);
    if (parse_stage_type(json, out, err) < 0 || parse_params(json, out, err) < 0 ||
        parse_executables(json, out, err) < 0 ||
        parse_hints(json, &out->hints, err) < 0)
        return -1;
    return check_shape(out, err);
}
