/* roottree: an image's tree as it will be seen, read before it is mounted: one
 * directory, or the trees of its layers, where the topmost layer that has a name
 * decides and directories merge. Hostile: no link is followed here, nothing above a
 * tree is reached.
 *
 * Layers of a tree have no whiteouts (image/overlay), so that the rule is overlay's
 * own: from the top, the first entry counts; below a directory also the layers under
 * it, up to the first that has something else on the way.
 */
#ifndef REPX_IMAGE_ROOTTREE_H
#define REPX_IMAGE_ROOTTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/strv.h"

struct error;

struct roottree_layer {
    int fd; /* of its tree; owned; -1: opened when it is first needed */
    /* Everything that the layer has is this directory and what leads to it, "": no more
     * is known. RepX's layers are one store path each: an image has 80 of them, and all
     * but one can be passed over without a look. Owned, may be NULL. */
    char *prefix;
    char *path; /* of its tree on the host; owned; NULL: fd is open */
};

/* A directory whose attributes are not those of the topmost layer that has it, because
 * that one only implies it. */
struct roottree_dir {
    char *path; /* relative, "" is the root; owned */
    mode_t mode;
    struct timespec mtime;
};

struct roottree {
    bool merged; /* it exists as an overlay of its layers only, or of its only one */
    struct roottree_layer *layers; /* bottom first */
    size_t n_layers;
    struct roottree_dir *dirs;
    size_t n_dirs;
};

#define ROOTTREE_INIT                                                                  \
    {                                                                                  \
        0                                                                              \
    }

void roottree_release(struct roottree *t);

/* A layer on top of those that are there. Takes fd; prefix and path are copied. */
int roottree_add(struct roottree *t, int fd, const char *path, const char *prefix,
                 struct error *err);
int roottree_add_dir(struct roottree *t, const char *path, mode_t mode,
                     const struct timespec *mtime, struct error *err);

/* What is at the relative path ("" the root), its last component not followed. 0; 1
 * nothing, or a link or file on the way; -1. fd (may be NULL) gets an O_PATH
 * descriptor. */
int roottree_look(const struct roottree *t, const char *path, struct stat *st, int *fd,
                  struct error *err);

/* Adds the names in a directory, each once, sorted. */
int roottree_list(const struct roottree *t, const char *path, struct strv *names,
                  struct error *err);

#endif
