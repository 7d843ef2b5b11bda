/* outputs: <base_path>/outputs, opened once for all inputs of a job. What producers
 * have left there is looked for from its descriptor: an input costs no walk from the
 * root. */
#ifndef REPX_LAUNCH_OUTPUTS_H
#define REPX_LAUNCH_OUTPUTS_H

#include "launch/bindlist.h"

struct error;

struct outputs {
    const char *base; /* base_path, borrowed */
    int fd;           /* -1: nothing has run there yet */
    char *name;       /* the directory's path without links; NULL: unknown */
};

void outputs_open(struct outputs *o, const char *base);
void outputs_release(struct outputs *o);

/* Adds the bind of an artifact: path is below base/outputs/. A link that leaves its
 * producer's out is not followed on the host; it is made again inside, so that it can
 * only reach what the sandbox shows. 1: its producer has not left it there. */
int outputs_bind(const struct outputs *o, struct bindlist *l, const char *path,
                 struct error *err);

#endif
