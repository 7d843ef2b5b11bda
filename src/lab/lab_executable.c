#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "lab/labjson.h"
#include "lab/metadata.h"

static void mapping_release(struct lab_mapping *m)
{
    free(m->type);
    free(m->job_id);
    free(m->source_output);
    free(m->target_input);
    free(m->source_run);
    free(m->source);
    free(m->source_key);
    free(m->dependency_type);
}

void lab_executable_release(struct lab_executable *exe)
{
    for (size_t i = 0; i < exe->n_inputs; i++)
        mapping_release(&exe->inputs[i]);
    for (size_t i = 0; i < exe->n_outputs; i++) {
        free(exe->outputs[i].name);
        free(exe->outputs[i].template);
    }
    free(exe->inputs);
    free(exe->outputs);
    strv_release(&exe->deps);
    free(exe->name);
    free(exe->path);
    *exe = (struct lab_executable){0};
}

static int parse_mapping(const json_t *json, struct lab_mapping *m, struct error *err)
{
    const struct {
        const char *key;
        char **out;
    } members[] = {
        {"type", &m->type},
        {"job_id", &m->job_id},
        {"source_output", &m->source_output},
        {"target_input", &m->target_input},
        {"source_run", &m->source_run},
        {"source", &m->source},
        {"source_key", &m->source_key},
        {"dependency_type", &m->dependency_type},
    };

    if (!json_is_object(json))
        return error_fail(err, "is not an object");
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
        if (labjson_string(json, members[i].key, false, members[i].out, err) < 0)
            return -1;
    return 0;
}

static int parse_inputs(const json_t *json, struct lab_executable *exe,
                        struct error *err)
{
    json_t *array;

    if (labjson_array(json, "inputs", false, &array, err) < 0)
        return -1;
    if (json_array_size(array) == 0)
        return 0;
    exe->inputs = calloc(json_array_size(array), sizeof(*exe->inputs));
    if (!exe->inputs)
        return error_oom(err);
    for (size_t i = 0; i < json_array_size(array); i++) {
        exe->n_inputs++;
        if (parse_mapping(json_array_get(array, i), &exe->inputs[i], err) < 0)
            return error_context(err, "input %zu", i);
    }
    return 0;
}

static int compare_outputs(const void *a, const void *b)
{
    return strcmp(((const struct lab_output *)a)->name,
                  ((const struct lab_output *)b)->name);
}

static int parse_outputs(const json_t *json, struct lab_executable *exe,
                         struct error *err)
{
    struct lab_output *o;
    const char *key;
    json_t *object, *value;

    if (labjson_object(json, "outputs", false, &object, err) < 0)
        return -1;
    if (json_object_size(object) == 0)
        return 0;
    exe->outputs = calloc(json_object_size(object), sizeof(*exe->outputs));
    if (!exe->outputs)
        return error_oom(err);
    json_object_foreach(object, key, value)
    {
        o = &exe->outputs[exe->n_outputs++];
        o->name = strdup(key);
        if (json_is_string(value))
            o->template = strdup(json_string_value(value));
        if (!o->name || (json_is_string(value) && !o->template))
            return error_oom(err);
    }
    qsort(exe->outputs, exe->n_outputs, sizeof(*exe->outputs), compare_outputs);
    return 0;
}

static int parse_deps(const json_t *json, struct lab_executable *exe, struct error *err)
{
    json_t *array, *item;
    size_t i;

    if (labjson_array(json, "deps", false, &array, err) < 0)
        return -1;
    json_array_foreach(array, i, item)
    {
        if (!json_is_string(item))
            return error_fail(err,
                              "member \"deps\" holds something other than strings");
        strv_add(&exe->deps, json_string_value(item));
    }
    return strv_check(&exe->deps, err);
}

/* A program outside the job's own directory would be one that nobody declared. */
static int check_path(const char *job_id, const char *path, struct error *err)
{
    size_t n = strlen(job_id);

    if (is_relative_path(path) && !lab_has_control(path) &&
        strncmp(path, "jobs/", 5) == 0 && strncmp(path + 5, job_id, n) == 0 &&
        path[5 + n] == '/')
        return 0;
    return error_fail(err, "path '%s' does not lie below jobs/%s/", path, job_id);
}

int lab_executable_parse(const char *job_id, const char *name, const json_t *json,
                         struct lab_executable *out, struct error *err)
{
    if (!is_path_component(name) || lab_has_control(name))
        return error_fail(err, "the name cannot be a file name");
    if (!json_is_object(json))
        return error_fail(err, "is not an object");
    out->name = strdup(name);
    if (!out->name)
        return error_oom(err);
    if (labjson_string(json, "path", true, &out->path, err) < 0 ||
        check_path(job_id, out->path, err) < 0 || parse_inputs(json, out, err) < 0 ||
        parse_outputs(json, out, err) < 0 || parse_deps(json, out, err) < 0)
        return -1;
    return 0;
}
