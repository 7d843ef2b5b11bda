#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "lab/labjson.h"
#include "lab/metadata.h"

bool lab_has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

void lab_manifest_release(struct lab_manifest *m)
{
    free(m->id);
    free(m->version);
    free(m->metadata);
    strv_release(&m->paths);
    strv_release(&m->sha256);
    *m = (struct lab_manifest){0};
}

void lab_metadata_top_release(struct lab_metadata_top *m)
{
    free(m->repx_version);
    free(m->git_hash);
    strv_release(&m->runs);
    *m = (struct lab_metadata_top){0};
}

void lab_metadata_run_release(struct lab_metadata_run *m)
{
    for (size_t i = 0; i < m->n_jobs; i++)
        lab_job_release(&m->jobs[i]);
    free(m->jobs);
    free(m->name);
    free(m->image);
    strv_release(&m->hard_paths);
    strv_release(&m->soft_paths);
    *m = (struct lab_metadata_run){0};
}

/* Only a path that stays inside by its text is looked at; links are lab_open's part. */
static int check_inside(const char *what, const char *path, struct error *err)
{
    if (is_relative_path(path) && !lab_has_control(path))
        return 0;
    return error_fail(err, "%s '%s' is not a path inside the lab", what, path);
}

static int parse_file(const json_t *json, struct lab_manifest *out, struct error *err)
{
    _cleanup_free_ char *path = NULL, *sha256 = NULL;

    if (!json_is_object(json))
        return error_fail(err, "is not an object");
    if (labjson_string(json, "path", true, &path, err) < 0 ||
        check_inside("file", path, err) < 0 ||
        labjson_string(json, "sha256", true, &sha256, err) < 0)
        return -1;
    if (!is_lower_hex(sha256, 64))
        return error_fail(err, "member \"sha256\" is not 64 hexadecimal digits");
    strv_take(&out->paths, steal_ptr(path));
    strv_take(&out->sha256, steal_ptr(sha256));
    return 0;
}

int lab_metadata_parse_manifest(const char *text, size_t len, struct lab_manifest *out,
                                struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load(text, len, JSON_REJECT_DUPLICATES, err);
    json_t *files, *item;
    size_t i;

    if (!doc)
        return -1;
    if (labjson_string(doc, "labId", true, &out->id, err) < 0 ||
        labjson_string(doc, "lab_version", false, &out->version, err) < 0 ||
        labjson_string(doc, "metadata", true, &out->metadata, err) < 0 ||
        check_inside("member \"metadata\"", out->metadata, err) < 0 ||
        labjson_array(doc, "files", true, &files, err) < 0)
        return -1;
    if (!is_path_component(out->id) || lab_has_control(out->id))
        return error_fail(err, "labId '%s' cannot be a file name", out->id);
    json_array_foreach(files, i,
                       item) if (parse_file(item, out, err) <
                                 0) return error_context(err, "files, entry %zu", i);
    if (strv_check(&out->paths, err) < 0 || strv_check(&out->sha256, err) < 0)
        return -1;
    return 0;
}

int lab_metadata_parse_top(const char *text, size_t len, struct lab_metadata_top *out,
                           struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load_typed(text, len, "root", err);
    json_t *runs, *item;
    size_t i;

    if (!doc)
        return -1;
    if (labjson_string(doc, "repx_version", false, &out->repx_version, err) < 0 ||
        labjson_string(doc, "gitHash", false, &out->git_hash, err) < 0 ||
        labjson_array(doc, "runs", true, &runs, err) < 0)
        return -1;
    json_array_foreach(runs, i, item)
    {
        if (!json_is_string(item))
            return error_fail(err, "runs, entry %zu is not a string", i);
        if (check_inside("run", json_string_value(item), err) < 0)
            return -1;
        strv_add(&out->runs, json_string_value(item));
    }
    return strv_check(&out->runs, err);
}

static int parse_dependencies(const json_t *doc, struct lab_metadata_run *out,
                              struct error *err)
{
    const char *key, *kind;
    json_t *object, *value;

    if (labjson_object(doc, "dependencies", false, &object, err) < 0)
        return -1;
    json_object_foreach(object, key, value)
    {
        kind = json_is_string(value) ? json_string_value(value) : "";
        if (check_inside("dependency", key, err) < 0)
            return -1;
        if (strcmp(kind, "hard") == 0)
            strv_add(&out->hard_paths, key);
        else if (strcmp(kind, "soft") == 0)
            strv_add(&out->soft_paths, key);
        else
            return error_fail(err, "dependency '%s' is neither \"hard\" nor \"soft\"",
                              key);
    }
    if (strv_check(&out->hard_paths, err) < 0)
        return -1;
    return strv_check(&out->soft_paths, err);
}

static int parse_jobs(const json_t *doc, struct lab_metadata_run *out,
                      struct error *err)
{
    const char *key;
    json_t *object, *value;

    if (labjson_object(doc, "jobs", true, &object, err) < 0)
        return -1;
    out->jobs = calloc(json_object_size(object) + 1, sizeof(*out->jobs));
    if (!out->jobs)
        return error_oom(err);
    json_object_foreach(
        object, key,
        value) if (lab_job_parse(key, value, &out->jobs[out->n_jobs++], err) <
                   0) return error_context(err, "job '%s'", key);
    return 0;
}

int lab_metadata_parse_run(const char *text, size_t len, struct lab_metadata_run *out,
                           struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load_typed(text, len, "run", err);

    if (!doc)
        return -1;
    if (labjson_string(doc, "name", true, &out->name, err) < 0 ||
        labjson_string(doc, "image", false, &out->image, err) < 0)
        return -1;
    if (!is_path_component(out->name) || lab_has_control(out->name))
        return error_fail(err, "the run name '%s' cannot be a file name", out->name);
    if (out->image && check_inside("image", out->image, err) < 0)
        return -1;
    if (parse_dependencies(doc, out, err) < 0)
        return -1;
    return parse_jobs(doc, out, err);
}
