/* step_env: the variables by which plugin and repx-step-join find each other. The join
 * program takes all of them out of the task's environment.
 *
 * Those that srun has to carry to the nodes begin with SLURM_: it keeps such variables
 * also under --export=NONE. An empty one counts as none.
 */
#ifndef REPX_REQUEST_STEP_ENV_H
#define REPX_REQUEST_STEP_ENV_H

/* Set on the node: the descriptors "state:hold read:hold write:send:queue:program". */
#define STEP_FDS_VARIABLE "REPX_STEP_FDS"
#define STEP_FDS 6

/* The command that repx-step-join stands in the place of, as argv[0]. */
#define STEP_COMMAND_VARIABLE "SLURM_REPX_STEP_COMMAND"

/* Set by srun instead, for --multi-prog: the program stands in front of the command, at
 * this path. */
#define STEP_MULTIPROG_VARIABLE "SLURM_REPX_STEP_MULTIPROG"

/* Set by srun when it has broadcast the image: "PATH[:TAG]" on every node of the step.
 */
#define STEP_STAGED_VARIABLE "SLURM_REPX_STEP_STAGED"

#define STEP_JOIN_NAME "repx-step-join"

#endif
