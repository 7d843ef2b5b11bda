#include "runtime/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/stage.h"
#include "runtime/supervise_internal.h"
#include "sys/fdio.h"
#include "sys/process.h"
#include "sys/spawn.h"

static void supervision_release(struct supervision *s)
{
    cleanup_closep(&s->pidfd);
    cleanup_closep(&s->init_pidfd);
    cleanup_closep(&s->timer_fd);
    buf_release(&s->info);
}

/* stdio, what the command needs, and the ends that it reports through. */
static struct spawn_fd *fd_table(const struct supervision *s, size_t *n)
{
    const struct runtime_command *c = s->cmd;
    const int from[] = {s->opts->stdin_fd, s->opts->stdout_fd, s->opts->stderr_fd};
    const int write_ends[] = {c->status_write_fd, c->info_write_fd};
    struct spawn_fd *table = calloc(c->n_fds + 5, sizeof(*table));

    *n = 0;
    for (int i = 0; table && i < 3; i++)
        if (from[i] >= 0)
            table[(*n)++] = (struct spawn_fd){from[i], i};
    for (size_t i = 0; table && i < c->n_fds; i++)
        table[(*n)++] = (struct spawn_fd){c->fds[i], c->fds[i]};
    for (size_t i = 0; table && i < 2; i++)
        if (write_ends[i] >= 0)
            table[(*n)++] = (struct spawn_fd){write_ends[i], write_ends[i]};
    return table;
}

/* bwrap's monitor must outlive the job to the end: Slurm sends its SIGTERM to every
 * process. What is meant for the job waits in init until the job exists. */
static void block_for_bwrap(sigset_t *set)
{
    static const int signals[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT,
                                  SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};

    sigemptyset(set);
    for (size_t i = 0; i < array_size(signals); i++)
        sigaddset(set, signals[i]);
    sigaddset(set, INIT_FORWARD_SIGNAL);
}

static int start(struct supervision *s, struct error *err)
{
    _cleanup_free_ struct spawn_fd *fds = NULL;
    struct spawn spawn = SPAWN_INIT;
    sigset_t blocked;

    fds = fd_table(s, &spawn.n_fds);
    if (!fds)
        return error_oom(err);
    block_for_bwrap(&blocked);
    spawn.program = s->cmd->program;
    spawn.argv = strv_argv(&s->cmd->argv);
    spawn.env = strv_argv(&s->cmd->env);
    spawn.fds = fds;
    spawn.cwd = s->isolated ? NULL : s->opts->cwd;
    spawn.new_session = !s->opts->interactive;
    spawn.die_with_parent = true;
    spawn.blocked = s->isolated ? &blocked : NULL;
    spawn.prepare = s->cmd->stage ? stage_assemble : NULL;
    spawn.prepare_arg = s->cmd->stage;
    s->pid = spawn_start(&spawn, &s->pidfd, err);
    if (s->pid < 0) {
        /* That bwrap itself is missing is not the job's fault. */
        if (s->isolated)
            err->class = ERROR_LAUNCHER;
        return -1;
    }
    if (s->cmd->engine)
        s->cmd->engine->may_remain = true;
    cleanup_closep(&s->cmd->status_write_fd);
    s->cmd->status_write_fd = -1;
    cleanup_closep(&s->cmd->info_write_fd);
    s->cmd->info_write_fd = -1;
    if (!s->isolated) {
        s->result->started = true;
        s->result->start_ns = fdio_monotonic_ns();
    }
    return 0;
}

/* Orphans of the job that have ended. The command itself is left for finish. */
static void reap_orphans(const struct supervision *s)
{
    siginfo_t info;

    for (;;) {
        memset(&info, 0, sizeof(info));
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
            info.si_pid == 0 || info.si_pid == s->pid)
            return;
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}

static void handle_signals(struct supervision *s)
{
    uint64_t bits = supervise_read_signals(s->opts->interactive);

    if (bits & (UINT64_C(1) << SIGCHLD))
        reap_orphans(s);
    supervise_forward(s, bits);
}

static void handle_timer(struct supervision *s)
{
    uint64_t expirations;

    if (read(s->timer_fd, &expirations, sizeof(expirations)) <= 0)
        return;
    if (s->cmd->engine && (s->exited || s->result->killed))
        supervise_abandon_engine(s);
    else if (!s->exited)
        supervise_kill(s);
}

/* An engine's program ended before its container. podman does that when it is asked to
 * stop before it passes signals on, which it only does once the container runs; Slurm
 * asks every process. The job still has its grace: init is ours to talk to. */
static bool is_left_alone(const struct supervision *s)
{
    struct pollfd p = {.fd = s->init_pidfd, .events = POLLIN};

    return s->cmd->engine && s->init_pidfd >= 0 && poll(&p, 1, 0) == 0;
}

/* Until bwrap, or natively the command, has ended. */
static int watch(struct supervision *s, struct error *err)
{
    enum { END, SIGNALS, TIMER, INFO, STATUS, COUNT };
    struct pollfd p[COUNT];

    /* What arrived before there was a job waits in memory, not in the descriptor. */
    handle_signals(s);
    do {
        memset(p, 0, sizeof(p));
        p[END].fd = s->left_alone ? s->init_pidfd : s->pidfd;
        p[SIGNALS].fd = supervise_signal_fd();
        p[TIMER].fd = s->timer_fd;
        p[INFO].fd = s->cmd->engine ? s->cmd->engine->listen_fd : s->cmd->info_fd;
        p[STATUS].fd = s->cmd->status_fd;
        for (int i = 0; i < COUNT; i++)
            p[i].events = POLLIN;
        if (poll(p, COUNT, -1) < 0 && errno != EINTR)
            return error_sys(err, errno, "cannot wait for the job");
        if (p[STATUS].revents)
            supervise_read_status(s);
        if (p[INFO].revents && s->cmd->engine)
            supervise_accept(s);
        else if (p[INFO].revents)
            supervise_read_info(s);
        if (p[SIGNALS].revents)
            handle_signals(s);
        else
            supervise_forward(s, 0); /* what waited for init */
        if (p[TIMER].revents && !p[END].revents)
            handle_timer(s);
        if (p[END].revents && !s->left_alone && is_left_alone(s)) {
            s->left_alone = true;
            p[END].revents = 0;
        }
    } while (!p[END].revents);
    return 0;
}

/* bwrap ends after the pid namespace, unless it was killed: then init follows. */
static void await_init(const struct supervision *s)
{
    struct pollfd p = {.fd = s->init_pidfd, .events = POLLIN};

    if (s->init_pidfd < 0)
        return;
    syscall(SYS_pidfd_send_signal, s->init_pidfd, SIGKILL, NULL, 0);
    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
}

/* Reaps, and leaves nothing behind. */
static int finish(struct supervision *s, struct error *err)
{
    struct rusage usage;
    int status = 0;
    pid_t r;

    if (s->cmd->info_fd >= 0 && s->init_pidfd < 0)
        supervise_read_info(s);
    if (!s->isolated) {
        s->result->end_ns = fdio_monotonic_ns();
    } else {
        await_init(s);
        if (s->cmd->status_fd >= 0)
            supervise_read_status(s);
    }
    while ((r = wait4(s->pid, &status, 0, &usage)) < 0 && errno == EINTR)
        ;
    /* an engine that ends by itself has removed its container */
    if (s->cmd->engine && r >= 0 && WIFEXITED(status) && !s->left_alone)
        s->cmd->engine->may_remain = false;
    process_kill_children();
    if (r < 0)
        return error_sys(err, errno, "lost the process of the job");
    if (s->isolated)
        return supervise_conclude(s, status, err);
    s->result->wait_status = status;
    s->result->usage = usage;
    return 0;
}

static int set_up(struct supervision *s, struct error *err)
{
    const int fds[] = {s->cmd->status_fd, s->cmd->info_fd};

    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (s->timer_fd < 0)
        return error_sys(err, errno, "cannot make a timer");
    for (size_t i = 0; i < array_size(fds); i++)
        if (fds[i] >= 0 && fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0)
            return error_sys(err, errno, "cannot prepare the sandbox's pipes");
    return 0;
}

int supervise_run(struct runtime_command *cmd, const struct supervise_options *opts,
                  struct supervise_result *result, struct error *err)
{
    _cleanup_(supervision_release) struct supervision s = {
        .cmd = cmd,
        .opts = opts,
        .result = result,
        .isolated = cmd->status_fd >= 0 || cmd->engine,
        .pidfd = -1,
        .init_pidfd = -1,
        .timer_fd = -1,
        .info = BUF_INIT,
        .lost = ERROR_INIT,
    };

    *result = (struct supervise_result){0};
    if (supervise_pending_signal()) {
        result->signalled = supervise_stop_signal();
        return error_fail(err, "cancelled by %s before the job started",
                          supervise_signal_name(result->signalled));
    }
    if (set_up(&s, err) < 0 || start(&s, err) < 0)
        return -1;
    if (watch(&s, err) < 0) {
        supervise_kill(&s);
        process_kill_children();
        return -1;
    }
    return finish(&s, err);
}
