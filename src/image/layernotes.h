/* layernotes: what an extracted layer's tree alone cannot say, kept in a file beside
 * it.
 *
 *   implied  directories that the layer has no entry for, made because something lies
 * in them: when layers are composed, the lower layer's mode and time stay links    hard
 * links whose target is in a lower layer: made when layers are composed, so that a
 * layer's tree depends on nothing but its digest
 *
 *   markers  the tree holds whiteouts, which overlay would show as files
 *
 * File format: "m\0", "d<path>\0" and "l<path>\0<target>\0", names being any bytes but
 * NUL.
 */
#ifndef REPX_IMAGE_LAYERNOTES_H
#define REPX_IMAGE_LAYERNOTES_H

#include <stdbool.h>

#include "base/strv.h"
#include "image/digest.h"

struct error;

struct layernotes {
    struct strv implied; /* sorted */
    struct strv links;   /* path, target, path, target, ... in the layer's order */
    bool markers;        /* the tree has whiteouts */
};

#define LAYERNOTES_INIT                                                                \
    {                                                                                  \
        STRV_INIT, STRV_INIT, false                                                    \
    }

void layernotes_release(struct layernotes *n);
/* Writes the file; nothing is written when there is nothing to say. sum: of its text.
 */
int layernotes_write(struct layernotes *n, int dirfd, struct digest *sum,
                     struct error *err);
/* The digest of what is there. */
int layernotes_sum(int dirfd, struct digest *sum, struct error *err);
/* A missing file means empty notes. */
int layernotes_read(struct layernotes *n, int dirfd, struct error *err);
bool layernotes_is_implied(const struct layernotes *n, const char *path);

#endif
