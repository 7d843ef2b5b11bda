/* join: what the parts of repx-step-join share: the state that the tasks of a step have
 * in common, and the way into the sandbox. */
#ifndef REPX_INIT_JOIN_H
#define REPX_INIT_JOIN_H

#include <stdbool.h>

#include "base/error.h"
#include "request/handoff.h"

struct join {
    int state;   /* the memory file as inherited: one description for all tasks */
    int hold[2]; /* this task's share of the pipe: closed by exec or death */
    int send, queue;
    char **argv; /* the user's command */
    bool maker;  /* this task had the sandbox made: it speaks for the node's others */
    struct handoff handoff;
};

/* Waits until the sandbox is there or has failed, and has it made when nobody does.
 * Returns 0 with the file's last state in j->handoff, READY or FAILED. */
int join_settle(struct join *j, struct error *err);

/* Runs the launcher, which inherits the locked description, and waits for its end. 0:
 * it ended, whatever it has answered; its wait status is in *status. */
int join_launch(const struct join *j, int locked, int *status, struct error *err);

/* Enters the sandbox that j->handoff describes and executes the command. Returns -1
 * only, with the class for the exit code. */
int join_enter(struct join *j, struct error *err);

/* One line on stderr, "repx: NODE: TEXT", printable. */
void join_say(const struct join *j, const char *text);

#endif
