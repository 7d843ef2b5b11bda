/* rootsums: the lines of a composed tree (treesum.h), from those of its layers, so that
 * nothing of it is read again. */
#ifndef REPX_IMAGE_ROOTSUMS_H
#define REPX_IMAGE_ROOTSUMS_H

#include <stdbool.h>

#include "image/treesum.h"

struct layernotes;

struct rootsums {
    struct treesum lines;
    bool unknown; /* the layers do not tell: the tree has to be read */
};

#define ROOTSUMS_INIT                                                                  \
    {                                                                                  \
        TREESUM_INIT, false                                                            \
    }

void rootsums_release(struct rootsums *r);

/* The next layer, bottom first: layerdir has its sums file, sums is that file's digest
 * as the layer's record has it. */
int rootsums_add(struct rootsums *r, int layerdir, const struct digest *sums,
                 const struct layernotes *notes, struct error *err);

/* Writes the tree's sums file below dirfd; *sum is its digest. rootfd: the tree, read
 * only when the layers do not tell. progress: for cancelling; may be NULL. */
int rootsums_write(struct rootsums *r, int rootfd, int dirfd,
                   const struct image_progress *progress, struct digest *sum,
                   struct error *err);

#endif
