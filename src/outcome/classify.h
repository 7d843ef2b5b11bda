/* classify: how a command ended -> exit code and words. */
#ifndef REPX_OUTCOME_CLASSIFY_H
#define REPX_OUTCOME_CLASSIFY_H

struct buf;

/* The job's own code, or 128+n when a signal killed it. */
int classify_exit_code(int wait_status);
/* "succeeded", "failed with exit code 3", "was killed by signal 9 (SIGKILL)". */
void classify_describe(int wait_status, struct buf *out);

#endif
