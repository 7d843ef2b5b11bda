/* run_unit: the job contract for one unit (CONTRACT section 6): checks, claim, image,
 * plan, run, and then, however it ended, markers, completion log and launch.json. */
#ifndef REPX_LAUNCH_RUN_UNIT_H
#define REPX_LAUNCH_RUN_UNIT_H

#include "launch/job.h"
#include "launch/prepare.h"

struct error;

/* 0: the job was started and has ended; *exit_code is its own, or 128+n. -1: it was not
 * started, or lost. Errors found before anything was written leave no trace; later ones
 * leave FAIL and launch.json. */
int run_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
             const struct unit *u, int *exit_code, struct error *err);

/* The same launch with another command on the caller's terminal (argv NULL: a shell),
 * no markers, no logs. */
int debug_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
               const struct unit *u, char *const *argv, int *exit_code,
               struct error *err);

/* What run_unit would do: l->plan is filled. */
int plan_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
              const struct unit *u, struct launch *l, struct error *err);

#endif
