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
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/exec_command.h"
#include "runtime/init_protocol.h"

struct job {
    int status_fd;
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

static bool parse_fd(const char *s, int *fd)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(s, &end, 10);
    if (errno || end == s || *end || v < 3 || v > 1 << 20)
        return false;
    *fd = (int)v;
    return true;
}

/* The environment block, as a vector that points into it. Never freed: it is exec's. */
static char **read_env(int fd)
{
    struct stat st;
    size_t len, done = 0, n = 0;
    char *block, **env;

    if (fstat(fd, &st) < 0)
        return NULL;
    len = (size_t)st.st_size;
    block = malloc(len + 1);
    if (!block)
        return NULL;
    while (done < len) {
        ssize_t r = pread(fd, block + done, len - done, (off_t)done);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return NULL;
        done += (size_t)r;
    }
    block[len] = '\0';
    for (size_t i = 0; i < len; i++)
        n += block[i] == '\0';
    env = calloc(n + 1, sizeof(*env));
    if (!env)
        return NULL;
    for (size_t i = 0, k = 0; k < n; i += strlen(block + i) + 1)
        env[k++] = block + i;
    return env;
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

/* bwrap ties its child's life to its own late: when the launcher is killed before that,
 * bwrap dies and nobody would end us. The kernel closes the launcher's end of the pipe
 * before it lets bwrap die, so whoever finds it open here is told of the death. */
static bool launcher_lives(const struct job *j)
{
    struct pollfd p = {.fd = j->status_fd, .events = 0};

    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && poll(&p, 1, 0) == 0;
}

/* 0 when the command was executed, else the exit code of init. */
static int start(struct job *j)
{
    struct exec_failure f = {0, INIT_STAGE_SETUP};
    int report[2];
    ssize_t n;

    if (pipe2(report, O_CLOEXEC) < 0)
        return tell_failure(j, INIT_STAGE_SETUP, errno);
    j->pid = fork();
    if (j->pid < 0)
        return tell_failure(j, INIT_STAGE_SETUP, errno);
    if (j->pid == 0) {
        f = become_command(j);
        n = write(report[1], &f, sizeof(f));
        _exit(n == sizeof(f) ? 127 : 126);
    }
    close(report[1]);
    do {
        n = read(report[0], &f, sizeof(f));
    } while (n < 0 && errno == EINTR);
    close(report[0]);
    if (n == sizeof(f))
        return tell_failure(j, (enum init_stage)f.stage, f.errnum);
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

static int run(const struct job *j, const sigset_t *all)
{
    int status = 0;

    for (;;) {
        siginfo_t info;
        int sig = sigwaitinfo(all, &info);

        if (sig == SIGCHLD) {
            if (reap(j, &status))
                break;
        } else if (sig == INIT_FORWARD_SIGNAL && info.si_code == SI_QUEUE) {
            int wanted = info.si_value.sival_int;
            bool alone = j->terminal || init_signal_is_private(wanted);

            kill(alone ? j->pid : -j->pid, wanted);
        }
    }
    tell_exit(j, status);
    return 0;
}

/* Keeps the namespaces of a sandbox open until their reader has them, or has died. */
static int hold(const char *status_fd)
{
    struct job j = {.status_fd = -1};
    struct pollfd p = {.events = 0};

    if (!parse_fd(status_fd, &j.status_fd))
        return 125;
    p.fd = j.status_fd;
    tell(&j, (struct init_message){.kind = INIT_HOLDING, .value = getpid()});
    while (poll(&p, 1, -1) < 0 && errno == EINTR)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    struct job j = {.status_fd = -1};
    sigset_t all;
    int env_fd;

    if (argc == 2 && strcmp(argv[1], INIT_PROBE_ARG) == 0)
        return 0;
    if (argc == 3 && strcmp(argv[1], INIT_HOLD_ARG) == 0)
        return hold(argv[2]);
    prctl(PR_SET_DUMPABLE, 0);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    if (argc <= INIT_ARGS || !parse_fd(argv[1], &j.status_fd) ||
        !parse_fd(argv[2], &env_fd))
        return 125;
    if (!launcher_lives(&j))
        return 125;
    j.terminal = strcmp(argv[3], INIT_MODE_TERMINAL) == 0;
    j.cwd = argv[4];
    j.argv = argv + INIT_ARGS;
    j.env = read_env(env_fd);
    if (!j.env)
        return tell_failure(&j, INIT_STAGE_SETUP, errno ? errno : EIO);
    /* Everything else that was inherited is gone before the command exists. */
    if (fcntl(j.status_fd, F_SETFD, FD_CLOEXEC) < 0 ||
        (j.status_fd > 3 &&
         syscall(SYS_close_range, 3U, (unsigned)j.status_fd - 1, 0U) < 0) ||
        syscall(SYS_close_range, (unsigned)j.status_fd + 1, ~0U, 0U) < 0)
        return tell_failure(&j, INIT_STAGE_SETUP, errno);
    return start(&j) ? 1 : run(&j, &all);
}
