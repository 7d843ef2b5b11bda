/* repx-sandbox-init: pid 1 of a sandbox. Starts the command, passes signals to it,
 * reaps what is orphaned, and tells the supervisor exactly how the command ended. When
 * it exits the kernel kills all that is left in the pid namespace.
 *
 * Static, and it makes no use of the image: that may be empty or hostile. The command
 * may be hostile too, hence PR_SET_DUMPABLE: otherwise it could trace pid 1 or write,
 * through /proc/1/exe, to this very program on the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/attach.h"
#include "init/channel.h"
#include "init/exec_command.h"
#include "runtime/init_protocol.h"

/* Nothing recurses there, and a path is no longer than PATH_MAX. */
#define COMMAND_STACK (64 * 1024)

struct job {
    int status_fd;
    bool channel; /* status_fd is a connection, there is no parent to die with */
    bool hold;    /* no command: others enter the namespaces */
    bool terminal;
    const char *cwd;
    char **argv;
    char **env;
    pid_t pid;
};

static void tell(const struct job *j, struct init_message m)
{
    ssize_t n;

    m.magic = INIT_PROTOCOL_MAGIC;
    do {
        n = write(j->status_fd, &m, sizeof(m));
    } while (n < 0 && errno == EINTR);
}

static int tell_failure(const struct job *j, enum init_stage stage, int errnum)
{
    tell(j, (struct init_message){
                .kind = INIT_EXEC_FAILED, .value = errnum, .stage = stage});
    return 1;
}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define COMPAT_ARCH AUDIT_ARCH_I386
#define COMPAT_IOCTL 54
#define X32_BIT 0x40000000u
#define X32_IOCTL 514
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#define COMPAT_ARCH AUDIT_ARCH_ARM
#define COMPAT_IOCTL 54
#define X32_BIT 0u
#define X32_IOCTL __NR_ioctl
#else
#error "name the ioctl system call numbers of this architecture for the terminal filter"
#endif

/* Without a session of its own the command shares the user's terminal; it must not be
 * able to type into it (TIOCSTI, and TIOCLINUX's paste). Needs no_new_privs, set by
 * bwrap. */
static int deny_terminal_injection(void)
{
    const uint32_t low_word = offsetof(struct seccomp_data, args[1]);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COMPAT_ARCH, 0, 10),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, COMPAT_IOCTL, 4, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~X32_BIT),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, X32_IOCTL, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low_word),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* The command's process, up to its exec. Returns what failed. */
static struct exec_failure become_command(const struct job *j)
{
    sigset_t none;

    if (!j->terminal)
        setsid();
    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL);
    if (chdir(j->cwd) < 0)
        return (struct exec_failure){errno, INIT_STAGE_CHDIR};
    if (j->terminal && deny_terminal_injection() < 0)
        return (struct exec_failure){errno, INIT_STAGE_SETUP};
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return exec_command(j->argv, j->env);
}

/* The kernel closes a dead launcher's end before anything else of it ends. */
static bool launcher_lives(const struct job *j)
{
    struct pollfd p = {.fd = j->status_fd, .events = 0};

    return poll(&p, 1, 0) == 0;
}

/* bwrap ties its child's life to its own late: when the launcher is killed before that,
 * bwrap dies and nobody would end us; whoever finds the pipe open here is told of the
 * death. An engine's container has a parent that comes and goes: there only the
 * connection counts, here and in run(). */
static bool tie_to_launcher(const struct job *j)
{
    return (j->channel || prctl(PR_SET_PDEATHSIG, SIGKILL) == 0) && launcher_lives(j);
}

/* What the command's process shares with init until it is the command. */
struct start {
    const struct job *job;
    struct exec_failure failure; /* errnum 0: none */
};

static int command_entry(void *arg)
{
    struct start *s = arg;

    s->failure = become_command(s->job);
    _exit(127);
}

/* 0 when the command was executed, else the exit code of init. Init's memory is shared
 * until then, and init waits (clone(2), CLONE_VFORK): none of it is copied. */
static int start(struct job *j)
{
    static char stack[COMMAND_STACK] __attribute__((aligned(16)));
    struct start s = {.job = j};

    j->pid = clone(command_entry, stack + sizeof(stack),
                   CLONE_VM | CLONE_VFORK | SIGCHLD, &s);
    if (j->pid < 0)
        return tell_failure(j, INIT_STAGE_SETUP, errno);
    if (s.failure.errnum != 0)
        return tell_failure(j, (enum init_stage)s.failure.stage, s.failure.errnum);
    tell(j, (struct init_message){.kind = INIT_STARTED});
    return 0;
}

static int64_t microseconds(struct timeval t)
{
    return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static void tell_exit(const struct job *j, int status)
{
    struct init_message m = {.kind = INIT_EXITED, .value = status};
    struct rusage usage;

    if (getrusage(RUSAGE_CHILDREN, &usage) == 0) {
        m.user_us = microseconds(usage.ru_utime);
        m.system_us = microseconds(usage.ru_stime);
        m.max_rss_kib = usage.ru_maxrss;
    }
    tell(j, m);
}

/* Reaps; true when the command itself has ended. */
static bool reap(const struct job *j, int *status)
{
    bool ended = false;
    int s;
    pid_t pid;

    while ((pid = waitpid(-1, &s, WNOHANG)) > 0)
        if (pid == j->pid) {
            *status = s;
            ended = true;
        }
    return ended;
}

/* Passes one signal on when it is meant for the command. */
static void forward(const struct job *j, const struct signalfd_siginfo *info)
{
    int wanted = info->ssi_int;
    bool alone = j->terminal || init_signal_is_private(wanted);

    if (info->ssi_code == SI_QUEUE)
        kill(alone ? j->pid : -j->pid, wanted);
}

static int run(const struct job *j, int signal_fd)
{
    struct pollfd p[2] = {{.fd = signal_fd, .events = POLLIN},
                          {.fd = j->status_fd, .events = 0}};
    int status = 0;

    for (;;) {
        struct signalfd_siginfo info;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return 1;
        /* nobody is left to run for; all that runs here dies with us */
        if (p[1].revents)
            return 125;
        if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
            continue;
        if ((int)info.ssi_signo == SIGCHLD) {
            if (reap(j, &status))
                break;
        } else if ((int)info.ssi_signo == INIT_FORWARD_SIGNAL) {
            forward(j, &info);
        }
    }
    tell_exit(j, status);
    return 0;
}

/* Keeps the namespaces of a sandbox open until their reader has them, or has died. */
static int hold(const struct job *j)
{
    struct pollfd p = {.fd = j->status_fd, .events = 0};

    tell(j, (struct init_message){.kind = INIT_HOLDING, .value = getpid()});
    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    return 0;
}

/* Everything else that was inherited is gone before the command exists. */
static int close_others(const struct job *j)
{
    if (fcntl(j->status_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        (j->status_fd > 3 &&
         syscall(SYS_close_range, 3U, (unsigned)j->status_fd - 1, 0U) < 0) ||
        syscall(SYS_close_range, (unsigned)j->status_fd + 1, ~0U, 0U) < 0)
        return -1;
    return 0;
}

/* MODE CWD ARGV..., or INIT_MODE_HOLD */
static void take_words(struct job *j, char **words)
{
    j->hold = strcmp(words[0], INIT_MODE_HOLD) == 0;
    if (j->hold)
        return;
    j->terminal = strcmp(words[0], INIT_MODE_TERMINAL) == 0;
    j->cwd = words[1];
    j->argv = words + 2;
}

/* The orders, from the command line or over a channel. 0, or the exit code of init. */
static int take_orders(struct job *j, int argc, char **argv)
{
    struct channel c = {.status_fd = -1};
    size_t n;

    if (argc == 3 && strcmp(argv[1], INIT_CHANNEL_ARG) == 0) {
        if (channel_open(&c, argv[2]) < 0)
            return 125;
        j->channel = true;
        j->status_fd = c.status_fd;
        take_words(j, c.words);
    } else {
        if (argc <= INIT_ARGS || !attach_parse_fd(argv[1], &j->status_fd) ||
            !attach_parse_fd(argv[2], &c.env_fd))
            return 125;
        take_words(j, argv + 3);
    }
    if (!tie_to_launcher(j))
        return 125;
    j->env = channel_read_items(c.env_fd, &n);
    return j->env ? 0 : tell_failure(j, INIT_STAGE_SETUP, errno ? errno : EIO);
}

int main(int argc, char **argv)
{
    struct job j = {.status_fd = -1};
    int failed = attach_given(&argc, &argv), r, signal_fd;
    sigset_t all;

    if (argc == 2 && strcmp(argv[1], INIT_PROBE_ARG) == 0)
        return failed;
    if (argc == 3 && strcmp(argv[1], INIT_HOLD_ARG) == 0) {
        if (!attach_parse_fd(argv[2], &j.status_fd))
            return 125;
        return failed ? tell_failure(&j, INIT_STAGE_ATTACH, failed) : hold(&j);
    }
    /* musl's sigfillset leaves out the first real-time signal that others may send */
    memset(&all, 0xff, sizeof(all));
    sigprocmask(SIG_SETMASK, &all, NULL);
    r = take_orders(&j, argc, argv);
    if (r != 0)
        return r;
    if (failed)
        return tell_failure(&j, INIT_STAGE_ATTACH, failed);
    if (j.hold)
        return hold(&j); /* its namespaces are to be opened by others */
    prctl(PR_SET_DUMPABLE, 0);
    if (close_others(&j) < 0)
        return tell_failure(&j, INIT_STAGE_SETUP, errno);
    signal_fd = signalfd(-1, &all, SFD_CLOEXEC);
    if (signal_fd < 0)
        return tell_failure(&j, INIT_STAGE_SETUP, errno);
    return start(&j) ? 1 : run(&j, signal_fd);
}
