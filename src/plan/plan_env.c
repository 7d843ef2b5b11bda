/* The environment of a job (CONTRACT section 3). */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "plan/plan_internal.h"

static void env_put_all(struct strv *env, char *const *items)
{
    for (; items && *items; items++)
        strv_env_put(env, *items);
}

/* PATH and HOME describe the sandbox; the host's values would be wrong in it. */
static bool is_own_name(const char *item)
{
    return strncmp(item, "PATH=", 5) == 0 || strncmp(item, "HOME=", 5) == 0;
}

static void env_put_passed(struct strv *env, const struct strv *passed)
{
    for (size_t i = 0; passed && i < passed->count; i++)
        if (!is_own_name(passed->items[i]))
            strv_env_put(env, passed->items[i]);
}

/* --env NAME[=VALUE]. A name that the host does not have is left out, as docker does.
 */
static int env_put_user(struct strv *env, const struct plan_input *in,
                        struct error *err)
{
    for (size_t i = 0; in->env_set && i < in->env_set->count; i++) {
        const char *item = in->env_set->items[i];
        const char *value;

        if (item[0] == '\0' || item[0] == '=')
            return error_usage(err, "--env '%s': the name is missing; write NAME=VALUE",
                               item);
        if (strv_env_put(env, item))
            continue;
        value = strv_env_get(in->host_env, item);
        if (value)
            strv_env_set(env, item, value);
    }
    return 0;
}

/* prefix:path, or what there is of it. */
static int env_set_path(struct strv *env, const char *prefix, const char *path,
                        struct error *err)
{
    _cleanup_free_ char *joined = NULL;

    if (!path || !*path)
        path = PLAN_DEFAULT_PATH;
    if (!prefix) {
        joined = strdup(path);
    } else {
        joined = str_printf("%s:%s", prefix, path);
    }
    if (!joined)
        return error_oom(err);
    strv_env_set(env, "PATH", joined);
    return 0;
}

/* Behind the image's own directories. */
static int env_add_library_path(struct strv *env, const char *dir, struct error *err)
{
    const char *have = strv_env_get(strv_argv(env), "LD_LIBRARY_PATH");
    _cleanup_free_ char *path = NULL;

    if (!dir)
        return 0;
    path = str_printf("%s%s%s", have ? have : "", have && *have ? ":" : "", dir);
    if (!path)
        return error_oom(err);
    strv_env_set(env, "LD_LIBRARY_PATH", path);
    return 0;
}

/* The image's own, then what the sandbox itself is, then what may pass. With the host's
 * file system as root it is the host's PATH and HOME that fit. */
static int env_isolated(struct strv *env, const struct plan_input *in,
                        struct error *err)
{
    const char *term = in->interactive ? strv_env_get(in->host_env, "TERM") : NULL;
    const char *home = in->host_root ? strv_env_get(in->host_env, "HOME") : NULL;
    const char *path;

    env_put_all(env, in->image_env ? strv_argv(in->image_env) : NULL);
    path = in->host_root ? strv_env_get(in->host_env, "PATH")
                         : strv_env_get(strv_argv(env), "PATH");
    if (env_set_path(env, in->path_prefix, path, err) < 0)
        return -1;
    strv_env_set(env, "TERM", term && *term ? term : "xterm");
    strv_env_set(env, "HOME", home && *home ? home : "/tmp");
    env_put_passed(env, in->passed_env);
    env_put_all(env, in->device_env ? strv_argv(in->device_env) : NULL);
    return env_add_library_path(env, in->library_path, err);
}

static int env_native(struct strv *env, const struct plan_input *in, struct error *err)
{
    env_put_all(env, in->host_env);
    return env_set_path(env, in->path_prefix, strv_env_get(in->host_env, "PATH"), err);
}

int plan_build_env(struct plan *out, const struct plan_input *in, struct error *err)
{
    struct strv *env = &out->env;
    int r = in->isolated ? env_isolated(env, in, err) : env_native(env, in, err);

    if (r < 0 || env_put_user(env, in, err) < 0)
        return -1;
    /* Programs believe PWD without looking; a stale one is worse than none. */
    if (out->cwd)
        strv_env_set(env, "PWD", out->cwd);
    strv_sort(env);
    return strv_check(env, err);
}
