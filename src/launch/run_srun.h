/* run_srun: a job whose script runs on all tasks of a Slurm step (run --srun). srun is
 * the command that is supervised: signals go to it, its output is the job's log, and
 * its exit code, the highest of the tasks', the job's. The sandboxes are made by the
 * plugin.
 */
#ifndef REPX_LAUNCH_RUN_SRUN_H
#define REPX_LAUNCH_RUN_SRUN_H

#include "launch/job.h"
#include "launch/prepare.h"

struct error;

/* Plans srun in the place of the job's own command. l: launch_choose has been called,
 * so that a wrong image or runtime is told before anything starts. */
int run_srun_plan(struct launch *l, struct session *s, const struct job_unit *job,
                  struct error *err);

#endif
