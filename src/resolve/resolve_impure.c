#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve_internal.h"
#include "sys/pathfd.h"

static int impure_refused(const struct resolve_context *c, const char *what,
                          const char *origin, struct error *err)
{
    const struct config_bool *rule = &c->cfg->policy.allow_impure;

    if (!rule->origin || rule->value)
        return 0;
    return error_fail(
        err,
        "%s (%s) is not allowed here: %s sets allow_impure = false; leave "
        "it out or ask the administrator",
        what, origin, rule->origin);
}

static int settle_host_paths(struct resolve_context *c, struct error *err)
{
    const struct request *r = c->req;
    _cleanup_free_ char *asked = NULL;
    const char *origin = "built-in";
    bool on = false;

    if (r->mount_host_paths_origin != REQUEST_UNSET) {
        asked = resolve_request_origin(r->mount_host_paths_origin, "mount-host-paths");
        if (!asked)
            return error_oom(err);
        on = r->mount_host_paths;
        origin = asked;
    } else if (c->target && c->target->mount_host_paths.origin) {
        on = c->target->mount_host_paths.value;
        origin = c->target->mount_host_paths.origin;
    }
    if (on && (impure_refused(c, "mount_host_paths", origin, err) < 0 ||
               resolve_check_forbidden(c, "/", "mount_host_paths", err) < 0))
        return -1;
    c->out->mount_host_paths = on;
    resolve_note(c->out, "mount_host_paths", on ? "true" : "false", origin);
    return 0;
}

/* Expands the paths in place; a source of the user may be relative to the cwd. */
static int expand_mount(const struct resolve_context *c, struct request_mount *m,
                        bool from_file, struct error *err)
{
    _cleanup_free_ char *source = resolve_expand(m->source, c->env, err);
    char *dest = NULL;

    if (!source)
        return -1;
    if (from_file && source[0] != '/')
        return error_fail(err, "'%s' is not an absolute path", source);
    free(m->source);
    m->source = pathfd_absolute(source, err);
    if (!m->source)
        return -1;
    dest = m->dest ? resolve_expand(m->dest, c->env, err) : strdup(m->source);
    if (!dest)
        return m->dest ? -1 : error_oom(err);
    free(m->dest);
    m->dest = dest;
    return 0;
}

struct mount_rules {
    const char *what; /* the key or option, for messages */
    const char *origin;
    bool from_file;
    bool default_writable; /* where the entry has no mode */
    bool checked;          /* the site's own mounts are not checked against its rules */
};

static int settle_mount(const struct resolve_context *c, const char *text,
                        const struct mount_rules *rules, struct strv *out,
                        struct error *err)
{
    struct request_mount m, again;
    char *full = NULL;
    int rc = -1;

    if (request_mount_parse(text, &m, err) < 0)
        return -1;
    if (!m.has_mode)
        m.writable = rules->default_writable;
    if (expand_mount(c, &m, rules->from_file, err) < 0 ||
        (rules->checked && resolve_check_forbidden(c, m.source, rules->what, err) < 0))
        goto done;
    full = request_mount_format(&m);
    if (!full) {
        error_oom(err);
        goto done;
    }
    /* What a variable put into the destination is checked by reading it again. */
    if (request_mount_parse(full, &again, err) < 0)
        goto done;
    request_mount_release(&again);
    strv_take(out, steal_ptr(full));
    rc = strv_check(out, err);
done:
    free(full);
    request_mount_release(&m);
    return rc;
}

static int settle_mounts(struct resolve_context *c, const struct strv *list,
                         const struct mount_rules *rules, struct strv *out,
                         struct error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t before = out->count;

        if (settle_mount(c, list->items[i], rules, out, err) < 0) {
            error_context(err, "%s: %s", rules->origin, rules->what);
            /* A wrong value in a file is not a wrong command line. */
            if (rules->from_file)
                err->class = ERROR_LAUNCHER;
            return -1;
        }
        resolve_note(c->out, rules->what, out->items[before], rules->origin);
    }
    return 0;
}

static int settle_mount_paths(struct resolve_context *c, struct error *err)
{
    struct mount_rules rules = {.what = "mount_paths", .checked = true};
    _cleanup_free_ char *asked = NULL;

    if (c->target && c->target->mount_paths.value.count > 0) {
        rules.origin = c->target->mount_paths.origin;
        rules.from_file = true;
        rules.default_writable = true; /* RepX binds them read-write */
        if (impure_refused(c, "mount_paths", rules.origin, err) < 0 ||
            settle_mounts(c, &c->target->mount_paths.value, &rules,
                          &c->out->mount_paths, err) < 0)
            return -1;
    }
    if (c->req->mount_paths.count == 0)
        return 0;
    asked = resolve_request_origin(c->req->mount_paths_origin, "mount-path");
    if (!asked)
        return error_oom(err);
    rules.origin = asked;
    rules.from_file = rules.default_writable = false;
    if (impure_refused(c, "mount_paths", asked, err) < 0)
        return -1;
    return settle_mounts(c, &c->req->mount_paths, &rules, &c->out->mount_paths, err);
}

static int settle_forced(struct resolve_context *c, struct error *err)
{
    const struct config_list *forced = &c->cfg->policy.forced_mounts;
    const struct mount_rules rules = {
        .what = "forced_mounts", .origin = forced->origin, .from_file = true};

    return settle_mounts(c, &forced->value, &rules, &c->out->forced_mounts, err);
}

static int settle_network(struct resolve_context *c, struct error *err)
{
    const struct config_bool *rule = &c->cfg->policy.allow_host_network;
    const char *value = "none", *origin = "built-in";
    _cleanup_free_ char *asked = NULL;

    if (c->req->network) {
        asked = resolve_request_origin(c->req->network_origin, "network");
        if (!asked)
            return error_oom(err);
        value = c->req->network;
        origin = asked;
    } else if (c->target && c->target->network.value) {
        value = c->target->network.value;
        origin = c->target->network.origin;
    } else if (c->out->mount_host_paths) {
        value = "host";
        origin = "implied by mount_host_paths";
    }
    c->out->network_host = strcmp(value, "host") == 0;
    if (c->out->network_host && rule->origin && !rule->value)
        return error_fail(err,
                          "network host (%s) is not allowed here: %s sets "
                          "allow_host_network = false; give --network=none or ask the "
                          "administrator",
                          origin, rule->origin);
    resolve_note(c->out, "network", value, origin);
    return 0;
}

int resolve_impure(struct resolve_context *c, struct error *err)
{
    if (settle_host_paths(c, err) < 0 || settle_mount_paths(c, err) < 0 ||
        settle_forced(c, err) < 0)
        return -1;
    return settle_network(c, err);
}
