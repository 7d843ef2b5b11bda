/* native: the command itself, without any isolation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/runtime_internal.h"
#include "sys/pathfd.h"
#include "sys/process.h"

static int native_probe(const struct runtime_tools *tools, struct error *why)
{
    return 0;
}

static char *native_version(const struct runtime_tools *tools)
{
    return NULL;
}

/* As execvp(3) does it, with the plan's PATH and directory. */
static int find_program(const struct plan *plan, char **out, struct error *err)
{
    const char *name = plan->argv.items[0];
    const char *path = strv_env_get(strv_argv(&plan->env), "PATH");

    if (name[0] == '/')
        *out = strdup(name);
    else if (!strchr(name, '/'))
        *out = process_find_program(name, path ? path : "");
    else if (plan->cwd)
        *out = str_printf("%s/%s", plan->cwd, name);
    else
        return (*out = pathfd_absolute(name, err)) ? 0 : -1;
    if (!*out && !strchr(name, '/'))
        return error_set(err, ERROR_NOT_FOUND, 0,
                         "command '%s' not found in PATH (%s); give its full path or "
                         "install it",
                         name, path ? path : "PATH is not set");
    return *out ? 0 : error_oom(err);
}

static int native_command(const struct plan *plan, const struct runtime_tools *tools,
                          struct runtime_command *out, struct error *err)
{
    if (find_program(plan, &out->program, err) < 0)
        return -1;
    strv_extend(&out->argv, strv_argv(&plan->argv));
    strv_extend(&out->env, strv_argv(&plan->env));
    if (strv_check(&out->argv, err) < 0)
        return -1;
    return strv_check(&out->env, err);
}

const struct runtime_backend backend_native = {
    .name = "native",
    .isolated = false,
    .probe = native_probe,
    .version = native_version,
    .command = native_command,
};
