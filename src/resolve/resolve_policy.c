#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "resolve/resolve_internal.h"
#include "sys/pathfd.h"

/* The canonical path where it exists, otherwise the lexical one. */
static char *canonical_or_copy(const char *path, struct error *err)
{
    struct error ignored = ERROR_INIT;
    char *canonical = pathfd_canonical(path, &ignored);

    return canonical ? canonical : pathfd_absolute(path, err);
}

/* Would a mount of source show something at or below prefix? */
static bool shows(const char *source, const char *prefix)
{
    return path_is_within(source, prefix) || path_is_within(prefix, source);
}

int resolve_check_forbidden(const struct resolve_context *c, const char *source,
                            const char *what, struct error *err)
{
    const struct config_list *rule = &c->cfg->policy.forbidden_mounts;
    _cleanup_free_ char *real = canonical_or_copy(source, err);

    if (!real)
        return -1;
    for (size_t i = 0; i < rule->value.count; i++) {
        _cleanup_free_ char *prefix = NULL, *real_prefix = NULL;

        prefix = resolve_expand(rule->value.items[i], c->env, err);
        real_prefix = prefix ? canonical_or_copy(prefix, err) : NULL;
        if (!real_prefix)
            return error_context(err, "%s: forbidden_mounts", rule->origin);
        if (shows(real, real_prefix) || shows(source, prefix) || shows(real, prefix))
            return error_fail(err,
                              "%s: '%s' is not allowed here: %s forbids mounts of %s; "
                              "choose another place or ask the administrator",
                              what, source, rule->origin, prefix);
    }
    return 0;
}

int resolve_tree_allowed(const struct config *cfg, char *const *env, const char *path,
                         struct error *err)
{
    const struct config_bool *impure = &cfg->policy.allow_impure;
    const struct resolve_context c = {.cfg = cfg, .env = env};

    if (impure->origin && !impure->value && strcmp(path, "/") == 0) {
        error_fail(err, "the host's root as an image is not allowed here: %s",
                   impure->origin);
        return error_hint(err, "use an image, or ask the administrator");
    }
    return resolve_check_forbidden(&c, path, "image", err);
}

static bool image_matches(const char *entry, const char *path, const char *hex)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *real = NULL;

    if (strncmp(entry, "sha256:", 7) == 0)
        return hex && strcmp(entry + 7, hex) == 0;
    if (!path)
        return false;
    real = canonical_or_copy(entry, &ignored);
    return real && path_is_within(path, real);
}

int resolve_image_allowed(const struct config *cfg, const char *path, const char *hex,
                          struct error *err)
{
    const struct config_list *rule = &cfg->policy.allowed_images;

    for (size_t i = 0; i < rule->value.count; i++)
        if (image_matches(rule->value.items[i], path, hex))
            return 0;
    if (rule->value.count == 0)
        return 0;
    return error_fail(err,
                      "image %s (sha256:%s) is not allowed here: %s lists the "
                      "allowed_images; use one of these or ask the administrator",
                      path ? path : "without a path", hex ? hex : "unknown",
                      rule->origin);
}
