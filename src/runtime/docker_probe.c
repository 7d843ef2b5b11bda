/* Does docker work here? Its socket, a trial container, and what to do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/docker.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"

#define UNIX_PREFIX "unix://"

static int explain_socket(const char *path, int errnum, struct error *why)
{
    error_sys(why, errnum, "cannot reach docker's daemon at %s", path);
    if (errnum == EACCES || errnum == EPERM)
        error_hint(why,
                   "the administrator lets you use docker with 'usermod -aG docker "
                   "USER' (which is as good as root), or use podman");
    else
        error_hint(why,
                   "start it ('systemctl start docker'), or set DOCKER_HOST to its "
                   "socket: unix:///PATH");
    return 1;
}

int docker_reachable(const struct runtime_tools *tools, struct error *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = tools->docker_host + strlen(UNIX_PREFIX);
    _cleanup_close_ int fd = -1;

    if (strncmp(tools->docker_host, UNIX_PREFIX, strlen(UNIX_PREFIX)) != 0) {
        error_fail(why,
                   "docker's daemon is at %s, which may be another machine; the job's "
                   "files are here: set DOCKER_HOST to a socket, unix:///PATH",
                   tools->docker_host);
        return 1;
    }
    if (strlen(path) >= sizeof(address.sun_path)) {
        error_fail(why, "the path of docker's socket, %s, is too long for a socket",
                   path);
        return 1;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return explain_socket(path, errno, why);
    return 0;
}

/* "MARK linux [name=seccomp,profile=default]"; warnings may stand before and after. */
#define MARK "repx:"

static int check_daemon(const struct engine *e, struct error *why)
{
    _cleanup_strv_ struct strv argv = STRV_INIT, env = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;

    docker_globals(e->tools, e->dir, &argv);
    strv_addl(&argv, "info", "--format", MARK "{{.OSType}} {{.SecurityOptions}}", NULL);
    if (strv_check(&argv, why) < 0 || docker_env(e->dir, &env, why) < 0)
        return -1;
    if (engine_run(strv_argv(&argv), strv_argv(&env), -1, &output, why) != 0)
        return 1;
    if (!strstr(buf_str(&output), MARK "linux ")) {
        error_fail(why, "docker's daemon runs no Linux containers");
        return 1;
    }
    if (!strstr(buf_str(&output), "name=rootless"))
        return 0;
    error_fail(why, "this is a rootless docker, whose containers cannot be their user; "
                    "use podman or bwrap, which can");
    return 1;
}

static int trial(struct engine *e, const struct plan *plan, struct error *why)
{
    _cleanup_strv_ struct strv argv = STRV_INIT, env = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;
    int r = check_daemon(e, why);

    if (r != 0)
        return r;
    if (docker_prepare(e, plan, &argv, why) < 0)
        return 1;
    strv_add(&argv, INIT_PROBE_ARG);
    if (strv_check(&argv, why) < 0 || docker_env(e->dir, &env, why) < 0)
        return -1;
    r = engine_run(strv_argv(&argv), strv_argv(&env), -1, &output, why);
    e->may_remain = r != 0;
    if (r != 0)
        error_hint(why, "the daemon must see %s as this node does",
                   e->tools->state_dir);
    return r < 0 ? 1 : r;
}

int docker_probe(const struct runtime_tools *tools, struct error *why)
{
    struct plan plan = PLAN_INIT;
    struct engine *e;
    int r;

    if (!tools->docker || !tools->init) {
        error_fail(why, "%s is not installed; %s",
                   tools->docker ? "repx-sandbox-init" : "docker",
                   tools->docker
                       ? "install repx-launch completely"
                       : "install the package 'docker.io', or use podman or bwrap");
        return 1;
    }
    r = docker_reachable(tools, why);
    if (r != 0)
        return r;
    if (engine_trial_plan(&plan, "docker", why) < 0)
        return -1;
    e = engine_new(&backend_docker, tools, &plan, why);
    r = e ? trial(e, &plan, why) : 1;
    engine_free(e);
    plan_release(&plan);
    return r;
}

/* "Docker version 20.10.24+dfsg1, build 297e128": of the client; the daemon's own takes
 * a request, and is in doctor. */
char *docker_version(const struct runtime_tools *tools)
{
    char *const env[] = {(char[]){"HOME=/nonexistent"}, NULL};

    return runtime_program_version(tools, "docker", tools->docker, env);
}
