/* step_internal: one step in the making, shared by step*.c. */
#ifndef REPX_LAUNCH_STEP_INTERNAL_H
#define REPX_LAUNCH_STEP_INTERNAL_H

#include <stdbool.h>

#include "launch/bindlist.h"
#include "launch/job.h"
#include "launch/labopen.h"
#include "launch/meter.h"
#include "launch/prepare.h"
#include "launch/session.h"
#include "launch/step.h"
#include "request/handoff.h"
#include "runtime/space.h"
#include "sys/lockfile.h"

struct error;

struct step {
    const struct step_fds *fds;
    char *const *env; /* the first task's, but with the GPUs of all: of own_env */
    struct strv own_env;
    struct handoff handoff;
    struct request request;
    struct meter_watch watch;
    struct session session;
    bool have_session;
    struct opened_lab lab;
    struct job_unit job; /* has_job: the step is in this job's sandbox */
    bool has_job;
    const char *staged; /* a copy of the image on this node; NULL none */
    char *unit_text, *path_prefix;
    struct lockfile claim;
    struct launch launch;
    struct bindlist binds;
    struct space space;
};

/* The tasks have gone, or a signal says stop. */
int step_cancelled(void *arg);

/* Binds beside image and lab: the batch script, the terminal, what the tasks' PMIx
 * client reads. */
int step_add_binds(struct step *st, struct error *err);

/* --repx-job; each does nothing without one. Opens lab and job and checks that the
 * inputs are there; writes nothing. */
int step_open_job(struct step *st, struct error *err);
/* Claims the job for this step and writes the files that it reads. */
int step_prepare_job(struct step *st, struct error *err);
int step_add_job_binds(struct step *st, struct error *err);
/* What comes first in PATH. NULL: nothing, or err is filled. Owned by the caller. */
char *step_path_prefix(const struct step *st, struct error *err);
void step_add_job_env(const struct step *st, struct strv *env);
void step_release_job(struct step *st);

/* Says which option to use when the tasks, should they be an MPI program, could reach
 * neither their server nor each other. */
void step_advise_mpi(const struct step *st);

/* What the tasks have to know of the sandbox that was made. */
int step_answer(const struct step *st, struct handoff_answer *a, struct error *err);
/* Gives the namespaces, and what has to live as long as the step, to the queue. */
int step_send(struct step *st, struct error *err);
/* Writes the answer into the memory file. */
int step_write(const struct step *st, enum handoff_phase phase,
               const struct handoff_answer *a, struct error *err);

#endif
