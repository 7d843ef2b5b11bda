/* inputs_internal: what inputs.c and inputs_sg.c share. Private to lab/. */
#ifndef REPX_LAB_INPUTS_INTERNAL_H
#define REPX_LAB_INPUTS_INTERNAL_H

#include <stddef.h>

#include "lab/inputs.h"

/* Sets a name, replacing what was set before; owns path, which may be NULL when memory
 * ran out. The other members come from like (its strings are copied). */
int inputs_set(struct inputs *in, const char *name, char *path,
               const struct input *like, struct error *err);

const struct lab_output *inputs_find_output(const struct lab_executable *exe,
                                            const char *name);

/* The executable of a step, named without "step-"; NULL when the job has none. */
const struct lab_executable *inputs_find_step(const struct lab_job *job,
                                              const char *name);

/* The output's template with every "$out" replaced by out_dir, checked to stay in it;
 * NULL with err. Owned by the caller. */
char *inputs_expand(const struct lab_output *output, const char *out_dir,
                    struct error *err);

#endif
