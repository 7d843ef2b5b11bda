#include "init/exec_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/init_protocol.h"

static const char *env_path(char *const *env)
{
    for (; *env; env++)
        if (strncmp(*env, "PATH=", 5) == 0)
            return *env + 5;
    return "";
}

/* Executes one file; returns only when that failed. */
static struct exec_failure try_exec(const char *path, char *const *argv,
                                    char *const *env)
{
    struct exec_failure f = {0, INIT_STAGE_EXEC};

    execve(path, argv, env);
    f.errnum = errno;
    if (errno == ENOENT && access(path, F_OK) == 0)
        f.stage = INIT_STAGE_INTERPRETER;
    return f;
}

struct exec_failure exec_command(char *const *argv, char *const *env)
{
    const char *name = argv[0];
    struct exec_failure denied = {ENOENT, INIT_STAGE_EXEC};
    size_t name_len = strlen(name);

    if (strchr(name, '/'))
        return try_exec(name, argv, env);
    for (const char *p = env_path(env); *p;) {
        size_t n = strcspn(p, ":");
        char *path = malloc(n + name_len + 2);
        struct exec_failure f;

        if (!path)
            return (struct exec_failure){ENOMEM, INIT_STAGE_EXEC};
        memcpy(path, p, n);
        path[n] = '/';
        memcpy(path + n + 1, name, name_len + 1);
        p += n + (p[n] == ':');
        if (n == 0) {
            free(path);
            continue;
        }
        f = try_exec(path, argv, env);
        free(path);
        if (f.stage == INIT_STAGE_INTERPRETER)
            return f;
        if (f.errnum == EACCES)
            denied = f;
        else if (f.errnum != ENOENT && f.errnum != ENOTDIR)
            return f;
    }
    return denied;
}
