/* jobarg: the one JOB of debug-run and plan, with its session and lab opened. */
#ifndef REPX_CMD_JOBARG_H
#define REPX_CMD_JOBARG_H

#include "launch/labopen.h"
#include "launch/session.h"
#include "outcome/layout.h"

struct error;

struct job_argument {
    struct session session;
    bool have_session;
    struct opened_lab lab;
    const struct lab_job *job;
    struct unit unit; /* of --unit; scatter for a scatter-gather job without it */
    char *unit_text;
};

#define JOB_ARGUMENT_INIT                                                              \
    {                                                                                  \
        .lab = OPENED_LAB_INIT                                                         \
    }

int job_argument_init(struct job_argument *a, const struct request *req,
                      char *const *env, struct error *err);
void job_argument_release(struct job_argument *a);

#endif
