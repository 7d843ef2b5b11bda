/* rootpath: where a path leads inside an image's tree, followed component by component,
 * the image's links taken as if the tree were "/". The tail that does not exist is
 * kept. */
#ifndef REPX_IMAGE_ROOTPATH_H
#define REPX_IMAGE_ROOTPATH_H

#include <sys/types.h>

struct error;
struct roottree;

struct rootpath {
    char *path;     /* absolute, without links, "." and ".."; owned */
    char *existing; /* the longest part of it that exists ("/" at least); owned */
    mode_t mode;    /* of what `existing` names */
};

void rootpath_release(struct rootpath *p);

/* path may be absolute or relative to the tree's top. A non-directory with a tail
 * behind it counts as the end of what exists. ELOOP after 40 links. */
int rootpath_resolve(int rootfd, const char *path, struct rootpath *out,
                     struct error *err);

/* The same for a tree that is not mounted yet (roottree.h). */
int rootpath_resolve_tree(const struct roottree *tree, const char *path,
                          struct rootpath *out, struct error *err);

#endif
