/* supervise_internal: one supervised command, shared by supervise*.c. */
#ifndef REPX_RUNTIME_SUPERVISE_INTERNAL_H
#define REPX_RUNTIME_SUPERVISE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "runtime/init_protocol.h"
#include "runtime/supervise.h"

struct supervision {
    struct runtime_command *cmd;
    const struct supervise_options *opts;
    struct supervise_result *result;
    bool isolated;    /* through repx-sandbox-init */
    pid_t pid;        /* of bwrap or the engine's program, natively of the command */
    int pidfd;        /* of pid */
    int init_pidfd;   /* of repx-sandbox-init; -1 until bwrap has told its number */
    int timer_fd;     /* the grace; armed by the first signal that asks to stop */
    uint64_t waiting; /* bit N: signal N came before there was anybody to pass it to */
    struct buf info;  /* what bwrap wrote to --info-fd so far */
    bool exec_failed, exited;
    bool left_alone;          /* the engine's program ended before its container */
    struct init_message last; /* of INIT_EXEC_FAILED or INIT_EXITED */
    struct error lost;        /* why init did not get its orders from us */
};

/* "SIGTERM". Borrowed. */
const char *supervise_signal_name(int sig);

/* Passes the signals on and arms the grace. */
void supervise_forward(struct supervision *s, uint64_t signals);
/* SIGKILL to everything. */
void supervise_kill(struct supervision *s);

/* Takes the connection of init in an engine's container. */
void supervise_accept(struct supervision *s);
/* An engine's program gets this long to end after its container; arms the timer. */
void supervise_bound_engine(struct supervision *s);
/* It has not: its program is killed, the container is removed by engine_free. */
void supervise_abandon_engine(struct supervision *s);

/* Reads bwrap's information; opens init_pidfd once it is complete. */
void supervise_read_info(struct supervision *s);
/* Reads the messages of repx-sandbox-init that are there. */
void supervise_read_status(struct supervision *s);

/* "child-pid" of bwrap's JSON, 0 when the text is not complete or not as expected. */
pid_t supervise_parse_child_pid(const char *text);

/* What happened, once all is over: 0, or -1 with err (supervise_run). */
int supervise_conclude(const struct supervision *s, int status, struct error *err);

#endif
