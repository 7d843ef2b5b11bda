/* job_protocol: how `repx-launch step` tells repx-job the words of the job's command,
 * and `repx-launch run --srun` tells `repx-launch step` that the job is its own. */
#ifndef REPX_RUNTIME_JOB_PROTOCOL_H
#define REPX_RUNTIME_JOB_PROTOCOL_H

#define JOB_PROGRAM "repx-job"
#define JOB_PROGRAM_DIR "/run/repx/bin" /* in the sandbox; first in PATH */

#define JOB_WORDS 4
#define JOB_WORD_VARIABLES                                                             \
    {                                                                                  \
        "REPX_JOB_SCRIPT", "REPX_JOB_OUT", "REPX_JOB_INPUTS", "REPX_JOB_PARAMETERS"    \
    }

/* The launcher around the step has locked the job, and writes its outcome. */
#define JOB_CLAIMED_VARIABLE "REPX_JOB_CLAIMED"

#endif
