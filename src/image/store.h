/* store: the node-local store. Content-addressed, locked, published by rename.
 *
 *   <root>/repx/store-v1/                 0700, checked by sys/trust
 *     layers/<hex of diff_id>/tree/       one extracted layer, whiteouts kept as .wh.
 * files layers/<hex>/record.json rootfs/<hex of ChainID>/root/       the layers
 * composed (hard links into layers/) rootfs/<hex>/record.json            image name,
 * layers, size, when made rootfs/<hex>/used                   mtime = last use
 *     locks/{layer,rootfs}-<hex>.lock     flock; never unlinked; content = holder's
 * note refs/<hex of sha256 of path, inode, size, mtime>   what an archive turned out to
 * be tmp/<pid>-<random>/                 being written; swept when its owner is gone
 *
 * A directory below layers/ or rootfs/ is complete and verified, or it does not exist.
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
