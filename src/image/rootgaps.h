/* rootgaps: where an image's tree ended on the way to paths that were looked for.
 * The mount points of a job with hundreds of inputs lie below a few directories that no
 * image has; the tree is asked once for each of those. */
#ifndef REPX_IMAGE_ROOTGAPS_H
#define REPX_IMAGE_ROOTGAPS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/pathset.h"
#include "image/rootpath.h"

struct error;

struct rootgap {
    char *path;      /* the first that is not there */
    size_t existing; /* the length of the part of path that is */
    mode_t mode;     /* of that part */
};

struct rootgaps {
    struct rootgap *items;
    size_t n, cap;
    struct pathset paths; /* of items, by number */
};

#define ROOTGAPS_INIT                                                                  \
    {                                                                                  \
        0                                                                              \
    }

void rootgaps_release(struct rootgaps *g);

/* rootpath_resolve_tree has found this for path. Nothing is kept when a link was taken
 * on the way, or when memory is out. */
void rootgaps_note(struct rootgaps *g, const char *path, const struct rootpath *found);

/* What rootpath_resolve_tree would find for path. 1: it has to be asked. */
int rootgaps_resolve(const struct rootgaps *g, const char *path, struct rootpath *out,
                     struct error *err);

#endif
