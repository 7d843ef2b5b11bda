/* store: the node-local store. Content-addressed, locked, published by rename.
 *
 *   <root>/repx/store-v1/              0700, checked by sys/trust
 *     layers/<hex of diff_id>/tree/     one layer, whiteouts kept as .wh. files
 *     layers/<hex>/record.json
 *     layers/<hex>/notes                what the tree cannot say (layernotes.h)
 *     rootfs/<hex of ChainID>/root/     the layers composed, hard links into them
 *     rootfs/<hex>/record.json          image name, layers, size, when made
 *     rootfs/<hex>/used                 its mtime is the last use
 *     locks/layer-<hex>.lock            flock; never unlinked; holder's note
 *     locks/rootfs-<hex>.lock           the same, for the composition
 *     locks/rootfs-<hex>.use            shared by each launch that uses the tree
 *     locks/ref-<hex>.lock              while a tar of unknown digest is read
 *     refs/<hex>                        what an archive turned out to be (refs.h)
 *     tmp/<host>-<pid>-<random>/        being written
 *     tmp/<the same>.owner              flocked by the writer as long as it lives
 *
 * A directory below layers/ or rootfs/ is complete and verified, or it does not exist.
 * The record is what makes it so: a directory without one is a leftover and is removed.
 * A layer counts only in the boot that extracted it until its data is known to be on
 * the disk
 * ("durable" in its record); a root filesystem is published only after that.
 *
 * Order of locks: rootfs (or ref), then its layers one after the other. A layer's lock
 * is exclusive while it is extracted and shared until the tree is composed, so that an
 * eviction, which takes it exclusively, leaves it alone.
 */
#ifndef REPX_IMAGE_STORE_H
#define REPX_IMAGE_STORE_H

#include <stdint.h>

#include "image/digest.h"

struct buf;
struct error;

struct store {
    char *path; /* <root>/repx/store-v1 */
    int fd;     /* of path */
    int layers_fd, rootfs_fd, locks_fd, refs_fd, tmp_fd;
};

#define STORE_INIT                                                                     \
    {                                                                                  \
        .fd = -1, .layers_fd = -1, .rootfs_fd = -1, .locks_fd = -1, .refs_fd = -1,     \
        .tmp_fd = -1                                                                   \
    }

/* Opens or creates the store below root (node_local_path or base_path). Leftovers in
 * tmp/ of dead processes of this host are removed. */
int store_open(struct store *s, const char *root, struct error *err);
void store_release(struct store *s);

struct store_entry {
    struct digest id;
    char *name;     /* image reference it was made from */
    uint64_t bytes; /* of the extracted layers */
    uint64_t layers;
    int64_t created; /* seconds since the epoch */
    int64_t used;
    int in_use; /* 1 when a launch holds it now */
};

/* All root filesystems, most recently used first. *entries owned by the caller
 * (store_entries_free). */
int store_list(struct store *s, struct store_entry **entries, size_t *n,
               struct error *err);
void store_entries_free(struct store_entry *entries, size_t n);

#endif
