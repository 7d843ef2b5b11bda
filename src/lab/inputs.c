#include "lab/inputs.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/inputs_internal.h"
#include "lab/json_write.h"

static void input_release(struct input *item)
{
    free(item->name);
    free(item->path);
    free(item->source);
}

void inputs_release(struct inputs *in)
{
    for (size_t i = 0; i < in->n; i++)
        input_release(&in->items[i]);
    free(in->items);
    strv_release(&in->warnings);
    *in = (struct inputs)INPUTS_INIT;
}

/* Where the name is, or where it belongs. */
static size_t position(const struct inputs *in, const char *name)
{
    size_t low = 0, high = in->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(in->items[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int inputs_set(struct inputs *in, const char *name, char *path,
               const struct input *like, struct error *err)
{
    struct input fresh = *like, *items;
    size_t at = position(in, name);

    fresh.name = strdup(name);
    fresh.path = path;
    fresh.source = like->source ? strdup(like->source) : NULL;
    items = reallocarray(in->items, in->n + 1, sizeof(*items));
    if (items)
        in->items = items;
    if (!items || !fresh.name || !path || (like->source && !fresh.source)) {
        input_release(&fresh);
        return error_oom(err);
    }
    if (at < in->n && strcmp(items[at].name, name) == 0) {
        input_release(&items[at]);
    } else {
        memmove(items + at + 1, items + at, (in->n - at) * sizeof(*items));
        in->n++;
    }
    items[at] = fresh;
    return 0;
}

const struct lab_output *inputs_find_output(const struct lab_executable *exe,
                                            const char *name)
{
    size_t low = 0, high = exe->n_outputs;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int r = strcmp(exe->outputs[mid].name, name);

        if (r == 0)
            return &exe->outputs[mid];
        if (r < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* path is dir itself or lies below it by its text. */
static bool stays_inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    if (strncmp(path, dir, n) != 0 || (path[n] != '\0' && path[n] != '/'))
        return false;
    for (path += n; *path; path += strcspn(path, "/")) {
        path += strspn(path, "/");
        if (strncmp(path, "..", 2) == 0 && (path[2] == '/' || path[2] == '\0'))
            return false;
    }
    return true;
}

char *inputs_expand(const struct lab_output *output, const char *out_dir,
                    struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    const char *rest = output->template, *hit;

    if (!rest) {
        error_fail(err, "output '%s' is not a path (its template is no string)",
                   output->name);
        return NULL;
    }
    for (; (hit = strstr(rest, "$out")); rest = hit + 4) {
        buf_add(&b, rest, (size_t)(hit - rest));
        buf_adds(&b, out_dir);
    }
    buf_adds(&b, rest);
    if (buf_check(&b, err) < 0)
        return NULL;
    if (!stays_inside(buf_str(&b), out_dir)) {
        error_fail(
            err,
            "output '%s' has the template '%s', which points outside its producer's "
            "out directory; build the lab again",
            output->name, output->template);
        return NULL;
    }
    return buf_steal(&b);
}

/* Rule 1: an output of another job. */
static int add_artifact(const struct lab *lab, const struct lab_mapping *m,
                        const char *base_path, struct inputs *out, struct error *err)
{
    const struct lab_job *producer = lab_job_by_id(lab, m->job_id);
    struct input like = {.kind = INPUT_ARTIFACT, .run = SIZE_MAX};
    const struct lab_executable *exe;
    const struct lab_output *output;
    _cleanup_free_ char *dir = NULL;
    char *path;

    if (!producer)
        return error_fail(err,
                          "comes from job '%s', which is not in the lab; build the lab "
                          "again",
                          m->job_id);
    exe = lab_executable(producer, producer->scatter_gather ? "gather" : "main");
    output = exe ? inputs_find_output(exe, m->source_output) : NULL;
    if (!output)
        return error_fail(err, "job '%s' has no output '%s'; build the lab again",
                          producer->id, m->source_output);
    dir = str_printf("%s/outputs/%s/out", base_path, producer->id);
    if (!dir)
        return error_oom(err);
    path = inputs_expand(output, dir, err);
    if (!path)
        return error_context(err, "job '%s'", producer->id);
    like.producer = (size_t)(producer - lab->jobs);
    return inputs_set(out, m->target_input, path, &like, err);
}

/* Rule 2: the store itself. */
static int add_store(const struct lab_mapping *m, const char *base_path,
                     struct inputs *out, struct error *err)
{
    const struct input like = {
        .kind = INPUT_STORE, .producer = SIZE_MAX, .run = SIZE_MAX};

    return inputs_set(out, m->target_input, strdup(base_path), &like, err);
}

/* The first of revision/ whose name ends with "metadata-<run>.json"; RepX does not ask
 * for more. Borrowed; NULL when there is none. */
static const char *find_revision(const struct lab *lab, const char *end)
{
    size_t n = strlen(end);

    for (size_t i = 0; i < lab->revisions.count; i++) {
        const char *name = lab->revisions.items[i];
        size_t len = strlen(name);

        if (len >= n && strcmp(name + len - n, end) == 0)
            return name;
    }
    return NULL;
}

/* Rule 3: the metadata of another run. */
static int add_metadata(const struct lab *lab, const struct lab_mapping *m,
                        const char *base_path, struct inputs *out, struct error *err)
{
    const struct lab_run *run = lab_find_run(lab, m->source_run);
    struct input like = {.kind = INPUT_METADATA, .producer = SIZE_MAX};
    _cleanup_free_ char *end = str_printf("metadata-%s.json", m->source_run);
    _cleanup_free_ char *source = NULL;
    const char *name;

    if (!end)
        return error_oom(err);
    name = find_revision(lab, end);
    if (!name) {
        strv_addf(&out->warnings,
                  "input '%s': the lab has no metadata of run '%s', so the input stays "
                  "absent",
                  m->target_input, m->source_run);
        return strv_check(&out->warnings, err);
    }
    source = str_printf("revision/%s", name);
    if (!source)
        return error_oom(err);
    like.run = run ? (size_t)(run - lab->runs) : SIZE_MAX;
    like.source = source;
    return inputs_set(out, m->target_input,
                      str_printf("%s/artifacts/revision/%s", base_path, name), &like,
                      err);
}

static int add_mapping(const struct lab *lab, const struct lab_mapping *m,
                       const char *base_path, struct inputs *out, struct error *err)
{
    if (!m->target_input)
        return 0;
    if (m->job_id && m->source_output)
        return add_artifact(lab, m, base_path, out, err);
    if ((m->type && strcmp(m->type, "global") == 0) ||
        strcmp(m->target_input, "store__base") == 0)
        return add_store(m, base_path, out, err);
    if (m->source_run)
        return add_metadata(lab, m, base_path, out, err);
    return 0;
}

int inputs_resolve(const struct lab *lab, const struct lab_job *job,
                   const char *base_path, struct inputs *out, struct error *err)
{
    const struct lab_executable *exe =
        lab_executable(job, job->scatter_gather ? "scatter" : "main");

    for (size_t i = 0; exe && i < exe->n_inputs; i++)
        if (add_mapping(lab, &exe->inputs[i], base_path, out, err) < 0) {
            inputs_release(out);
            return error_context(err, "job '%s': input '%s'", job->id,
                                 exe->inputs[i].target_input);
        }
    return 0;
}

char *inputs_json(const struct inputs *in, struct error *err)
{
    struct buf b = BUF_INIT;
    char *text;

    buf_addc(&b, '{');
    for (size_t i = 0; i < in->n; i++) {
        buf_adds(&b, i > 0 ? ",\n  " : "\n  ");
        json_write_string(&b, in->items[i].name);
        buf_adds(&b, ": ");
        json_write_string(&b, in->items[i].path);
    }
    buf_adds(&b, in->n > 0 ? "\n}" : "}");
    text = buf_steal(&b);
    if (!text)
        error_oom(err);
    return text;
}
