#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve_internal.h"

static int check_known(const struct config_list *list, const char *key,
                       struct error *err)
{
    for (size_t i = 0; i < list->value.count; i++)
        if (!request_runtime_known(list->value.items[i]))
            return error_fail(err,
                              "%s: %s: unknown runtime '%s'; there are bwrap, podman, "
                              "docker, native",
                              list->origin, key, list->value.items[i]);
    return 0;
}

static bool allowed(const struct config *cfg, const char *runtime)
{
    const struct config_list *rule = &cfg->policy.allowed_runtimes;

    return !rule->origin || strv_contains(&rule->value, runtime);
}

static void join(const struct strv *items, struct buf *out)
{
    for (size_t i = 0; i < items->count; i++)
        buf_addf(out, "%s%s", i ? ", " : "", items->items[i]);
}

static int nothing_allowed(const struct config *cfg, const char *wanted,
                           const char *origin, struct error *err)
{
    const struct config_list *rule = &cfg->policy.allowed_runtimes;
    _cleanup_buf_ struct buf names = BUF_INIT;

    join(&rule->value, &names);
    return error_fail(err,
                      "runtime %s (%s) is not allowed here: %s sets allowed_runtimes = "
                      "[%s]; choose one of these or ask the administrator",
                      wanted, origin, rule->origin, buf_str(&names));
}

/* Adds those of the list that the site allows, each once. */
static int use_list(struct resolve_context *c, const struct strv *list,
                    const char *origin, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;
    struct strv *runtimes = &c->out->runtimes;

    for (size_t i = 0; i < list->count; i++)
        if (allowed(c->cfg, list->items[i]) && !strv_contains(runtimes, list->items[i]))
            strv_add(runtimes, list->items[i]);
    if (strv_check(runtimes, err) < 0)
        return -1;
    join(runtimes->count ? runtimes : list, &names);
    if (list->count == 0)
        return error_fail(err, "%s: execution_types is empty; list a runtime", origin);
    if (runtimes->count == 0)
        return nothing_allowed(c->cfg, buf_str(&names), origin, err);
    resolve_note(c->out, "runtimes", buf_str(&names), origin);
    return 0;
}

/* The option by which this runtime was asked for on the level that counts. */
static char *forced_origin(const struct request *r, const char *runtime)
{
    const struct {
        const char *name;
        bool set;
        enum request_origin origin;
    } flags[] = {
        {"bwrap", r->force_bwrap, r->force_bwrap_origin},
        {"podman", r->force_podman, r->force_podman_origin},
        {"docker", r->force_docker, r->force_docker_origin},
        {"native", r->force_native, r->force_native_origin},
    };
    enum request_origin best = r->runtime ? r->runtime_origin : REQUEST_UNSET;
    const char *option = "runtime";

    for (size_t i = 0; i < array_size(flags); i++) {
        if (flags[i].set && strcmp(flags[i].name, runtime) == 0 &&
            flags[i].origin > best) {
            best = flags[i].origin;
            option = flags[i].name;
        }
    }
    return resolve_request_origin(best, option);
}

static int use_forced(struct resolve_context *c, const char *runtime, struct error *err)
{
    _cleanup_free_ char *origin = forced_origin(c->req, runtime);

    if (!origin)
        return error_oom(err);
    if (!request_runtime_known(runtime))
        return error_usage(err,
                           "%s: unknown runtime '%s'; there are bwrap, podman, docker, "
                           "native",
                           origin, runtime);
    if (!allowed(c->cfg, runtime))
        return nothing_allowed(c->cfg, runtime, origin, err);
    c->out->runtime_forced = true;
    strv_add(&c->out->runtimes, runtime);
    resolve_note(c->out, "runtimes", runtime, origin);
    return strv_check(&c->out->runtimes, err);
}

/* The section's list, with default_execution_type in front when it is in the list (as
 * RepX has it: one that is not listed does not count). */
static int use_configured(struct resolve_context *c, struct error *err)
{
    const struct config_list *types = &c->scheduler->execution_types;
    const char *first = c->scheduler->default_execution_type.value;
    _cleanup_strv_ struct strv list = STRV_INIT;

    if (check_known(types, "execution_types", err) < 0)
        return -1;
    if (!first)
        first = c->target->default_execution_type.value;
    if (first && strv_contains(&types->value, first))
        strv_add(&list, first);
    strv_extend(&list, strv_argv(&types->value));
    if (strv_check(&list, err) < 0)
        return -1;
    return use_list(c, &list, types->origin, err);
}

int resolve_runtimes(struct resolve_context *c, struct error *err)
{
    _cleanup_strv_ struct strv built_in = STRV_INIT;
    const char *forced;

    if (check_known(&c->cfg->policy.allowed_runtimes, "allowed_runtimes", err) < 0 ||
        request_runtime(c->req, &forced, err) < 0)
        return -1;
    if (forced)
        return use_forced(c, forced, err);
    if (c->scheduler && c->scheduler->execution_types.origin)
        return use_configured(c, err);
    strv_add(&built_in, "bwrap");
    if (strv_check(&built_in, err) < 0)
        return -1;
    return use_list(c, &built_in, "built-in", err);
}
