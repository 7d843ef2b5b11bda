/* job: one unit of a RepX job (a simple job, or a phase of a scatter-gather job) made
 * ready: where its files are, what it gets, what it is allowed to see. */
#ifndef REPX_LAUNCH_JOB_H
#define REPX_LAUNCH_JOB_H

#include <stdbool.h>
#include <stddef.h>

#include "lab/inputs.h"
#include "lab/lab.h"
#include "launch/bindlist.h"
#include "launch/session.h"
#include "outcome/layout.h"

struct error;
struct lockfile;

struct job_unit {
    const struct lab *lab;
    const struct lab_job *job;
    const struct lab_executable *exe;
    struct unit unit;
    const char *base; /* base_path, borrowed */
    char *out, *repx; /* the unit's directories */
    char *job_repx;   /* the job's repx directory (repx for a simple job) */
    char *inputs_path, *params_path;
    char *script;      /* absolute path */
    char *host_tools;  /* absolute path of the bin directory */
    char *image;       /* absolute path, NULL none */
    char *inputs_text; /* inputs.json */
    struct inputs inputs;
    struct strv argv;  /* script out inputs parameters */
    size_t n_branches; /* gather only */
};

/* Resolves everything by name; nothing is written. */
int job_unit_init(struct job_unit *j, const struct session *s, const struct lab *lab,
                  const struct lab_job *job, const struct unit *u, struct error *err);
void job_unit_release(struct job_unit *j);

/* Are the producers done? Each input whose producer has not succeeded is an error that
 * says which job to run first. */
int job_unit_check_inputs(const struct job_unit *j, struct error *err);

/* The binds of the unit: package, host-tools, inputs, out. The files of job_unit_write
 * must be there. */
int job_unit_binds(const struct job_unit *j, struct bindlist *binds, struct error *err);

/* Makes path, which is below base, and opens it; never through a symbolic link below
 * base: who can write there could lead us to other files of the user. */
int job_make_dirs(const char *base, const char *path, struct error *err);

/* Makes the unit's directories and returns repx opened. */
int job_unit_make_dirs(const struct job_unit *j, struct error *err);

/* Takes the unit's lock, in repx, for as long as it is held; an error when another
 * launch has it, that says which one by its note. */
int job_unit_claim(const struct job_unit *j, int repx_fd, const char *note,
                   struct lockfile *lock, struct error *err);

/* Writes inputs.json, parameters.json, and what gather and metadata inputs read. */
int job_unit_write(const struct job_unit *j, struct error *err);

/* The branches that a scatter phase has left behind; -1 when it has not run. */
int job_work_items(const char *base, const struct lab_job *job, struct strv *items,
                   struct error *err);

#endif
