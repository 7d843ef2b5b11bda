/* What Slurm gave this task.
 *
 * SLURM_STEP_GPUS (in a batch script SLURM_JOB_GPUS) has the numbers of the device
 * files, whatever is hidden from the step. CUDA_VISIBLE_DEVICES and
 * ROCR_VISIBLE_DEVICES have what the task may use of these, as numbers of device files,
 * too, or, where the site constrains devices with cgroups (ConstrainDevices), counted
 * from 0 among those that are not hidden; or as UUIDs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "launch/gpus.h"

static const char *env_of(const struct gpus_context *c, const char *name)
{
    const char *value = strv_env_get(c->env, name);

    return value && *value ? value : NULL;
}

/* Splits at commas. */
static int split(const char *text, struct strv *out, struct error *err)
{
    for (const char *p = text; p; p = strchr(p, ',')) {
        p += *p == ',';
        if (strcspn(p, ",") > 0)
            strv_take(out, strndup(p, strcspn(p, ",")));
    }
    return strv_check(out, err);
}

static bool is_number(const char *text)
{
    uint64_t ignored;

    return parse_u64(text, &ignored);
}

static bool all_numbers(const struct strv *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!is_number(list->items[i]))
            return false;
    return true;
}

/* The number of an NVIDIA device file, -1: it is another one. */
static long file_number(const char *path)
{
    uint64_t n;

    if (strncmp(path, "/dev/nvidia", 11) != 0 || !parse_u64(path + 11, &n) ||
        n > INT32_MAX)
        return -1;
    return (long)n;
}

/* The number of the one NVIDIA device file that this device has. -1: it has none, or
 * several ("all"). */
static long device_number(const struct cdi_device *d)
{
    long number = -1, n;

    for (size_t i = 0; i < d->edits.n_nodes; i++) {
        n = file_number(d->edits.nodes[i].path);
        if (n >= 0 && number >= 0 && n != number)
            return -1;
        number = n >= 0 ? n : number;
    }
    return number;
}

/* The name of the device with this number: by its device file, because the driver may
 * count in another order; else the number itself. */
static int add_by_number(const struct cdi *cdi, const char *text, struct strv *names,
                         struct error *err)
{
    uint64_t wanted = 0;

    parse_u64(text, &wanted);
    for (size_t i = cdi->n; i-- > 0;) {
        const struct cdi_spec *spec = &cdi->specs[i];

        for (size_t k = 0; cdi_is_gpu(spec) && k < spec->n_devices; k++) {
            long number = device_number(&spec->devices[k]);

            if (number < 0 || (uint64_t)number != wanted)
                continue;
            strv_addf(names, "%s=%s", spec->kind, spec->devices[k].name);
            return strv_check(names, err);
        }
    }
    strv_add(names, text);
    return strv_check(names, err);
}

static bool is_hidden(const struct cdi_edits *e)
{
    for (size_t i = 0; i < e->n_nodes; i++)
        if (access(e->nodes[i].host_path, R_OK | W_OK) < 0 &&
            (errno == EPERM || errno == EACCES))
            return true;
    return false;
}

/* Does a cgroup hide the devices of others? Then there is one that is not the step's
 * and cannot be opened. */
static bool constrained(const struct cdi *cdi, const struct strv *step)
{
    for (size_t i = 0; i < cdi->n; i++) {
        const struct cdi_spec *spec = &cdi->specs[i];

        for (size_t k = 0; cdi_is_gpu(spec) && k < spec->n_devices; k++) {
            const struct cdi_device *d = &spec->devices[k];
            long number = device_number(d);
            char text[24];

            if (number >= 0)
                snprintf(text, sizeof(text), "%ld", number);
            else
                snprintf(text, sizeof(text), "%.20s", d->name);
            if (is_number(text) && !strv_contains(step, text) && is_hidden(&d->edits))
                return true;
        }
    }
    return false;
}

/* SAME: both readings mean the same devices; UNCLEAR: both or none are possible. */
enum numbering { OF_FILES, WITHIN_STEP, SAME, UNCLEAR };

static enum numbering numbering_of(const struct strv *view, const struct strv *step)
{
    bool in_step = true, below = true, same = true;
    uint64_t n = 0;

    for (size_t i = 0; i < view->count; i++) {
        parse_u64(view->items[i], &n);
        in_step &= strv_contains(step, view->items[i]);
        below &= n < step->count;
        same &= n < step->count && strcmp(step->items[n], view->items[i]) == 0;
    }
    if (same)
        return SAME;
    if (in_step && below)
        return UNCLEAR;
    return in_step ? OF_FILES : below ? WITHIN_STEP : UNCLEAR;
}

/* Which of the step's devices the task's list means. */
static int add_view(const struct cdi *cdi, const struct strv *view,
                    const struct strv *step, struct strv *names, struct error *err)
{
    enum numbering numbering = numbering_of(view, step);
    uint64_t n = 0;

    if (numbering == UNCLEAR)
        numbering = constrained(cdi, step) ? WITHIN_STEP : OF_FILES;
    for (size_t i = 0; i < view->count; i++) {
        const char *number = view->items[i];

        parse_u64(number, &n);
        if (numbering == WITHIN_STEP && n < step->count)
            number = step->items[n];
        if (!strv_contains(step, number))
            return error_fail(err,
                              "GPU %s of CUDA_VISIBLE_DEVICES is none of the step's; "
                              "give --gpus with the names",
                              view->items[i]);
        if (add_by_number(cdi, number, names, err) < 0)
            return -1;
    }
    return 0;
}

int gpus_auto(const struct cdi *cdi, const struct gpus_context *c, struct strv *names,
              struct error *err)
{
    _cleanup_strv_ struct strv view = STRV_INIT, step = STRV_INIT;
    const char *step_text = env_of(c, "SLURM_STEP_GPUS");
    const char *view_text = strv_env_get(c->env, "CUDA_VISIBLE_DEVICES");

    if (!step_text)
        step_text = env_of(c, "SLURM_JOB_GPUS");
    if (!view_text)
        view_text = strv_env_get(c->env, "ROCR_VISIBLE_DEVICES");
    if (c->joined && step_text)
        view_text = NULL; /* the step's, of which each task sees its part */
    if (split(view_text, &view, err) < 0 || split(step_text, &step, err) < 0)
        return -1;
    /* set and empty, and what Slurm says when it gave none */
    if (view_text && (view.count == 0 || strcmp(view.items[0], "NoDevFiles") == 0))
        return 0;
    if (view_text && all_numbers(&view) && step.count > 0 && all_numbers(&step))
        return add_view(cdi, &view, &step, names, err);
    for (size_t i = 0; i < (view_text ? view.count : step.count); i++) {
        const char *item = view_text ? view.items[i] : step.items[i];

        if (!is_number(item))
            strv_add(names, item);
        else if (add_by_number(cdi, item, names, err) < 0)
            return -1;
    }
    return strv_check(names, err);
}

/* A device of the sandbox: the driver counts by its own numbers, which are the names of
 * the devices where names are numbers. */
struct counted {
    uint64_t order;
    long file;
};

static int compare_counted(const void *a, const void *b)
{
    const struct counted *x = a, *y = b;

    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return x->file < y->file ? -1 : x->file > y->file;
}

/* 1: one of them has no number of its own. */
static int count_devices(const struct cdi *cdi, const struct strv *names,
                         struct counted *out, struct strv *files, struct error *err)
{
    struct cdi_choice choice;

    for (size_t i = 0; i < names->count; i++) {
        if (cdi_find(cdi, names->items[i], &choice, err) < 0)
            return -1;
        out[i].file = device_number(choice.device);
        if (out[i].file < 0)
            return 1;
        out[i].order = UINT64_MAX;
        parse_u64(choice.device->name, &out[i].order);
        strv_addf(files, "%ld", out[i].file);
    }
    qsort(out, names->count, sizeof(*out), compare_counted);
    return strv_check(files, err);
}

int gpus_step_numbers(const struct cdi *cdi, const struct strv *names, struct buf *out,
                      struct error *err)
{
    _cleanup_free_ struct counted *devices = calloc(names->count + 1, sizeof(*devices));
    _cleanup_strv_ struct strv files = STRV_INIT;
    bool same = true;
    int r;

    if (!devices)
        return error_oom(err);
    r = count_devices(cdi, names, devices, &files, err);
    for (size_t i = 0; r == 0 && i < names->count; i++)
        same &= devices[i].file == (long)i;
    if (r < 0 || r == 1 || same || constrained(cdi, &files))
        return r < 0 ? -1 : 0;
    for (size_t i = 0; i < names->count; i++)
        buf_addf(out, "%s%ld", i ? "," : "", devices[i].file);
    return buf_check(out, err);
}
