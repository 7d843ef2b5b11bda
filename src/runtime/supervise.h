/* supervise: runs a command to its end. Signals are passed on, cancellation gets its
 * grace, nothing is left behind, and how it ended is told exactly. */
#ifndef REPX_RUNTIME_SUPERVISE_H
#define REPX_RUNTIME_SUPERVISE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "runtime/runtime.h"

struct error;

struct supervise_options {
    int stdin_fd, stdout_fd, stderr_fd; /* -1: inherited */
    const char *cwd;                    /* native only; NULL inherited */
    uint64_t grace_ns; /* from the first SIGTERM/SIGINT/SIGHUP to SIGKILL */
    bool interactive;  /* shares the terminal: its signals are not passed on twice */
    /* Called once, when the job is first asked to stop and before it has ended: the
     * last moment that is certain, as Slurm may kill this process without waiting for
     * the grace. NULL: nothing. */
    void (*on_stop)(void *arg, int sig);
    void *on_stop_arg;
};

struct supervise_result {
    bool started;    /* the job's command itself was executed */
    int wait_status; /* of the job's command, as waitpid gives it; valid if started */
    int signalled;   /* the first signal that asked us to stop, 0 none */
    bool killed;     /* the grace was over, SIGKILL was sent */
    uint64_t start_ns, end_ns; /* monotonic: command executed, command ended */
    struct rusage usage; /* of the command and its descendants that were waited for */
};

/* Must be called once, before any other thread: blocks the signals that supervise reads
 * from a signalfd, becomes a subreaper. */
int supervise_prepare(struct error *err);

/* 0: the command ran (result filled). -1: it did not start, or was lost: err's class
 * tells (ERROR_NOT_FOUND, ERROR_CANNOT_EXECUTE, ERROR_LAUNCHER for a sandbox that could
 * not be made). result->signalled is valid in both cases. */
int supervise_run(struct runtime_command *cmd, const struct supervise_options *opts,
                  struct supervise_result *result, struct error *err);

/* A signal that asked to stop arrived since supervise_prepare: its number, else 0. Long
 * work (extraction) calls it between steps. */
int supervise_pending_signal(void);

/* Readable (poll) when a signal may have arrived; -1 before supervise_prepare.
 * Borrowed. */
int supervise_signal_fd(void);

/* Reads what has arrived. Signals that ask to stop are remembered for the process; the
 * others since the last call are returned as bits (bit N: signal N), stop signals among
 * them. keyboard: leave out what the terminal sent to its whole foreground group. */
uint64_t supervise_read_signals(bool keyboard);

/* The first signal that asked to stop, 0. Reads nothing. */
int supervise_stop_signal(void);

/* The signals that a launcher takes, for its mask at birth: one that arrives before
 * supervise_prepare must wait, not kill. */
void supervise_signal_set(sigset_t *set);

#endif
