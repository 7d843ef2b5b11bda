/* rootview: what plan_build has to know about an image's tree to put mount points into
 * it without writing to it. Filled by image/rootscan, which reads the tree; plain data
 * here.
 *
 * A tree that is kept as layers is mounted by overlay, with a layer of our own on top
 * that has the mount points. A flat tree is bound. When every mount point exists in the
 * image, the image is one read-only bind. Otherwise the directories that lack one are
 * "opened": an own directory takes their place and their children are bound one by one
 * (FACTS-TESTBED, last part).
 */
#ifndef REPX_IMAGE_ROOTVIEW_H
#define REPX_IMAGE_ROOTVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rootview_type { ROOTVIEW_DIR, ROOTVIEW_FILE, ROOTVIEW_SYMLINK };

struct rootview_entry {
    char *name;
    enum rootview_type type;
    char *target; /* of a symlink, else NULL */
};

/* A directory of the image that lacks at least one mount point. */
struct rootview_dir {
    char *path; /* absolute inside the image, resolved; "/" first; parents before
                   children */
    struct rootview_entry *entries; /* sorted by name */
    size_t n_entries;
};

/* Where a wanted mount point really is, after the image's own links. */
struct rootview_dest {
    char *wanted;
    char *resolved;
};

/* A directory that mount points lie below, and how it looks in the image. */
struct rootview_attr {
    char *path; /* absolute, resolved; "/" first, parents before children */
    unsigned mode;
    int64_t mtime_s;
    long mtime_ns;
};

struct rootview {
    bool merged; /* the image's layers are merged by overlay: attrs instead of dirs */
    struct rootview_attr *attrs;
    size_t n_attrs;
    struct rootview_dir *dirs; /* empty: one bind of the whole root does it */
    size_t n_dirs;
    struct rootview_dest *dests; /* in the order in which they were asked for */
    size_t n_dests;
};

#define ROOTVIEW_INIT                                                                  \
    {                                                                                  \
        0                                                                              \
    }

void rootview_release(struct rootview *v);

#endif
