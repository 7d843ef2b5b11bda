/* srun: the step's image is put on its nodes before they start. The work is the
 * launcher's (repx-launch broadcast), a child of srun like any program of the user: it
 * ends with srun's terminal, and what it says is on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "request/step_env.h"
#include "spank/plugin.h"

extern char **environ;

/* With fewer nodes a shared file system serves each as fast as the tree would. */
#define AUTO_NODES 8

static int spawn_launcher(char *const *argv, int out, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ENOMEM;
    if (posix_spawnattr_init(&attr) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    /* srun handles signals in threads of its own */
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (rc == 0)
        rc =
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", 0, 0);
    if (rc == 0)
        rc = posix_spawn(pid, plugin.site.launcher, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return rc;
}

/* What it prints, and how it ends. -1: it has said why. */
static int run_launcher(char *const *argv, struct buf *out, struct error *err)
{
    int fds[2], rc, status;
    char chunk[512];
    ssize_t n;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make a pipe");
    rc = spawn_launcher(argv, fds[1], &pid);
    close(fds[1]);
    while (rc == 0 &&
           ((n = read(fds[0], chunk, sizeof(chunk))) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            buf_add(out, chunk, (size_t)n);
    close(fds[0]);
    if (rc != 0)
        return error_sys(err, rc, "cannot execute %s", plugin.site.launcher);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot wait for %s", plugin.site.launcher);
    if (WIFSIGNALED(status))
        return error_fail(err, "the broadcast of the image was ended by signal %d",
                          WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return error_fail(err, "the image was not broadcast, the step is not started");
    return buf_check(out, err);
}

static bool is_wanted(uint32_t nodes)
{
    const char *way = plugin.request.stage;

    if (way && strcmp(way, "auto") != 0)
        return strcmp(way, "bcast") == 0;
    return nodes >= AUTO_NODES;
}

int local_broadcast(spank_t sp, struct error *err)
{
    uint32_t nodes = plugin_number(sp, S_JOB_NNODES, 1);
    _cleanup_strv_ struct strv argv = STRV_INIT;
    _cleanup_buf_ struct buf staged = BUF_INIT;

    if (!is_wanted(nodes))
        return 0;
    strv_addl(&argv, "repx-launch", "broadcast", NULL);
    request_to_argv(&plugin.request, ~0u, &argv);
    strv_add(&argv, "--");
    strv_addf(&argv, "%u.%u", plugin_number(sp, S_JOB_ID, 0),
              plugin_number(sp, S_JOB_STEPID, 0));
    strv_addf(&argv, "%u", nodes);
    strv_add(&argv, plugin.site.config ? plugin.site.config : "");
    if (strv_check(&argv, err) < 0 || run_launcher(strv_argv(&argv), &staged, err) < 0)
        return -1;
    if (setenv(STEP_STAGED_VARIABLE, buf_str(&staged), 1) < 0)
        return error_oom(err);
    return 0;
}
