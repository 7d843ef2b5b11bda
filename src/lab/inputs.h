/* inputs: what a job gets, by RepX's rules (FACTS-REPX section 3 and 7): the text of
 * inputs.json, and which artifacts have to be there and visible. */
#ifndef REPX_LAB_INPUTS_H
#define REPX_LAB_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "lab/lab.h"

enum input_kind {
    INPUT_ARTIFACT,  /* an output of another job (or of a scatter-gather phase) */
    INPUT_STORE,     /* base_path itself */
    INPUT_METADATA,  /* <base>/artifacts/revision/metadata-<run>.json */
    INPUT_WORK_ITEM, /* branch-<i>/repx/work_item.json */
    INPUT_MANIFEST,  /* worker_outs_manifest.json */
};

struct input {
    char *name; /* target_input */
    char *path; /* the value in inputs.json */
    enum input_kind kind;
    size_t producer; /* INPUT_ARTIFACT of another job: index into lab.jobs, else
                        SIZE_MAX */
    size_t run;      /* INPUT_METADATA: index into lab.runs, else SIZE_MAX */
    char *source;    /* INPUT_METADATA: path of the file inside the lab, relative */
};

/* Sorted by name, each name once: as in RepX a later mapping of the same target_input
 * replaces an earlier one (within one mapping the first rule that fits wins). */
struct inputs {
    struct input *items;
    size_t n;
    struct strv warnings; /* sentences about mappings whose key had to stay absent */
};

#define INPUTS_INIT                                                                    \
    {                                                                                  \
        0                                                                              \
    }

/* Each fills an initialised, empty *out; on failure it is empty again. base_path is
 * used as it is given (absolute).
 *
 * Inputs of a simple job's main, or of a scatter-gather job's scatter. A producer or
 * output that the lab does not have, and a template that does not stay in its
 * producer's out directory, are errors. */
int inputs_resolve(const struct lab *lab, const struct lab_job *job,
                   const char *base_path, struct inputs *out, struct error *err);
/* Inputs of a step (executable "step-<n>") in a branch. sg: the composite's own inputs.
 */
int inputs_resolve_step(const struct lab *lab, const struct lab_job *job,
                        const struct lab_executable *step, size_t branch,
                        const char *base_path, const struct inputs *sg,
                        struct inputs *out, struct error *err);
/* Inputs of gather: sg's plus worker__outs. */
int inputs_resolve_gather(const struct lab *lab, const struct lab_job *job,
                          const char *base_path, const struct inputs *sg,
                          struct inputs *out, struct error *err);

/* inputs.json: pretty, keys sorted, as RepX writes it. Owned by the caller. */
char *inputs_json(const struct inputs *in, struct error *err);

/* worker_outs_manifest.json: [{output: path}, ..] of the sink step, by branch. Owned.
 */
char *inputs_worker_outs(const struct lab *lab, const struct lab_job *job,
                         const char *base_path, size_t n_branches, struct error *err);

/* The work items of scatter/out/work_items.json: one compact JSON text each. */
int inputs_work_items(const char *json, size_t len, struct strv *items,
                      struct error *err);

/* The steps in dependency order; *order holds indexes into job->executables, owned by
 * the caller; the sink is last. Cycles, unknown deps, no or several sinks are errors.
 */
int inputs_step_order(const struct lab_job *job, size_t **order, size_t *n,
                      struct error *err);

void inputs_release(struct inputs *in);

#endif
