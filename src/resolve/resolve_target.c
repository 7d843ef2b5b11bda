#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"
#include "resolve/resolve_internal.h"
#include "sys/pathfd.h"

#define BUILT_IN_TARGET "local"
#define BUILT_IN_STAGE_PATH "/tmp"
#define BUILT_IN_STAGE_TIMEOUT 600
#define BUILT_IN_BASE_PATH "~/.repx/store"

static void list_targets(const struct config *cfg, struct buf *out)
{
    for (size_t i = 0; i < cfg->n_targets; i++)
        buf_addf(out, "%s%s", i ? ", " : "", cfg->targets[i].name);
}

static int unknown_target(const struct config *cfg, const char *name,
                          const char *origin, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;
    struct nearest near = NEAREST_INIT;

    if (cfg->n_targets == 0)
        return error_fail(
            err,
            "unknown target '%s' (%s): no configuration defines a target; "
            "add a section [targets.%s]",
            name, origin, name);
    list_targets(cfg, &names);
    error_fail(err, "unknown target '%s' (%s); there are: %s", name, origin,
               buf_str(&names));
    for (size_t i = 0; i < cfg->n_targets; i++)
        nearest_offer(&near, name, cfg->targets[i].name);
    return near.word ? error_hint(err, "did you mean %s?", near.word) : -1;
}

static int no_choice(const struct config *cfg, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;

    list_targets(cfg, &names);
    return error_fail(err,
                      "several targets are configured and none is chosen: %s; give "
                      "--target NAME or set submission_target",
                      buf_str(&names));
}

static int use_target(struct resolve_context *c, const char *name, const char *origin,
                      struct error *err)
{
    c->target = config_find_target(c->cfg, name);
    if (!c->target && (c->cfg->n_targets > 0 || strcmp(name, BUILT_IN_TARGET) != 0))
        return unknown_target(c->cfg, name, origin, err);
    c->out->target = strdup(name);
    if (!c->out->target)
        return error_oom(err);
    resolve_note(c->out, "target", name, origin);
    return 0;
}

static int choose_target(struct resolve_context *c, struct error *err)
{
    const struct config *cfg = c->cfg;

    if (c->req->target) {
        _cleanup_free_ char *origin =
            resolve_request_origin(c->req->target_origin, "target");

        if (!origin)
            return error_oom(err);
        return use_target(c, c->req->target, origin, err);
    }
    if (cfg->submission_target.value)
        return use_target(c, cfg->submission_target.value,
                          cfg->submission_target.origin, err);
    if (config_find_target(cfg, BUILT_IN_TARGET))
        return use_target(c, BUILT_IN_TARGET, "built-in: the target called local", err);
    if (cfg->n_targets == 1)
        return use_target(c, cfg->targets[0].name, "built-in: the only target", err);
    if (cfg->n_targets == 0)
        return use_target(c, BUILT_IN_TARGET, "built-in", err);
    return no_choice(cfg, err);
}

/* Which of the target's two scheduler sections counts here. */
static int choose_scheduler(struct resolve_context *c, struct error *err)
{
    const char *job = strv_env_get(c->env, "SLURM_JOB_ID");
    const struct config_target *t = c->target;
    const struct config_string *set = &c->cfg->default_scheduler;
    const char *name = "local", *origin = "built-in";

    if (t && t->default_scheduler.value)
        set = &t->default_scheduler;
    if (job && *job && t && t->slurm.origin) {
        name = "slurm";
        origin = "environment SLURM_JOB_ID";
    } else if (set->value) {
        name = set->value;
        origin = set->origin;
    } else if (t && t->slurm.origin && !t->local.origin) {
        name = "slurm";
        origin = t->slurm.origin;
    }
    if (t)
        c->scheduler = strcmp(name, "slurm") == 0 ? &t->slurm : &t->local;
    c->out->scheduler = strdup(name);
    if (!c->out->scheduler)
        return error_oom(err);
    resolve_note(c->out, "scheduler", name, origin);
    return 0;
}

int resolve_target(struct resolve_context *c, struct error *err)
{
    return choose_target(c, err) < 0 ? -1 : choose_scheduler(c, err);
}

/* The expanded, absolute path. One that the user gave may be relative to the working
 * directory; in a file that would mean another place for every caller. */
static char *settle_path(struct resolve_context *c, const char *name, const char *text,
                         const char *origin, bool from_file, struct error *err)
{
    _cleanup_free_ char *expanded = resolve_expand(text, c->env, err);
    char *path;

    if (!expanded) {
        error_context(err, "%s: %s", origin, name);
        return NULL;
    }
    if (!*expanded || (from_file && expanded[0] != '/')) {
        error_fail(err, "%s: %s '%s' is not an absolute path", origin, name, expanded);
        return NULL;
    }
    path = pathfd_absolute(expanded, err);
    if (!path) {
        error_context(err, "%s: %s", origin, name);
        return NULL;
    }
    resolve_note(c->out, name, path, origin);
    return path;
}

static char *path_of(struct resolve_context *c, const char *name, const char *asked,
                     enum request_origin asked_origin, const char *option,
                     const struct config_string *configured, struct error *err)
{
    _cleanup_free_ char *origin = NULL;

    if (!asked)
        return settle_path(c, name, configured->value, configured->origin, true, err);
    origin = resolve_request_origin(asked_origin, option);
    if (!origin) {
        error_oom(err);
        return NULL;
    }
    return settle_path(c, name, asked, origin, false, err);
}

static int resolve_stage(struct resolve_context *c, struct error *err)
{
    const struct config_target *t = c->target;
    struct settled *out = c->out;

    out->stage_path =
        t && t->stage_path.value
            ? settle_path(c, "stage_path", t->stage_path.value, t->stage_path.origin,
                          true, err)
            : settle_path(c, "stage_path", BUILT_IN_STAGE_PATH, "built-in", true, err);
    out->stage_timeout =
        t && t->stage_timeout.origin ? t->stage_timeout.value : BUILT_IN_STAGE_TIMEOUT;
    return out->stage_path ? 0 : -1;
}

int resolve_paths(struct resolve_context *c, struct error *err)
{
    static const char built_in[] = BUILT_IN_BASE_PATH;
    const struct request *r = c->req;
    struct settled *out = c->out;

    if (r->base_path || (c->target && c->target->base_path.value))
        out->base_path =
            path_of(c, "base_path", r->base_path, r->base_path_origin, "base-path",
                    c->target ? &c->target->base_path : NULL, err);
    else
        out->base_path = settle_path(c, "base_path", built_in, "built-in", true, err);
    if (!out->base_path || resolve_stage(c, err) < 0)
        return -1;
    if (!r->node_local_path && !(c->target && c->target->node_local_path.value))
        return 0;
    out->node_local_path =
        path_of(c, "node_local_path", r->node_local_path, r->node_local_path_origin,
                "node-local-path", c->target ? &c->target->node_local_path : NULL, err);
    return out->node_local_path ? 0 : -1;
}
