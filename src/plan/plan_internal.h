/* plan_internal: what the files of plan/ share. */
#ifndef REPX_PLAN_PLAN_INTERNAL_H
#define REPX_PLAN_PLAN_INTERNAL_H

#include <stdbool.h>

#include "plan/build.h"

/* Fills out->env with the complete, sorted environment of CONTRACT section 3. out->cwd
 * is set. */
int plan_build_env(struct plan *out, const struct plan_input *in, struct error *err);

/* Appends the ordered mounts. */
int plan_build_mounts(struct plan *out, const struct plan_input *in, struct error *err);

/* A destination that the sandbox provides whatever the image holds: /tmp, /dev, /proc
 * and what lies below. */
bool plan_dest_provided(const char *dest);

#endif
