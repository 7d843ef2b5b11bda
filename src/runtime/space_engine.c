/* The namespaces of an engine's container (engine.h), whose init holds them open until
 * they are here. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "runtime/space.h"
#include "runtime/supervise.h"
#include "sys/namespaces.h"
#include "sys/process.h"
#include "sys/spawn.h"

/* A container in the making. */
struct making {
    struct runtime_command cmd;
    int output;    /* what the engine's program says */
    int pidfd;     /* of that program */
    int connected; /* to init */
    int init;      /* pidfd of init */
    pid_t pid;
};

static void making_release(struct making *m)
{
    cleanup_closep(&m->output);
    cleanup_closep(&m->pidfd);
    cleanup_closep(&m->connected);
    cleanup_closep(&m->init);
    runtime_command_release(&m->cmd);
}

/* Podman, run by root, makes mounts in the namespace it is started in. */
static int own_mounts(void *arg, struct error *err)
{
    (void)arg;
    return namespaces_own_mounts(err);
}

/* What everybody in the step is sent, as a warning before its end, must not end the
 * program. SIGTERM is what podman's own children are ended with when it ends. */
static int start(struct making *m, struct error *err)
{
    const struct spawn_fd fds[] = {{m->output, STDOUT_FILENO},
                                   {m->output, STDERR_FILENO}};
    struct spawn spawn = SPAWN_INIT;
    sigset_t blocked;

    supervise_signal_set(&blocked);
    sigdelset(&blocked, SIGTERM);
    spawn.program = m->cmd.program;
    spawn.argv = strv_argv(&m->cmd.argv);
    spawn.env = strv_argv(&m->cmd.env);
    spawn.fds = fds;
    spawn.n_fds = array_size(fds);
    spawn.new_session = true;
    spawn.die_with_parent = true;
    spawn.blocked = &blocked;
    spawn.prepare = geteuid() == 0 ? own_mounts : NULL;
    m->pid = spawn_start(&spawn, &m->pidfd, err);
    if (m->pid < 0) {
        err->class = ERROR_LAUNCHER;
        return -1;
    }
    m->cmd.engine->may_remain = true;
    return 0;
}

static int read_output(const struct making *m, struct buf *out)
{
    char chunk[4096];
    off_t at = 0;
    ssize_t n;

    while ((n = pread(m->output, chunk, sizeof(chunk), at)) > 0) {
        buf_add(out, chunk, (size_t)n);
        at += n;
    }
    return n < 0 ? -1 : 0;
}

/* Its program has ended before init was there. */
static int explain_end(const struct making *m, struct error *err)
{
    _cleanup_buf_ struct buf output = BUF_INIT;
    siginfo_t info = {.si_pid = 0};
    int status;

    /* the status as waitpid would give it; who waits for it comes later */
    if (waitid(P_PID, (id_t)m->pid, &info, WEXITED | WNOWAIT) < 0 ||
        read_output(m, &output) < 0)
        return error_sys(err, errno, "cannot tell why the sandbox could not be made");
    status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
    engine_explain(m->cmd.program, status, &output, err);
    return error_context(err, "the sandbox could not be made");
}

/* Waits until fd is readable. A stop signal ends it, and so does the end of the
 * program. */
static int await(const struct making *m, int fd, struct error *err)
{
    for (;;) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN},
                             {.fd = supervise_signal_fd(), .events = POLLIN},
                             {.fd = m->pidfd, .events = POLLIN}};

        if (poll(p, array_size(p), -1) < 0 && errno != EINTR)
            return error_sys(err, errno, "cannot wait for the sandbox");
        if (p[1].revents && supervise_pending_signal())
            return error_fail(err, "cancelled while the sandbox was made");
        if (p[0].revents)
            return 0;
        if (p[2].revents)
            return explain_end(m, err);
    }
}

/* Init gets its orders; it keeps the streams that the engine has given it. */
static int await_connection(struct making *m, struct error *err)
{
    const int none[] = {-1, -1, -1};
    int r;

    do {
        if (await(m, m->cmd.engine->listen_fd, err) < 0)
            return -1;
        r = engine_accept(m->cmd.engine, none, false, &m->connected, &m->init, err);
    } while (r > 0);
    return r;
}

/* The number of init, once it says that all mounts are there and are the right ones. */
static int await_holder(struct making *m, pid_t *holder, struct error *err)
{
    struct init_message message;
    struct ucred peer;
    socklen_t len = sizeof(peer);
    ssize_t n;

    if (await_connection(m, err) < 0 || await(m, m->connected, err) < 0)
        return -1;
    n = read(m->connected, &message, sizeof(message));
    if (n != sizeof(message) || message.magic != INIT_PROTOCOL_MAGIC)
        return error_fail(err, "the sandbox ended while it was made");
    if (message.kind == INIT_EXEC_FAILED && message.stage == INIT_STAGE_MOUNT)
        return engine_explain_mount(m->cmd.engine, message.value, err);
    if (message.kind != INIT_HOLDING)
        return error_sys(err, message.value, "the sandbox's init could not start");
    if (getsockopt(m->connected, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return error_sys(err, errno, "cannot ask who has connected");
    *holder = peer.pid;
    return 0;
}

/* With the connection init ends, and with it the container. Podman would take it down
 * now, but all that it knows of it is in the launch's own directories: nobody waits for
 * that. What is left (podman, conmon, the process that keeps podman's user namespace)
 * are children of ours, or orphans of theirs. */
static void let_go(struct making *m)
{
    cleanup_closep(&m->connected);
    m->connected = -1;
    process_kill_children();
    m->cmd.engine->may_remain = false;
}

int space_of_engine(const struct runtime_backend *backend, const struct plan *plan,
                    const struct runtime_tools *tools, struct space *out,
                    struct error *err)
{
    _cleanup_(making_release) struct making m = {.cmd = RUNTIME_COMMAND_INIT,
                                                 .output = -1,
                                                 .pidfd = -1,
                                                 .connected = -1,
                                                 .init = -1,
                                                 .pid = -1};
    pid_t holder = -1;
    int r;

    if (backend->command(plan, tools, &m.cmd, err) < 0)
        return -1;
    m.output = memfd_create("repx-output", MFD_CLOEXEC);
    if (m.output < 0)
        return error_sys(err, errno, "cannot make a memory file");
    if (start(&m, err) < 0)
        return -1;
    r = await_holder(&m, &holder, err);
    if (r == 0)
        r = space_capture(out, holder, m.init, err);
    let_go(&m);
    if (r < 0)
        space_release(out);
    return r;
}
