/* The environment of a task in the sandbox (CONTRACT section 3), made anew in each
 * task, because rank and PMI descriptors are its own. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "request/handoff.h"

/* PATH and HOME describe the sandbox; the host's values would be wrong in it. */
static bool is_own_name(const char *item)
{
    return strncmp(item, "PATH=", 5) == 0 || strncmp(item, "HOME=", 5) == 0;
}

static bool matches(const char *pattern, const char *name, size_t len)
{
    size_t n = strlen(pattern);

    if (n > 0 && pattern[n - 1] == '*')
        return len >= n - 1 && strncmp(pattern, name, n - 1) == 0;
    return n == len && strncmp(pattern, name, n) == 0;
}

static bool passes(const struct handoff_answer *a, const char *item, bool terminal)
{
    size_t len = strcspn(item, "=");

    if (item[len] == '\0' || len == 0 || is_own_name(item))
        return false;
    if (terminal && strncmp(item, "TERM=", 5) == 0)
        return true;
    for (size_t i = 0; i < a->pass.count; i++)
        if (matches(a->pass.items[i], item, len))
            return true;
    return false;
}

/* Sets "NAME=VALUE"; 1 when it is none. */
static int put(struct strv *env, const char *item, struct error *err)
{
    const char *eq = strchr(item, '=');
    _cleanup_free_ char *name = NULL;

    if (!eq || eq == item)
        return 1;
    name = strndup(item, (size_t)(eq - item));
    if (!name)
        return error_oom(err);
    strv_env_set(env, name, eq + 1);
    return 0;
}

/* A bare name takes what the task has; without a value it is left out. */
static int put_wanted(struct strv *env, const char *item, char *const *own,
                      struct error *err)
{
    const char *value;
    int r = put(env, item, err);

    if (r != 1)
        return r;
    value = strv_env_get(own, item);
    if (value)
        strv_env_set(env, item, value);
    return 0;
}

int handoff_environment(const struct handoff_answer *a, char *const *own, bool terminal,
                        const char *cwd, struct strv *out, struct error *err)
{
    for (char *const *e = own; !a->isolated && *e; e++)
        if (put(out, *e, err) < 0)
            return -1;
    for (size_t i = 0; i < a->env.count; i++)
        if (put(out, a->env.items[i], err) < 0)
            return -1;
    for (char *const *e = own; a->isolated && *e; e++)
        if (passes(a, *e, terminal) && put(out, *e, err) < 0)
            return -1;
    for (size_t i = 0; i < a->env_set.count; i++)
        if (put_wanted(out, a->env_set.items[i], own, err) < 0)
            return -1;
    if (cwd && a->isolated)
        strv_env_set(out, "PWD", cwd);
    return strv_check(out, err);
}
