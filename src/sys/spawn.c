#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/spawn_internal.h"

#define OUTPUT_KEPT (64 * 1024)
#define DRAIN_READS 64 /* more than a pipe holds */

/* Everything the child needs, made before the fork: afterwards only async-signal-safe
 * calls are allowed. */
struct child {
    const struct spawn *s;
    pid_t parent;
    int report;     /* write end of the error pipe */
    int floor;      /* above every target number */
    int *moved;     /* n_fds numbers, filled by the child */
    bool is_script; /* program_fd must stay open for the interpreter */
    sigset_t mask;
};

__attribute__((noreturn)) static void child_report(const struct child *c,
                                                   const struct spawn_failure *f)
{
    ssize_t n;

    do
        n = write(c->report, f, sizeof(*f));
    while (n < 0 && errno == EINTR);
    _exit(127);
}

__attribute__((noreturn)) static void child_fail(const struct child *c,
                                                 enum spawn_stage stage)
{
    struct spawn_failure f = {.stage = (int)stage, .errnum = errno};

    child_report(c, &f);
}

static void child_tie_life(const struct child *c)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        child_fail(c, STAGE_DEATH_SIGNAL);
    /* it may have died before the line above; then no signal comes any more */
    if (getppid() != c->parent)
        _exit(127);
}

static void child_prepare(const struct child *c)
{
    struct spawn_failure f = {.stage = STAGE_PREPARE};

    if (c->s->prepare(c->s->prepare_arg, &f.why) < 0)
        child_report(c, &f);
    /* the kernel forgets it when credentials change (a user namespace) */
    if (c->s->die_with_parent)
        child_tie_life(c);
}

static int child_reset_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};

    for (int sig = 1; sig < _NSIG; sig++)
        sigaction(sig, &dfl,
                  NULL); /* fails for KILL, STOP and libc's own: as it should */
    return 0;
}

/* Sources move above every target first, so that no dup2 overwrites a source that is
 * still needed. Returns the number under which program_fd is now. */
static int child_descriptors(struct child *c)
{
    const struct spawn *s = c->s;
    int program = s->program_fd;

    c->report = fcntl(c->report, F_DUPFD_CLOEXEC, c->floor);
    if (c->report < 0)
        _exit(127);
    for (size_t i = 0; i < s->n_fds; i++) {
        c->moved[i] = fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, c->floor);
        if (c->moved[i] < 0)
            child_fail(c, STAGE_DESCRIPTORS);
    }
    if (!s->program) {
        program = fcntl(s->program_fd, F_DUPFD_CLOEXEC, c->floor);
        if (program < 0)
            child_fail(c, STAGE_DESCRIPTORS);
    }
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        child_fail(c, STAGE_DESCRIPTORS);
    for (size_t i = 0; i < s->n_fds; i++)
        if (dup2(c->moved[i], s->fds[i].to) < 0)
            child_fail(c, STAGE_DESCRIPTORS);
    if (c->is_script && fcntl(program, F_SETFD, 0) < 0)
        child_fail(c, STAGE_DESCRIPTORS);
    return program;
}

__attribute__((noreturn)) static void child_main(struct child *c)
{
    const struct spawn *s = c->s;
    int program;

    child_reset_signals();
    if (s->die_with_parent)
        child_tie_life(c);
    if (s->new_session ? setsid() < 0 : s->new_group && setpgid(0, 0) < 0)
        child_fail(c, STAGE_SESSION);
    program = child_descriptors(c);
    if (s->cwd && chdir(s->cwd) < 0)
        child_fail(c, STAGE_CWD);
    if (s->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        child_fail(c, STAGE_NO_NEW_PRIVS);
    if (s->prepare)
        child_prepare(c);
    if (sigprocmask(SIG_SETMASK, &c->mask, NULL) < 0)
        child_fail(c, STAGE_SIGNALS);
    if (s->program)
        execve(s->program, s->argv, s->env);
    else
        syscall(SYS_execveat, program, "", s->argv, s->env, AT_EMPTY_PATH);
    child_fail(c, STAGE_EXEC);
}

static int check_request(const struct spawn *s, struct child *c, struct error *err)
{
    if (s->program ? s->program[0] != '/' : s->program_fd < 0)
        return error_fail(err, "cannot start '%s': its path is not absolute",
                          spawn_program_name(s));
    if (!s->argv || !s->argv[0] || !s->env)
        return error_fail(err, "cannot start '%s': argv or environment is missing",
                          spawn_program_name(s));
    c->floor = 3;
    for (size_t i = 0; i < s->n_fds; i++) {
        if (s->fds[i].from < 0 || s->fds[i].to < 0 || s->fds[i].to == INT_MAX)
            return error_sys(err, EBADF, "cannot pass descriptor %d as %d to '%s'",
                             s->fds[i].from, s->fds[i].to, spawn_program_name(s));
        if (s->fds[i].to >= c->floor)
            c->floor = s->fds[i].to + 1;
    }
    return 0;
}

/* Address sanitizers know one stack a thread, and take what a child that shares their
 * memory leaves behind for their own leaks. gcov counts up to the first exec. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                   \
    defined(REPX_COVERAGE)
#define CHILD_SHARES_MEMORY false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHILD_SHARES_MEMORY false
#endif
#endif
#ifndef CHILD_SHARES_MEMORY
#define CHILD_SHARES_MEMORY true
#endif

/* Below the size of a huge page, which would be cleared as a whole. */
#define CHILD_STACK ((size_t)1024 * 1024)
#define CHILD_GUARD ((size_t)64 * 1024)

static int child_entry(void *arg)
{
    child_main(arg);
}

/* The caller waits while the child, on a stack of its own, uses its memory: no page
 * table is copied, and no page is copied because both have it (clone(2), CLONE_VFORK).
 */
static pid_t clone_child(struct child *c)
{
    char *stack = mmap(NULL, CHILD_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    pid_t pid;

    if (stack == MAP_FAILED)
        return -1;
    if (mprotect(stack, CHILD_GUARD, PROT_NONE) < 0)
        pid = -1;
    else
        pid = clone(child_entry, stack + CHILD_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD,
                    c);
    munmap(stack, CHILD_STACK);
    /* before Linux 6.0 where the children's time namespace is another */
    return pid < 0 && errno == EINVAL ? fork() : pid;
}

/* Every signal is blocked around it: no handler of ours may run in the child. */
static pid_t fork_child(struct child *c)
{
    sigset_t all, old;
    pid_t pid;
    int saved;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = CHILD_SHARES_MEMORY ? clone_child(c) : fork();
    if (pid == 0)
        child_main(c);
    saved = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
    return pid;
}

/* An inherited SIG_IGN would let the kernel reap the child behind our back. */
static void keep_children_waitable(void)
{
    struct sigaction old, dfl = {.sa_handler = SIG_DFL};

    if (sigaction(SIGCHLD, NULL, &old) < 0)
        return;
    if (old.sa_handler == SIG_IGN || (old.sa_flags & SA_NOCLDWAIT))
        sigaction(SIGCHLD, &dfl, NULL);
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* The child's side of spawn_fork. */
__attribute__((noreturn)) static void fork_main(const struct spawn *s, pid_t parent,
                                                int (*body)(void *arg), void *arg)
{
    sigset_t mask;
    int status;

    child_reset_signals();
    if (s->die_with_parent &&
        (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(125);
    if (s->new_session ? setsid() < 0 : s->new_group && setpgid(0, 0) < 0)
        _exit(125);
    for (size_t i = 0; i < s->n_fds; i++)
        if (dup2(s->fds[i].from, s->fds[i].to) < 0)
            _exit(125);
    sigemptyset(&mask);
    if (s->blocked)
        mask = *s->blocked;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    status = body(arg);
    fflush(NULL);
    _exit(status);
}

pid_t spawn_fork(const struct spawn *s, int (*body)(void *arg), void *arg, int *pidfd,
                 struct error *err)
{
    pid_t parent = getpid(), pid;
    sigset_t all, old;
    int errnum;

    /* what is buffered would be written twice */
    fflush(NULL);
    keep_children_waitable();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid = fork();
    if (pid == 0)
        fork_main(s, parent, body, arg);
    errnum = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (pid < 0) {
        error_sys(err, errnum, "cannot fork");
        return error_hint(err, "check the limits of processes (ulimit -u) and memory");
    }
    *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (*pidfd >= 0)
        return pid;
    error_sys(err, errno, "cannot get a descriptor of a child process");
    kill(pid, SIGKILL);
    reap(pid);
    return -1;
}

/* Whole report or nothing: it is smaller than PIPE_BUF. */
static ssize_t read_report(int fd, struct spawn_failure *f)
{
    ssize_t n;

    do
        n = read(fd, f, sizeof(*f));
    while (n < 0 && errno == EINTR);
    return n;
}

pid_t spawn_start(const struct spawn *s, int *pidfd, struct error *err)
{
    _cleanup_close_ int report_in = -1, report_out = -1, handle = -1;
    _cleanup_free_ int *moved = NULL;
    struct child c = {.s = s, .parent = getpid()};
    struct spawn_failure f;
    char head[4];
    int pipefd[2];
    pid_t pid;

    if (check_request(s, &c, err) < 0)
        return -1;
    moved = calloc(s->n_fds + 1, sizeof(*moved));
    if (!moved)
        return error_oom(err);
    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make a pipe to start '%s'",
                         spawn_program_name(s));
    report_in = pipefd[0];
    report_out = pipefd[1];
    c.moved = moved;
    c.report = report_out;
    c.is_script = !s->program && spawn_script_head(s, head, sizeof(head));
    sigemptyset(&c.mask);
    if (s->blocked)
        c.mask = *s->blocked;
    keep_children_waitable();
    pid = fork_child(&c);
    if (pid < 0) {
        error_sys(err, errno, "cannot fork to start '%s'", spawn_program_name(s));
        return error_hint(err, "check the limits of processes (ulimit -u) and memory");
    }
    handle = (int)syscall(SYS_pidfd_open, pid, 0);
    if (handle < 0) {
        error_sys(err, errno, "cannot get a descriptor of the process of '%s'",
                  spawn_program_name(s));
        kill(pid, SIGKILL);
        reap(pid);
        return error_hint(err, "Linux 5.14 or later is needed");
    }
    close(steal_fd(&report_out));
    if (read_report(report_in, &f) == (ssize_t)sizeof(f)) {
        reap(pid);
        return spawn_explain(s, &f, err);
    }
    *pidfd = steal_fd(&handle);
    return pid;
}

static int wait_status(pid_t pid, const struct spawn *s, struct error *err)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot wait for '%s'", spawn_program_name(s));
    return status;
}

/* One read: 1 when there may be more, 0 when nothing is there now, -1 at the end. */
static int collect(int fd, struct buf *out, size_t *kept)
{
    char chunk[4096];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    if (n < 0)
        return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -1;
    if (n == 0)
        return -1;
    if ((size_t)n > OUTPUT_KEPT - *kept)
        n = (ssize_t)(OUTPUT_KEPT - *kept);
    buf_add(out, chunk, (size_t)n);
    *kept += (size_t)n;
    return 1;
}

/* Reads until the program ends, not until the pipe does: something that it left in the
 * background may hold the pipe for ever, or fill it for ever. */
static void collect_until_exit(int fd, int pidfd, struct buf *out)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    size_t kept = 0;

    for (;;) {
        if (poll(p, array_size(p), -1) < 0 && errno != EINTR)
            return;
        if (p[1].revents) {
            for (int i = 0; i < DRAIN_READS && collect(fd, out, &kept) > 0; i++)
                ;
            return;
        }
        if (p[0].revents && collect(fd, out, &kept) < 0)
            p[0].fd = -1;
    }
}

int spawn_run(const struct spawn *s, struct buf *out, struct error *err)
{
    _cleanup_close_ int in = -1, write_end = -1, pidfd = -1;
    _cleanup_free_ struct spawn_fd *fds = NULL;
    struct spawn with_pipe = *s;
    int pipefd[2];
    pid_t pid;

    if (!out) {
        pid = spawn_start(s, &pidfd, err);
        return pid < 0 ? -1 : wait_status(pid, s, err);
    }
    fds = calloc(s->n_fds + 2, sizeof(*fds));
    if (!fds)
        return error_oom(err);
    if (pipe2(pipefd, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make a pipe for the output of '%s'",
                         spawn_program_name(s));
    in = pipefd[0];
    write_end = pipefd[1];
    if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
        return error_sys(err, errno, "cannot read the output of '%s'",
                         spawn_program_name(s));
    if (s->n_fds > 0)
        memcpy(fds, s->fds, s->n_fds * sizeof(*fds));
    /* last, so that they win over what the caller listed for 1 and 2 */
    fds[s->n_fds] = (struct spawn_fd){write_end, STDOUT_FILENO};
    fds[s->n_fds + 1] = (struct spawn_fd){write_end, STDERR_FILENO};
    with_pipe.fds = fds;
    with_pipe.n_fds = s->n_fds + 2;
    pid = spawn_start(&with_pipe, &pidfd, err);
    if (pid < 0)
        return -1;
    close(steal_fd(&write_end));
    collect_until_exit(in, pidfd, out);
    return wait_status(pid, s, err);
}
