/* broadcast: a step's image on all its nodes before the tasks start, over Slurm's own
 * tree (sbcast), so that N nodes do not each read it from the shared file system. Runs
 * where srun runs, before srun launches the step: a failure anywhere is one message,
 * and nothing was started.
 */
#ifndef REPX_LAUNCH_BROADCAST_H
#define REPX_LAUNCH_BROADCAST_H

#include <stdint.h>

#include "request/request.h"

struct buf;
struct error;

struct broadcast {
    const char *step;   /* "JOB.STEP", as sbcast -j takes it */
    uint32_t nodes;     /* of the step */
    const char *config; /* the site's file; NULL: the built-in one */
};

/* What broadcast files are called below stage_path: this, the uid, the step, and
 * something random. */
#define BROADCAST_PREFIX "repx-stage"

/* Appends "PATH[:TAG]", the copy's name on each node, to staged, or nothing when each
 * node had better read the image itself. */
int broadcast_image(const struct broadcast *b, const struct request *req,
                    char *const *env, struct buf *staged, struct error *err);

#endif
