/* plugin: what the files of repx.so share. One set of statics per process, which is one
 * command (srun, sbatch, salloc) or one step (slurmstepd). */
#ifndef REPX_SPANK_PLUGIN_H
#define REPX_SPANK_PLUGIN_H

#include <slurm/spank.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "request/request.h"
#include "spank/courier.h"
#include "spank/options.h"
#include "spank/site.h"

struct plugin {
    struct options options;
    struct request request; /* filled after the options are known */
    struct site site;
    struct error site_error; /* class NONE: plugstack.conf is in order */
    bool refused;        /* locally; an optional plugin's srun goes on all the same */
    unsigned components; /* of srun: more than one for a heterogeneous step */
};

extern struct plugin plugin;

/* SLURM_BATCH_SCRIPT and SLURM_INTERACTIVE_STEP of slurm.h, the same since 20.11. */
#define STEP_BATCH 0xfffffffbu
#define STEP_INTERACTIVE 0xfffffffau
/* Is it a script or a shell rather than a step that somebody started in the job? */
bool plugin_step_is_script(uint32_t step);
uint32_t plugin_number(spank_t sp, spank_item_t item, uint32_t otherwise);

/* "error: repx: <text>", printable. */
void plugin_report(const struct error *err);

/* A copy that Slurm's own code may free. NULL: out of memory. */
char *plugin_slurm_copy(const char *s);

/* local: srun, sbatch and salloc, on the machine where the user types. 0, or -1:
 * reported, nothing must be launched. */
int local_take(size_t row, const char *text);
int local_settle(spank_context_t context);
int local_mark(spank_t sp);
/* --repx-stage: puts the step's image on its nodes. */
int local_broadcast(spank_t sp, struct error *err);

/* remote: slurmstepd. Nothing of this fails towards Slurm: what goes wrong is
 * remembered and told by remote_task, in the task, where it can neither drain a node
 * nor be lost. */
void remote_take(size_t row, const char *text);
void remote_init_failed(const struct error *err);
void remote_prepare(spank_t sp);
void remote_forked(void);
void remote_task(spank_t sp);
void remote_end(void);

#endif
