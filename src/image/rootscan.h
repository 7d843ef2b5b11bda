/* rootscan: looks at an image's tree for plan_build: which wanted mount points exist,
 * where the image's own links put them, and what the directories hold that lack one.
 * Read through in-root descriptors: the tree is hostile. */
#ifndef REPX_IMAGE_ROOTSCAN_H
#define REPX_IMAGE_ROOTSCAN_H

#include <stddef.h>

#include "image/roottree.h"
#include "image/rootview.h"

struct buf;
struct error;

/* One wanted mount point. "/" is none, but wants the root directory opened. */
struct rootscan_want {
    const char *dest;
    int is_file; /* the mount point must be a file (a file or data is mounted) */
};

/* /dev, /proc and /tmp are always mount points, whatever the image has there; wanted
 * points below them are left as they are (the sandbox makes them). A wanted point of
 * the wrong type (file where a directory is needed) is replaced: its parent is opened.
 * A destination that the image's links lead into /dev or /proc is an error. Of a merged
 * tree no directory is opened: out->attrs has what overlay needs instead. */
int rootscan(const struct roottree *tree, const struct rootscan_want *wants, size_t n,
             struct rootview *out, struct error *err);

/* Is there an executable file at this path in the image (links followed in-root)? 1, 0.
 */
int rootscan_has_program(const struct roottree *tree, const char *path);

/* Appends the text of a small file of the image (e.g. /etc/passwd); missing: nothing.
 */
int rootscan_read(const struct roottree *tree, const char *path, struct buf *out,
                  struct error *err);

#endif
