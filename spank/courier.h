/* courier: what slurmstepd hands to the tasks of a step: the memory file with the
 * request (request/handoff.h), the hold pipe, and the socket pair that keeps the
 * sandbox. Linux only, nothing of Slurm. All of it is made before the first task
 * exists, and nothing is ever read back: from then on it belongs to the user.
 */
#ifndef REPX_SPANK_COURIER_H
#define REPX_SPANK_COURIER_H

#include <sys/types.h>

struct error;
struct handoff_request;

struct courier {
    int state;   /* the memory file */
    int hold[2]; /* pipe: its end of file says that no task waits any more */
    int send;    /* socket pair: the launcher writes here ... */
    int queue;   /* ... and what it sends stays here as long as slurmstepd lives */
    int join;    /* repx-step-join, opened where slurmstepd sees it */
};

#define COURIER_INIT                                                                   \
    {                                                                                  \
        -1, {-1, -1}, -1, -1, -1                                                       \
    }

/* Makes all of it; the memory file belongs to uid and gid, and to nobody else. join:
 * path of the join program. -1: nothing is left open. */
int courier_open(struct courier *c, const struct handoff_request *r, const char *join,
                 uid_t uid, gid_t gid, struct error *err);

/* In slurmstepd, when all tasks have been forked: only the queue has to stay. */
void courier_keep_queue(struct courier *c);

void courier_close(struct courier *c);

#define COURIER_TEXT 80

/* In a task, before it executes join: lets the descriptors survive that and writes the
 * value of STEP_FDS_VARIABLE. */
int courier_pass(const struct courier *c, char text[COURIER_TEXT], struct error *err);

#endif
