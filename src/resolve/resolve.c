#include "resolve/resolve.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve_internal.h"

enum { DEFAULT_GRACE = 25 };

/* CONTRACT section 3, environment. */
static const char *const built_in_pass[] = {
    "SLURM_*",  "PMI_*",  "PMIX_*", "OMPI_*", "OMP_*", "CUDA_VISIBLE_DEVICES",
    "NVIDIA_*", "ROCR_*", "HIP_*",  "TZ",     "LANG",  "LC_*"};

char *resolve_request_origin(enum request_origin origin, const char *option)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (origin == REQUEST_COMMAND_LINE)
        return str_printf("command line --%s", option);
    buf_adds(&text, "environment REPX_");
    for (; *option; option++)
        buf_addc(&text, *option == '-' ? '_' : (char)toupper((unsigned char)*option));
    return buf_steal(&text);
}

void resolve_note(struct settled *out, const char *name, const char *value,
                  const char *origin)
{
    strv_add(&out->origins, name);
    strv_add(&out->origins, value);
    strv_add(&out->origins, origin);
}

static void note_number(struct settled *out, const char *name, uint64_t value,
                        const char *origin)
{
    strv_add(&out->origins, name);
    strv_addf(&out->origins, "%llu", (unsigned long long)value);
    strv_add(&out->origins, origin);
}

static int resolve_grace(struct resolve_context *c, struct error *err)
{
    const struct request *r = c->req;

    if (r->grace_origin != REQUEST_UNSET) {
        _cleanup_free_ char *origin = resolve_request_origin(r->grace_origin, "grace");

        if (!origin)
            return error_oom(err);
        c->out->grace = r->grace;
        note_number(c->out, "grace", r->grace, origin);
    } else if (c->target && c->target->grace.origin) {
        c->out->grace = c->target->grace.value;
        note_number(c->out, "grace", c->out->grace, c->target->grace.origin);
    } else {
        c->out->grace = DEFAULT_GRACE;
        note_number(c->out, "grace", DEFAULT_GRACE, "built-in");
    }
    return 0;
}

static int resolve_staging(struct resolve_context *c, struct error *err)
{
    const struct config_string *set = c->target ? &c->target->staging : NULL;

    c->out->staging = strdup(set && set->value ? set->value : "auto");
    if (!c->out->staging)
        return error_oom(err);
    resolve_note(c->out, "staging", c->out->staging,
                 set && set->value ? set->origin : "built-in");
    return 0;
}

/* The site's limits cap the target's: the smaller cache, the larger free space. */
static void resolve_cache(struct resolve_context *c)
{
    const struct config_policy *p = &c->cfg->policy;
    const char *size_origin = "built-in", *free_origin = "built-in";
    struct settled *out = c->out;

    if (c->target && c->target->cache_max_size.origin) {
        out->cache_max_size = c->target->cache_max_size.value;
        size_origin = c->target->cache_max_size.origin;
    }
    if (p->cache_max_size.origin && p->cache_max_size.value > 0 &&
        (out->cache_max_size == 0 || out->cache_max_size > p->cache_max_size.value)) {
        out->cache_max_size = p->cache_max_size.value;
        size_origin = p->cache_max_size.origin;
    }
    if (c->target && c->target->cache_min_free.origin) {
        out->cache_min_free = c->target->cache_min_free.value;
        free_origin = c->target->cache_min_free.origin;
    }
    if (p->cache_min_free.origin && out->cache_min_free < p->cache_min_free.value) {
        out->cache_min_free = p->cache_min_free.value;
        free_origin = p->cache_min_free.origin;
    }
    note_number(out, "cache_max_size", out->cache_max_size, size_origin);
    note_number(out, "cache_min_free", out->cache_min_free, free_origin);
}

static int resolve_shared_store(struct resolve_context *c, struct error *err)
{
    const struct config_string *p = &c->cfg->policy.shared_store;

    if (!p->origin)
        return 0;
    if (p->value[0] != '/')
        return error_fail(err, "%s: shared_store must be an absolute path", p->origin);
    c->out->shared_store = strdup(p->value);
    resolve_note(c->out, "shared_store", p->value, p->origin);
    return c->out->shared_store ? 0 : error_oom(err);
}

static int resolve_environment(struct resolve_context *c, struct error *err)
{
    _cleanup_buf_ struct buf joined = BUF_INIT;
    struct settled *out = c->out;
    const char *origin = "built-in";

    for (size_t i = 0; i < array_size(built_in_pass); i++)
        strv_add(&out->env_pass, built_in_pass[i]);
    if (c->target && c->target->env_pass.origin) {
        origin = c->target->env_pass.origin;
        for (size_t i = 0; i < c->target->env_pass.value.count; i++)
            if (!strv_contains(&out->env_pass, c->target->env_pass.value.items[i]))
                strv_add(&out->env_pass, c->target->env_pass.value.items[i]);
    }
    for (size_t i = 0; i < out->env_pass.count; i++)
        buf_addf(&joined, "%s%s", i ? " " : "", out->env_pass.items[i]);
    resolve_note(out, "env_pass", buf_str(&joined), origin);
    strv_extend(&out->env_set, strv_argv(&c->req->env));
    if (buf_check(&joined, err) < 0 || strv_check(&out->env_pass, err) < 0)
        return -1;
    return strv_check(&out->env_set, err);
}

static int use_gpus(struct resolve_context *c, const char *value, const char *origin,
                    struct error *err)
{
    const struct config_bool *rule = &c->cfg->policy.allow_gpus;

    if (rule->origin && !rule->value && strcmp(value, "none") != 0)
        return error_fail(err,
                          "gpus %s (%s) is not allowed here: %s sets allow_gpus = "
                          "false; give --gpus=none or ask the administrator",
                          value, origin, rule->origin);
    c->out->gpus = strdup(value);
    resolve_note(c->out, "gpus", value, origin);
    return c->out->gpus ? 0 : error_oom(err);
}

/* The directories are those of the CDI specification when the site names no others. */
static int resolve_gpus(struct resolve_context *c, struct error *err)
{
    const struct config_list *dirs = &c->cfg->policy.cdi_dirs;
    const struct config_string *set = c->target ? &c->target->gpus : NULL;
    _cleanup_free_ char *asked = NULL;

    for (size_t i = 0; i < dirs->value.count; i++) {
        if (dirs->value.items[i][0] != '/')
            return error_fail(err, "%s: cdi_dirs must be absolute paths", dirs->origin);
        strv_add(&c->out->cdi_dirs, dirs->value.items[i]);
    }
    if (!dirs->origin)
        strv_addl(&c->out->cdi_dirs, "/etc/cdi", "/run/cdi", NULL);
    if (strv_check(&c->out->cdi_dirs, err) < 0)
        return -1;
    if (c->req->gpus) {
        asked = resolve_request_origin(c->req->gpus_origin, "gpus");
        return asked ? use_gpus(c, c->req->gpus, asked, err) : error_oom(err);
    }
    if (set && set->value)
        return use_gpus(c, set->value, set->origin, err);
    return use_gpus(c, "none", "built-in", err);
}

static int resolve_all(struct resolve_context *c, struct error *err)
{
    if (resolve_target(c, err) < 0 || resolve_paths(c, err) < 0 ||
        resolve_runtimes(c, err) < 0 || resolve_impure(c, err) < 0 ||
        resolve_environment(c, err) < 0 || resolve_gpus(c, err) < 0 ||
        resolve_grace(c, err) < 0 || resolve_staging(c, err) < 0 ||
        resolve_shared_store(c, err) < 0)
        return -1;
    resolve_cache(c);
    return strv_check(&c->out->origins, err);
}

int resolve(struct settled *out, const struct request *req, const struct config *cfg,
            char *const *env, struct error *err)
{
    struct resolve_context c = {.out = out, .req = req, .cfg = cfg, .env = env};

    *out = (struct settled)SETTLED_INIT;
    if (resolve_all(&c, err) < 0) {
        settled_release(out);
        return -1;
    }
    return 0;
}

void settled_release(struct settled *s)
{
    free(s->staging);
    free(s->stage_path);
    free(s->gpus);
    strv_release(&s->cdi_dirs);
    free(s->target);
    free(s->scheduler);
    free(s->base_path);
    free(s->node_local_path);
    free(s->shared_store);
    strv_release(&s->runtimes);
    strv_release(&s->mount_paths);
    strv_release(&s->forced_mounts);
    strv_release(&s->env_pass);
    strv_release(&s->env_set);
    strv_release(&s->origins);
    *s = (struct settled)SETTLED_INIT;
}

/* "NAME" or "PREFIX*" against the name of an environment entry. */
static bool pass_matches(const char *pattern, const char *name, size_t len)
{
    size_t n = strlen(pattern);

    if (n > 0 && pattern[n - 1] == '*')
        return len >= n - 1 && strncmp(pattern, name, n - 1) == 0;
    return n == len && strncmp(pattern, name, n) == 0;
}

void resolve_env_pass(const struct settled *s, char *const *env, struct strv *out)
{
    for (; *env; env++) {
        const char *eq = strchr(*env, '=');
        bool pass = false;

        for (size_t i = 0; eq && i < s->env_pass.count && !pass; i++)
            pass = pass_matches(s->env_pass.items[i], *env, (size_t)(eq - *env));
        if (pass)
            strv_add(out, *env);
    }
}
