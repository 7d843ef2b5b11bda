/* gpus: --gpus turned into what a sandbox gets: device nodes, libraries, variables,
 * through the site's CDI specifications (cdi.h). With "auto" the devices are those that
 * Slurm gave to this task. */
#ifndef REPX_LAUNCH_GPUS_H
#define REPX_LAUNCH_GPUS_H

#include <stdbool.h>

#include "base/strv.h"
#include "launch/bindlist.h"
#include "launch/cdi.h"

struct buf;
struct error;
struct settled;

struct gpus {
    struct strv names; /* VENDOR/CLASS=NAME of those that were chosen */
    struct bindlist binds;
    struct strv env;    /* NAME=VALUE */
    bool has_libraries; /* GPUS_LIBRARY_DIR has links to them */
};

#define GPUS_INIT                                                                      \
    {                                                                                  \
        .names = STRV_INIT                                                             \
    }

/* Where programs built with Nix look for the driver's libraries; others through
 * LD_LIBRARY_PATH. */
#define GPUS_LIBRARY_DIR "/run/opengl-driver/lib"

struct gpus_context {
    const struct settled *settled;
    char *const *env; /* the caller's */
    bool joined;      /* tasks will come from outside: what the whole step has */
    bool host_root; /* the host's file system is there: nodes and libraries are, too */
};

/* Fills an initialised, empty *out; with "none", or "auto" where Slurm gave nothing, it
 * stays so. An unknown device, or a node or library that this node lacks, is an error.
 */
int gpus_settle(struct gpus *out, const struct gpus_context *c, struct error *err);
void gpus_release(struct gpus *g);

/* For the tasks of a step: the numbers of the device files of these devices, as
 * VENDOR/CLASS=NAME, in the order in which they are counted where there are no others
 * (HANDOFF_GPUS_VARIABLE). Nothing is added when tasks have the right numbers anyway:
 * device cgroups make Slurm count so, or the numbers are the same. */
int gpus_step_numbers(const struct cdi *cdi, const struct strv *names, struct buf *out,
                      struct error *err);

/* The names that "auto" means, as cdi_find takes them (gpus_auto.c). */
int gpus_auto(const struct cdi *cdi, const struct gpus_context *c, struct strv *names,
              struct error *err);

#endif
