/* Signals: read from a descriptor, passed on, and what asked to stop is remembered. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/supervise_internal.h"

#define BIT(sig) (UINT64_C(1) << (sig))

static const int stop_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
static const int other_signals[] = {SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGALRM};

/* Of the process, as signals are. */
static int signal_fd = -1;
static int stop_signal;    /* the first one that asked to stop */
static uint64_t held_bits; /* arrived while no command ran */

int supervise_signal_fd(void)
{
    return signal_fd;
}

int supervise_stop_signal(void)
{
    return stop_signal;
}

const char *supervise_signal_name(int sig)
{
    static char text[24];
    const char *abbrev = sigabbrev_np(sig);

    if (abbrev)
        snprintf(text, sizeof(text), "SIG%s", abbrev);
    else
        snprintf(text, sizeof(text), "signal %d", sig);
    return text;
}

static bool is_stop(int sig)
{
    for (size_t i = 0; i < array_size(stop_signals); i++)
        if (stop_signals[i] == sig)
            return true;
    return false;
}

/* Signals that the terminal itself sends to every process in its foreground. SIGHUP is
 * not among them: when the terminal is gone, the end must be enforced. */
static bool from_keyboard(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_KERNEL &&
           (info->ssi_signo == SIGINT || info->ssi_signo == SIGQUIT ||
            info->ssi_signo == SIGWINCH);
}

void supervise_signal_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < array_size(stop_signals); i++)
        sigaddset(set, stop_signals[i]);
    for (size_t i = 0; i < array_size(other_signals); i++)
        sigaddset(set, other_signals[i]);
}

int supervise_prepare(struct error *err)
{
    sigset_t set;

    /* a child made by spawn_fork starts anew: its parent's signals are not its own */
    cleanup_closep(&signal_fd);
    signal_fd = -1;
    stop_signal = 0;
    held_bits = 0;
    supervise_signal_set(&set);
    /* Children of the job that lose their parent come to us and must be reaped. */
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return error_sys(err, errno, "cannot block signals");
    signal_fd = signalfd(signal_fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return error_sys(err, errno, "cannot open a descriptor for signals");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_sys(err, errno, "cannot become the reaper of orphaned processes");
    return 0;
}

/* The bits that arrived. */
static uint64_t read_bits(bool keyboard)
{
    struct signalfd_siginfo info;
    uint64_t bits = 0;

    while (signal_fd >= 0 && read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
        int sig = (int)info.ssi_signo;

        if (keyboard && from_keyboard(&info))
            continue;
        bits |= BIT(sig);
        if (is_stop(sig) && !stop_signal)
            stop_signal = sig;
    }
    return bits;
}

uint64_t supervise_read_signals(bool keyboard)
{
    uint64_t bits = held_bits | read_bits(keyboard);

    held_bits = 0;
    return bits;
}

int supervise_pending_signal(void)
{
    held_bits |= read_bits(false);
    return stop_signal;
}

static int send_to(int pidfd, int sig, siginfo_t *info)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, sig, info, 0);
}

/* Init passes it on (init_protocol.h). */
static void send_through_init(const struct supervision *s, int sig)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = INIT_FORWARD_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = sig;
    if (send_to(s->init_pidfd, INIT_FORWARD_SIGNAL, &info) < 0 && errno != ESRCH)
        log_warn("cannot pass %s to the job: %s", supervise_signal_name(sig),
                 strerror(errno));
}

/* The number cannot be a stranger's: the process is a child that is not reaped yet. */
static void send_native(const struct supervision *s, int sig)
{
    bool alone = s->opts->interactive || init_signal_is_private(sig);

    kill(alone ? s->pid : -s->pid, sig);
}

static void arm_grace(const struct supervision *s)
{
    uint64_t ns = s->opts->grace_ns ? s->opts->grace_ns : 1;
    struct itimerspec t = {.it_value = {.tv_sec = (time_t)(ns / 1000000000),
                                        .tv_nsec = (long)(ns % 1000000000)}};

    timerfd_settime(s->timer_fd, 0, &t, NULL);
}

void supervise_forward(struct supervision *s, uint64_t signals)
{
    bool asked = s->result->signalled != 0;

    s->waiting |= signals & ~BIT(SIGCHLD);
    for (int sig = 1; sig < 64; sig++) {
        if (!(s->waiting & BIT(sig)))
            continue;
        /* Only the first request starts the grace: asking again does not shorten it. */
        if (is_stop(sig) && !s->result->signalled) {
            s->result->signalled = sig;
            arm_grace(s);
        }
        if (s->isolated && s->init_pidfd < 0)
            continue;
        s->waiting &= ~BIT(sig);
        if (s->exited)
            continue;
        if (s->isolated)
            send_through_init(s, sig);
        else
            send_native(s, sig);
    }
    if (!asked && s->result->signalled && !s->exited && s->opts->on_stop)
        s->opts->on_stop(s->opts->on_stop_arg, s->result->signalled);
}

void supervise_kill(struct supervision *s)
{
    s->result->killed = true;
    if (!s->isolated) {
        send_native(s, SIGKILL);
        send_to(s->pidfd, SIGKILL, NULL);
        return;
    }
    if (s->init_pidfd >= 0)
        send_to(s->init_pidfd, SIGKILL, NULL);
    /* an engine's program takes the container down when init is gone */
    if (s->cmd->engine && s->init_pidfd >= 0)
        supervise_bound_engine(s);
    else
        send_to(s->pidfd, SIGKILL, NULL);
}
