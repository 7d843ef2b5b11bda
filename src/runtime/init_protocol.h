/* init_protocol: what repx-sandbox-init (pid 1 of the sandbox) tells the supervisor
 * over the status pipe. Fixed-size messages, each written in one write(2). */
#ifndef REPX_RUNTIME_INIT_PROTOCOL_H
#define REPX_RUNTIME_INIT_PROTOCOL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define INIT_PROTOCOL_MAGIC 0x52505831u /* "RPX1" */

enum init_message_kind {
    INIT_STARTED = 1,     /* the command was executed; value: unused */
    INIT_EXEC_FAILED = 2, /* value: errno; stage tells what failed */
    INIT_EXITED = 3,      /* value: wait status; usage is filled */
    INIT_HOLDING = 4,     /* the sandbox is complete; value: process id of the holder */
};

enum init_stage {
    INIT_STAGE_SETUP = 1,
    INIT_STAGE_CHDIR = 2,
    INIT_STAGE_EXEC = 3,
    INIT_STAGE_INTERPRETER = 4, /* the file is there, what should run it is not */
    INIT_STAGE_MOUNT = 5,       /* a mount is not what was asked for; value: its number
                                 * in the list of checks */
    INIT_STAGE_ATTACH = 6,      /* the mount of INIT_ATTACH_ARG; value: errno */
};

/* Its command line: PROGRAM STATUS_FD ENV_FD MODE CWD ARGV...
 * ENV_FD holds the command's environment as NUL-terminated "NAME=VALUE" items. It does
 * not come through bwrap's own environment, because an image's LD_PRELOAD would then
 * act on bwrap, outside the sandbox. "PROGRAM --probe" exits with 0 at once (trial
 * sandboxes). */
#define INIT_ARGS 5
/* "PROGRAM --hold STATUS_FD" is no pid 1: it says INIT_HOLDING and stays until nobody
 * reads from STATUS_FD any more, so that others can enter the namespaces meanwhile. */
#define INIT_HOLD_ARG "--hold"
#define INIT_PROBE_ARG "--probe"
/* Any of these may stand behind "PROGRAM --attach FD DIR": FD is a detached mount, of
 * the directory that DIR is, which init attaches there first, or a regular file, where
 * there is nothing to attach; then it gives up the capabilities for it, in every set.
 */
#define INIT_ATTACH_ARG "--attach"
#define INIT_ATTACH_ARGS 3
/* Or "PROGRAM --channel SOCKET", where an engine (podman, docker) starts it without our
 * descriptors: it connects to the launcher, which sends a struct init_hello and with it
 * the descriptors; the connection then takes the place of the status pipe. */
#define INIT_CHANNEL_ARG "--channel"
#define INIT_MODE_JOB "job"           /* a session of its own */
#define INIT_MODE_TERMINAL "terminal" /* keeps the caller's terminal */
/* Over a channel only, and alone: no command, it says INIT_HOLDING and stays until the
 * connection is closed. The process id is that of the connection's peer. */
#define INIT_MODE_HOLD "hold"

/* SIGUSR1 and SIGUSR2 are for the command itself: what it has started may know no such
 * signal and would die of it, as a solver below a script that traps Slurm's early
 * warning. Every other signal is for the command's process group. */
static inline bool init_signal_is_private(int sig)
{
    return sig == SIGUSR1 || sig == SIGUSR2;
}

/* A signal for the command is queued to init as this one, with the wanted number as its
 * value. All others are ignored: what the terminal or Slurm sends to every process
 * reaches the command anyway, and must not reach it twice. A real-time signal, because
 * those are never merged with one of the same number that somebody else sent. A number,
 * because launcher and init may have different libcs, whose SIGRTMIN differ (glibc 34,
 * musl 35); the kernel's begin with 32. */
#define INIT_FORWARD_SIGNAL 36

#define INIT_MAX_LIMITS 16
#define INIT_MAX_CPUS 4096

/* The descriptors come in this order: the command (MODE, CWD, ARGV... as NUL-terminated
 * items), its environment, the checks, then those of 0, 1 and 2 whose bit is set in
 * stdio; the others are left as the engine has made them (its terminal).
 *
 * A check is an item "DEV INO ro|rw PATH": what must be at PATH; 0 0: any regular file.
 * The daemon of docker looks up the paths of mounts for itself, as root, later, perhaps
 * in another mount namespace; a job must not start with something else than the
 * launcher has seen. */
struct init_hello {
    uint32_t magic;
    uint32_t stdio; /* bit N: descriptor N is sent */
    /* What a process inherits and an engine's container does not have from the launcher
     * but from a daemon or a default. */
    uint32_t umask;
    uint32_t n_limits; /* of limits, by number (RLIMIT_*) */
    struct {
        uint64_t soft, hard;
    } limits[INIT_MAX_LIMITS];
    uint64_t cpus[INIT_MAX_CPUS / 64]; /* affinity, bit N: CPU N; all 0: unknown */
};

#define INIT_HELLO_FDS 3 /* command, environment, checks */

struct init_message {
    uint32_t magic;
    uint32_t kind;
    int32_t value;
    uint32_t stage;
    int64_t user_us, system_us; /* CPU time of the command and what init reaped */
    int64_t max_rss_kib;
};

#endif
