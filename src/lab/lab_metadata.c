#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "lab/jsonparts.h"
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
    /* what was never read is not touched: there may be millions */
    for (size_t i = 0; i < m->n_jobs; i++)
        if (m->jobs[i].id)
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

/* Shorter than any that is valid. */
#define FILE_LEAST 64
#define JOB_LEAST 32

/* One of the manifest's. */
struct file {
    char *path, *sha256;
};

static int parse_file(const json_t *json, struct file *out, struct error *err)
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
    out->path = steal_ptr(path);
    out->sha256 = steal_ptr(sha256);
    return 0;
}

/* All but the files. */
static int parse_manifest_head(const json_t *doc, struct lab_manifest *out,
                               struct error *err)
{
    if (labjson_string(doc, "labId", true, &out->id, err) < 0 ||
        labjson_string(doc, "lab_version", false, &out->version, err) < 0 ||
        labjson_string(doc, "metadata", true, &out->metadata, err) < 0 ||
        check_inside("member \"metadata\"", out->metadata, err) < 0)
        return -1;
    if (!is_path_component(out->id) || lab_has_control(out->id))
        return error_fail(err, "labId '%s' cannot be a file name", out->id);
    return 0;
}

static int parse_manifest_whole(const char *text, size_t len, struct lab_manifest *out,
                                struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load(text, len, JSON_REJECT_DUPLICATES, err);
    json_t *files, *item;
    size_t i;

    if (!doc || parse_manifest_head(doc, out, err) < 0 ||
        labjson_array(doc, "files", true, &files, err) < 0)
        return -1;
    json_array_foreach(files, i, item)
    {
        struct file f = {NULL, NULL};

        if (parse_file(item, &f, err) < 0)
            return error_context(err, "files, entry %zu", i);
        strv_take(&out->paths, f.path);
        strv_take(&out->sha256, f.sha256);
    }
    return strv_check(&out->paths, err) < 0 ? -1 : strv_check(&out->sha256, err);
}

struct files {
    const struct jsonparts *parts;
    struct file *items;
};

static bool take_file(void *arg, size_t i)
{
    const struct files *f = arg;
    _cleanup_json_ json_t *value = jsonparts_value(f->parts, i);
    struct error ignored = ERROR_INIT;

    return value && parse_file(value, &f->items[i], &ignored) == 0;
}

static bool parse_manifest_parts(const char *text, size_t len, struct lab_manifest *out)
{
    _cleanup_(jsonparts_release) struct jsonparts p = JSONPARTS_INIT;
    _cleanup_json_ json_t *rest = NULL;
    struct files f = {.parts = &p};
    struct error ignored = ERROR_INIT;
    bool good;

    if (!jsonparts_find(&p, text, len, "files", '[', FILE_LEAST))
        return false;
    rest = jsonparts_rest(&p);
    f.items = calloc(p.n + 1, sizeof(*f.items));
    good = rest && f.items && parse_manifest_head(rest, out, &ignored) == 0 &&
           jsonparts_each(&p, take_file, &f);
    for (size_t i = 0; f.items && i < p.n; i++) {
        if (good) {
            strv_take(&out->paths, f.items[i].path);
            strv_take(&out->sha256, f.items[i].sha256);
        } else {
            free(f.items[i].path);
            free(f.items[i].sha256);
        }
    }
    free(f.items);
    return good && !out->paths.failed && !out->sha256.failed;
}

/* In parts, or else as a whole, which tells what is wrong, too. */
int lab_metadata_parse_manifest(const char *text, size_t len, struct lab_manifest *out,
                                struct error *err)
{
    if (parse_manifest_parts(text, len, out))
        return 0;
    lab_manifest_release(out);
    return parse_manifest_whole(text, len, out, err);
}

int lab_metadata_parse_top(const char *text, size_t len, struct lab_metadata_top *out,
                           struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load(text, len, JSON_REJECT_DUPLICATES, err);
    json_t *runs, *item;
    size_t i;

    if (!doc || labjson_check_type(doc, "root", err) < 0 ||
        labjson_string(doc, "repx_version", false, &out->repx_version, err) < 0 ||
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

/* All but the jobs. */
static int parse_run_head(const json_t *doc, struct lab_metadata_run *out,
                          struct error *err)
{
    if (labjson_check_type(doc, "run", err) < 0 ||
        labjson_string(doc, "name", true, &out->name, err) < 0 ||
        labjson_string(doc, "image", false, &out->image, err) < 0)
        return -1;
    if (!is_path_component(out->name) || lab_has_control(out->name))
        return error_fail(err, "the run name '%s' cannot be a file name", out->name);
    if (out->image && check_inside("image", out->image, err) < 0)
        return -1;
    return parse_dependencies(doc, out, err);
}

static int parse_run_whole(const char *text, size_t len, struct lab_metadata_run *out,
                           struct error *err)
{
    _cleanup_json_ json_t *doc = labjson_load(text, len, JSON_REJECT_DUPLICATES, err);

    if (!doc || parse_run_head(doc, out, err) < 0)
        return -1;
    return parse_jobs(doc, out, err);
}

struct jobs {
    const struct jsonparts *parts;
    struct lab_job *items;
};

static bool take_job(void *arg, size_t i)
{
    const struct jobs *j = arg;
    _cleanup_json_ json_t *value = jsonparts_value(j->parts, i);
    _cleanup_free_ char *id = jsonparts_key(j->parts, i);
    struct error ignored = ERROR_INIT;

    return value && id && lab_job_parse(id, value, &j->items[i], &ignored) == 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp((*(const struct lab_job *const *)a)->id,
                  (*(const struct lab_job *const *)b)->id);
}

/* False also without memory. */
static bool ids_differ(const struct lab_metadata_run *run)
{
    _cleanup_free_ const struct lab_job **sorted =
        calloc(run->n_jobs + 1, sizeof(*sorted));

    if (!sorted)
        return false;
    for (size_t i = 0; i < run->n_jobs; i++)
        sorted[i] = &run->jobs[i];
    qsort(sorted, run->n_jobs, sizeof(*sorted), compare_ids);
    for (size_t i = 1; i < run->n_jobs; i++)
        if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
            return false;
    return true;
}

static bool parse_run_parts(const char *text, size_t len, struct lab_metadata_run *out)
{
    _cleanup_(jsonparts_release) struct jsonparts p = JSONPARTS_INIT;
    _cleanup_json_ json_t *rest = NULL;
    struct jobs jobs = {.parts = &p};
    struct error ignored = ERROR_INIT;

    if (!jsonparts_find(&p, text, len, "jobs", '{', JOB_LEAST))
        return false;
    rest = jsonparts_rest(&p);
    if (!rest || parse_run_head(rest, out, &ignored) < 0)
        return false;
    out->jobs = jobs.items = calloc(p.n + 1, sizeof(*out->jobs));
    if (!out->jobs)
        return false;
    out->n_jobs = p.n;
    return jsonparts_each(&p, take_job, &jobs) && ids_differ(out);
}

int lab_metadata_parse_run(const char *text, size_t len, struct lab_metadata_run *out,
                           struct error *err)
{
    if (parse_run_parts(text, len, out))
        return 0;
    lab_metadata_run_release(out);
    return parse_run_whole(text, len, out, err);
}
