#include "outcome/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"

/* A JSON string of any bytes: what is not UTF-8 is written escaped. */
static json_t *text_or_null(const char *s)
{
    struct buf b = BUF_INIT;
    json_t *v;

    if (!s)
        return json_null();
    v = json_string(s);
    if (v)
        return v;
    quote_printable(&b, s);
    v = json_string(buf_str(&b));
    buf_release(&b);
    return v;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static json_t *image_record(const struct record *r)
{
    json_t *o, *layers;

    if (!r->image)
        return json_null();
    o = json_object();
    layers = json_array();
    for (size_t i = 0; i < r->image->n_layers; i++) {
        _cleanup_free_ char *s =
            str_printf("sha256:%s", r->image->layers[i].diff_id.hex);

        json_array_append_new(layers, text_or_null(s));
    }
    json_object_set_new(o, "reference", text_or_null(r->image->reference));
    json_object_set_new(o, "kind", json_string(image_kind_name(r->image->kind)));
    if (r->image->id.hex[0])
        json_object_set_new(o, "id", json_sprintf("sha256:%s", r->image->id.hex));
    if (r->image->has_config)
        json_object_set_new(o, "config",
                            json_sprintf("sha256:%s", r->image->config.hex));
    json_object_set_new(o, "layers", layers);
    if (r->rootfs) {
        json_object_set_new(o, "rootfs", text_or_null(r->rootfs->path));
        json_object_set_new(o, "rootfs_mode",
                            json_string(image_rootfs_mode(r->rootfs)));
        json_object_set_new(o, "extracted", json_boolean(r->rootfs->extracted));
        json_object_set_new(o, "bytes_read",
                            json_integer((json_int_t)r->rootfs->bytes));
    }
    return o;
}

static json_t *mounts_record(const struct plan *p)
{
    json_t *a = json_array();

    for (size_t i = 0; i < p->n_mounts; i++) {
        const struct plan_mount *m = &p->mounts[i];
        json_t *o = json_object();

        json_object_set_new(o, "kind", json_string(plan_mount_kind_name(m->kind)));
        json_object_set_new(o, "role", json_string(plan_role_name(m->role)));
        /* the text of data files is not part of the record */
        if (m->source && m->kind != PLAN_MOUNT_DATA)
            json_object_set_new(o, "source", text_or_null(m->source));
        json_object_set_new(o, "dest", text_or_null(m->dest));
        json_array_append_new(a, o);
    }
    return a;
}

/* Names only: values may be secrets. */
static json_t *env_names(const struct strv *env)
{
    json_t *a = json_array();

    for (size_t i = 0; i < env->count; i++) {
        _cleanup_free_ char *name = strndup(env->items[i], strcspn(env->items[i], "="));

        json_array_append_new(a, text_or_null(name));
    }
    return a;
}

static json_t *argv_record(const struct strv *argv)
{
    json_t *a = json_array();

    for (size_t i = 0; i < argv->count; i++)
        json_array_append_new(a, text_or_null(argv->items[i]));
    return a;
}

static json_t *slurm_record(char *const *env)
{
    static const char *const names[] = {
        "SLURM_JOB_ID",        "SLURM_STEP_ID",       "SLURM_ARRAY_JOB_ID",
        "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_PROCID",
        "SLURM_NODEID",        "SLURMD_NODENAME",     "SLURM_CLUSTER_NAME",
        "SLURM_JOB_PARTITION", "SLURM_JOB_ACCOUNT",
    };
    json_t *o = json_object();

    for (size_t i = 0; i < array_size(names); i++) {
        const char *v = strv_env_get(env, names[i]);

        if (v)
            json_object_set_new(o, names[i], text_or_null(v));
    }
    if (json_object_size(o) == 0) {
        json_decref(o);
        return json_null();
    }
    return o;
}

static double timeval_seconds(const struct timeval *tv)
{
    return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static void add_result(json_t *o, const struct record *r)
{
    const struct supervise_result *res = r->result;
    json_t *exit = json_object(), *usage;

    json_object_set_new(exit, "code", json_integer(r->exit_code));
    if (res && res->started && WIFSIGNALED(res->wait_status))
        json_object_set_new(exit, "signal", json_integer(WTERMSIG(res->wait_status)));
    if (res && res->signalled)
        json_object_set_new(exit, "cancelled_by", json_integer(res->signalled));
    if (res && res->killed)
        json_object_set_new(exit, "killed_after_grace", json_true());
    json_object_set_new(exit, "error", text_or_null(r->error));
    json_object_set_new(o, "exit", exit);
    if (!res || !res->started) {
        json_object_set_new(o, "usage", json_null());
        return;
    }
    usage = json_object();
    json_object_set_new(usage, "user_s",
                        json_real(timeval_seconds(&res->usage.ru_utime)));
    json_object_set_new(usage, "system_s",
                        json_real(timeval_seconds(&res->usage.ru_stime)));
    json_object_set_new(usage, "max_rss_kib", json_integer(res->usage.ru_maxrss));
    json_object_set_new(o, "usage", usage);
}

static void add_plan(json_t *o, const struct record *r)
{
    const struct plan *p = r->plan;
    json_t *runtime;

    if (!p)
        return;
    runtime = json_object();
    json_object_set_new(runtime, "name", text_or_null(p->runtime));
    json_object_set_new(runtime, "version", text_or_null(r->runtime_version));
    json_object_set_new(runtime, "staging", text_or_null(r->staging));
    json_object_set_new(runtime, "impure", json_boolean(p->impure));
    json_object_set_new(runtime, "network",
                        json_string(p->network == PLAN_NETWORK_HOST ? "host" : "none"));
    json_object_set_new(o, "runtime", runtime);
    json_object_set_new(o, "mounts", mounts_record(p));
    json_object_set_new(o, "gpus", argv_record(&p->gpus));
    json_object_set_new(o, "environment", env_names(&p->env));
    json_object_set_new(o, "command", argv_record(&p->argv));
    json_object_set_new(o, "cwd", text_or_null(p->cwd));
}

char *record_json(const struct record *r, struct error *err)
{
    json_t *o = json_object(), *phases = json_object(), *node = json_object();
    char *text;

    json_object_set_new(o, "version", json_integer(1));
    json_object_set_new(o, "job", text_or_null(r->job));
    json_object_set_new(o, "unit", text_or_null(r->unit));
    json_object_set_new(o, "lab", text_or_null(r->lab_path));
    json_object_set_new(o, "lab_id", text_or_null(r->lab_id));
    json_object_set_new(o, "image", image_record(r));
    add_plan(o, r);
    json_object_set_new(node, "host", text_or_null(r->host));
    json_object_set_new(node, "kernel", text_or_null(r->kernel));
    json_object_set_new(node, "user", text_or_null(r->user));
    json_object_set_new(o, "node", node);
    json_object_set_new(o, "slurm", slurm_record(r->env));
    json_object_set_new(o, "started", text_or_null(r->started_at));
    json_object_set_new(o, "ended", text_or_null(r->ended_at));
    json_object_set_new(phases, "wait_s", json_real(seconds(r->wait_ns)));
    json_object_set_new(phases, "extract_s", json_real(seconds(r->extract_ns)));
    json_object_set_new(phases, "setup_s", json_real(seconds(r->setup_ns)));
    json_object_set_new(phases, "run_s", json_real(seconds(r->run_ns)));
    json_object_set_new(o, "phases", phases);
    add_result(o, r);
    text = json_dumps(o, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
    json_decref(o);
    if (!text)
        error_oom(err);
    return text;
}
