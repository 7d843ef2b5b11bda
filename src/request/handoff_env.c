/* The environment of a task in the sandbox (CONTRACT section 3), made anew in each
 * task, because rank and PMI descriptors are its own. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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

/* A bare name takes what the task has; without a value it is left out. */
static void put_wanted(struct strv *env, const char *item, char *const *own)
{
    const char *value;

    if (strv_env_put(env, item))
        return;
    value = strv_env_get(own, item);
    if (value)
        strv_env_set(env, item, value);
}

/* The place of the number of len digits in the list, -1: it is not there. */
static long place_in(const char *list, const char *number, size_t len)
{
    long place = 0;

    for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',', place++)
        if (strcspn(p, ",") == len && strncmp(p, number, len) == 0)
            return place;
    return -1;
}

/* What the variable's numbers are inside. 1: they are not all there, or no numbers. */
static int renumber(const char *list, const char *value, struct buf *out)
{
    long place;

    if (!*value)
        return 1;
    for (const char *p = value; *p; p += *p == ',') {
        place = place_in(list, p, strcspn(p, ","));
        if (place < 0)
            return 1;
        buf_addf(out, "%s%ld", out->len ? "," : "", place);
        p += strcspn(p, ",");
    }
    return 0;
}

static int renumber_gpus(const struct handoff_answer *a, struct strv *env,
                         struct error *err)
{
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
                                        "HIP_VISIBLE_DEVICES"};
    const char *list = strv_env_get(strv_argv(&a->env), HANDOFF_GPUS_VARIABLE);

    for (size_t i = 0; list && i < array_size(names); i++) {
        const char *value = strv_env_get(strv_argv(env), names[i]);
        _cleanup_buf_ struct buf text = BUF_INIT;

        if (!value || renumber(list, value, &text) != 0)
            continue;
        if (buf_check(&text, err) < 0)
            return -1;
        strv_env_set(env, names[i], buf_str(&text));
    }
    return 0;
}

static bool is_for_join(const char *item)
{
    size_t n = strlen(HANDOFF_GPUS_VARIABLE);

    return strncmp(item, HANDOFF_GPUS_VARIABLE, n) == 0 && item[n] == '=';
}

int handoff_environment(const struct handoff_answer *a, char *const *own, bool terminal,
                        const char *cwd, struct strv *out, struct error *err)
{
    for (char *const *e = own; !a->isolated && *e; e++)
        strv_env_put(out, *e);
    for (size_t i = 0; i < a->env.count; i++)
        if (!is_for_join(a->env.items[i]))
            strv_env_put(out, a->env.items[i]);
    for (char *const *e = own; a->isolated && *e; e++)
        if (passes(a, *e, terminal))
            strv_env_put(out, *e);
    if (renumber_gpus(a, out, err) < 0)
        return -1;
    for (size_t i = 0; i < a->env_set.count; i++)
        put_wanted(out, a->env_set.items[i], own);
    if (cwd && a->isolated)
        strv_env_set(out, "PWD", cwd);
    return strv_check(out, err);
}
