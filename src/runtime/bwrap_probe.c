/* Does bwrap work on this node? A trial sandbox, and what to do when it fails. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "sys/pathfd.h"
#include "sys/spawn.h"
#include "sys/trust.h"

/* The value of a sysctl file that holds one number; -1: not there. */
static long read_sysctl(const char *path)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = pathfd_open_user(path, O_RDONLY | O_CLOEXEC, &ignored);
    char text[32];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n <= 0)
        return -1;
    text[n] = '\0';
    return strtol(text, NULL, 10);
}

void bwrap_explain(struct error *err)
{
    if (read_sysctl("/proc/sys/kernel/unprivileged_userns_clone") == 0)
        error_hint(err, "this node forbids user namespaces: as root, "
                        "'sysctl kernel.unprivileged_userns_clone=1'");
    else if (read_sysctl("/proc/sys/user/max_user_namespaces") == 0)
        error_hint(err, "this node forbids user namespaces: as root, "
                        "'sysctl user.max_user_namespaces=15000'");
    else if (read_sysctl("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1)
        error_hint(err, "AppArmor restricts user namespaces on this node: as root, "
                        "install a profile that allows them to bwrap, or 'sysctl "
                        "kernel.apparmor_restrict_unprivileged_userns=0'");
    else
        error_hint(err, "user namespaces must be allowed on this node (in a container, "
                        "by its own sandbox too); try 'bwrap --ro-bind / / true'");
}

/* Trusted and executable? Opens it; -1 with why. */
static int open_trusted(const char *path, int flags, struct error *why)
{
    int fd = pathfd_open_user(path, flags | O_CLOEXEC, why);

    if (fd >= 0 && trust_program(fd, path, why) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The kinds of operation that plans use, each once. */
static void trial_argv(int init_fd, struct strv *argv)
{
    strv_addl(argv, "bwrap", "--unshare-all", "--die-with-parent", "--as-pid-1",
              "--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev",
              "/dev", "--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/dev",
              "--chdir", "/", "--", NULL);
    strv_addf(argv, "/proc/self/fd/%d", init_fd);
    strv_add(argv, INIT_PROBE_ARG);
}

static int trial(const struct runtime_tools *tools, int init_fd, struct error *why)
{
    _cleanup_strv_ struct strv argv = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;
    _cleanup_buf_ struct buf shown = BUF_INIT;
    char *const env[] = {NULL};
    struct spawn_fd inherit = {init_fd, init_fd};
    struct spawn s = SPAWN_INIT;
    int status;

    trial_argv(init_fd, &argv);
    if (strv_check(&argv, why) < 0)
        return -1;
    s.program = tools->bwrap;
    s.argv = strv_argv(&argv);
    s.env = env;
    s.fds = &inherit;
    s.n_fds = 1;
    s.die_with_parent = true;
    status = spawn_run(&s, &output, why);
    if (status == 0)
        return 0;
    if (status < 0)
        return 1;
    while (output.len > 0 && output.data[output.len - 1] == '\n')
        output.data[--output.len] = '\0';
    quote_printable(&shown, output.len ? buf_str(&output) : "it gave no reason");
    error_fail(why, "a trial sandbox failed (%s %d): %.400s",
               WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
               buf_str(&shown));
    bwrap_explain(why);
    return 1;
}

int bwrap_probe(const struct runtime_tools *tools, struct error *why)
{
    _cleanup_close_ int bwrap_fd = -1, init_fd = -1;

    if (!tools->bwrap) {
        error_fail(why, "bubblewrap (bwrap) is not installed; install the package "
                        "'bubblewrap', or ask the administrator to");
        return 1;
    }
    if (!tools->init) {
        error_fail(why,
                   "repx-sandbox-init, a part of repx-launch, is not found; install "
                   "repx-launch completely or keep both programs in one directory");
        return 1;
    }
    bwrap_fd = open_trusted(tools->bwrap, O_PATH, why);
    init_fd = bwrap_fd < 0 ? -1 : open_trusted(tools->init, O_PATH, why);
    if (init_fd < 0)
        return 1;
    return trial(tools, init_fd, why);
}
