/* step: the launcher's part in a Slurm step with --repx-* options: the one sandbox of
 * this node, for whose tasks the join program waits (request/handoff.h says how they
 * talk). The first join program of a node runs it; when it has answered it is gone.
 */
#ifndef REPX_LAUNCH_STEP_H
#define REPX_LAUNCH_STEP_H

struct error;

struct step_fds {
    int state, hold, send, queue; /* handoff.h: HANDOFF_FD_*; borrowed */
};

/* Reads the request, makes the sandbox, and writes the answer, a failure as well as a
 * success. env: a task's environment. No answer (whoever waits finds that out by the
 * lock, and makes the sandbox himself): 1 when it was cancelled, by a signal or because
 * no task is left, -1 when the answer could not be written. */
int step_make(const struct step_fds *fds, char *const *env, struct error *err);

#endif
