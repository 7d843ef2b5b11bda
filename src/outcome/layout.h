/* layout: names below base_path (FACTS-REPX section 2). All owned by the caller. */
#ifndef REPX_OUTCOME_LAYOUT_H
#define REPX_OUTCOME_LAYOUT_H

#include <stddef.h>

struct error;

enum unit_kind { UNIT_SIMPLE, UNIT_SCATTER, UNIT_STEP, UNIT_GATHER };

/* What one launch runs: a simple job, or one phase of a scatter-gather job. */
struct unit {
    enum unit_kind kind;
    size_t branch;    /* UNIT_STEP */
    const char *step; /* UNIT_STEP: name without "step-"; borrowed */
};

/* "simple" | "scatter" | "step:<branch>:<name>" | "gather". A step's name stays a
 * pointer into text, which is cut up. -1: usage error. */
int unit_parse(char *text, struct unit *out, struct error *err);

/* The same text back; owned by the caller, NULL when out of memory. */
char *unit_text(const struct unit *u);

/* The out and repx directories of a unit, absolute. */
char *layout_out_dir(const char *base, const char *job, const struct unit *u);
char *layout_repx_dir(const char *base, const char *job, const struct unit *u);
char *layout_job_dir(const char *base, const char *job);

#endif
