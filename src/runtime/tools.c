/* Where the programs of the runtimes are on this node. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/job_protocol.h"
#include "runtime/runtime_internal.h"
#include "sys/process.h"
#include "sys/spawn.h"

/* Before PATH, so that what a module or an activated environment puts there does not
 * replace the system's own bwrap (which may need a profile of the site's AppArmor). */
#define SYSTEM_DIRS "/usr/bin:/usr/local/bin:/bin:/run/current-system/sw/bin"

#define INIT_NAME "repx-sandbox-init"
#define HOOK_NAME "repx-podman-hook"
#define DOCKER_HOST "unix:///var/run/docker.sock"

void runtime_tools_release(struct runtime_tools *t)
{
    free(t->bwrap);
    free(t->init);
    free(t->podman);
    free(t->crun);
    free(t->podman_hook);
    free(t->docker);
    free(t->docker_host);
    free(t->job);
    free(t->state_dir);
    free(t->staging_why);
    *t = (struct runtime_tools)RUNTIME_TOOLS_INIT;
}

/* A configured path is kept even if nothing is there: the probe then names it. */
static int find_bwrap(struct runtime_tools *t, const char *configured,
                      struct error *err)
{
    const char *path = getenv("PATH");
    _cleanup_free_ char *dirs = NULL;

    if (configured && configured[0] == '/') {
        t->bwrap = strdup(configured);
        return t->bwrap ? 0 : error_oom(err);
    }
    if (configured && strchr(configured, '/'))
        return error_fail(err,
                          "bwrap is configured as '%s'; write an absolute path or the "
                          "program's name",
                          configured);
    dirs =
        str_printf("%s%s%s", SYSTEM_DIRS, path && *path ? ":" : "", path ? path : "");
    if (!dirs)
        return error_oom(err);
    t->bwrap = process_find_program(configured ? configured : "bwrap", dirs);
    return 0;
}

/* Missing ones stay NULL: the probes say so. */
static int find_engines(struct runtime_tools *t, struct error *err)
{
    const char *path = getenv("PATH"), *host = getenv("DOCKER_HOST");
    _cleanup_free_ char *dirs =
        str_printf("%s%s%s", SYSTEM_DIRS, path && *path ? ":" : "", path ? path : "");

    if (!dirs)
        return error_oom(err);
    t->podman = process_find_program("podman", dirs);
    t->crun = process_find_program("crun", dirs);
    t->docker = process_find_program("docker", dirs);
    t->docker_host = strdup(host && *host ? host : DOCKER_HOST);
    return t->docker_host ? 0 : error_oom(err);
}

/* Our own programs: installed, else beside this executable (a build directory, an
 * unpacked archive). */
static int find_own(struct runtime_tools *t, struct error *err)
{
    _cleanup_free_ char *self = process_self_dir(err);
    _cleanup_free_ char *dirs = NULL;

    if (!self)
        return -1;
    dirs = str_printf("%s:%s:%s/../libexec/repx", REPX_LIBEXECDIR, self, self);
    if (!dirs)
        return error_oom(err);
    t->init = process_find_program(INIT_NAME, dirs);
    t->podman_hook = process_find_program(HOOK_NAME, dirs);
    t->job = process_find_program(JOB_PROGRAM, dirs);
    return 0;
}

int runtime_tools_find(struct runtime_tools *t, const char *bwrap_config,
                       const char *state_dir, struct error *err)
{
    if (find_bwrap(t, bwrap_config, err) < 0 || find_own(t, err) < 0 ||
        find_engines(t, err) < 0)
        goto fail;
    if (state_dir && !(t->state_dir = strdup(state_dir))) {
        error_oom(err);
        goto fail;
    }
    return 0;
fail:
    runtime_tools_release(t);
    return -1;
}

char *runtime_program_version(const struct runtime_tools *tools, const char *backend,
                              const char *program, char *const *env)
{
    char *known = NULL;
    _cleanup_strv_ struct strv argv = STRV_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error ignored = ERROR_INIT;
    struct spawn s = SPAWN_INIT;

    if (!program)
        return NULL;
    if (probe_cache_yes(tools, backend, &known) && known)
        return known;
    strv_addl(&argv, program, "--version", NULL);
    if (argv.failed)
        return NULL;
    s.program = program;
    s.argv = strv_argv(&argv);
    s.env = env;
    s.new_session = true;
    s.die_with_parent = true;
    if (spawn_run(&s, &text, &ignored) != 0)
        return NULL;
    return strndup(buf_str(&text), strcspn(buf_str(&text), "\n"));
}
