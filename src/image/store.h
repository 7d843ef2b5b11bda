/* store: the node-local store. Content-addressed, locked, published by rename.
 *
 *   <root>/repx/store-v1/              0700, checked by sys/trust; on a network file
 *                                      system <root>/repx/nodes/<host>/store-v1/
 *     layers/<hex of diff_id>/tree/     one layer, whiteouts kept as .wh. files
 *     layers/<hex>/record.json
 *     layers/<hex>/notes                what the tree cannot say (layernotes.h)
 *     layers/<hex>/sums                 checksums of the tree (treesum.h)
 *     rootfs/<hex of ChainID>/root/     the layers composed, hard links into them
 *     rootfs/<hex>/sums                 checksums of the tree
 *     rootfs/<hex>/overlay              instead of these two: merged when it is mounted
 *                                       (store_overlay.h)
 *     rootfs/<hex>/record.json          image name, layers, size, when made
 *     rootfs/<hex>/used                 its mtime is the last use
 *     locks/layer-<hex>.lock            flock; the holder's note
 *     locks/rootfs-<hex>.lock           the same, for the composition
 *     locks/rootfs-<hex>.use            shared by each launch that uses the tree
 *     locks/ref-<hex>.lock              while a tar of unknown digest is read
 *     locks/evict.lock                  one eviction at a time
 *     refs/<hex>                        what an archive turned out to be (refs.h)
 *     tmp/<host>-<pid>-<random>/        being written
 *     tmp/<the same>.owner              flocked by the writer as long as it lives
 *
 * A directory below layers/ or rootfs/ is complete and verified, or it does not exist.
 * The record is what makes it so: a directory without one is a leftover and is removed.
 * Both count in the boots that made them or found them to be what was made: they have
 * files "boot.<id>", or "durable" (store_boot.c).
 *
 * Order of locks: rootfs (or ref), then its layers one after the other. A layer's lock
 * is exclusive while it is extracted and shared until the tree is composed, so that an
 * eviction, which takes it exclusively, leaves it alone. evict.lock comes after all of
 * them: its holder only tries the others and never waits for one.
 */
#ifndef REPX_IMAGE_STORE_H
#define REPX_IMAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strv.h"
#include "image/digest.h"

struct buf;
struct error;
struct image_progress;

/* What the store may take. Enforced by image_prepare, which evicts unused images and
 * fails when that is not enough. */
struct store_limits {
    uint64_t max_size; /* bytes of the extracted layers, 0: none */
    uint64_t min_free; /* bytes of the file system that stay free */
};

struct store {
    struct store_limits limits;
    bool shared; /* the site's: what is made in it can be read by everybody */
    struct store
        *site; /* where image_prepare looks first, read-only; owned, NULL none */
    char *path;
    int fd;              /* of path */
    const char *network; /* name of the network file system it is on, NULL: local */
    int layers_fd, rootfs_fd, locks_fd, refs_fd, tmp_fd;
    bool overlay; /* image_prepare may leave images as layers (store_set_overlay) */
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

/* The site's store below root, for root to fill: as store_open, but everything in it
 * can be read by all users, who use it through store_attach_site. The caller's umask
 * must let them (022). */
int store_open_shared(struct store *s, const char *root, struct error *err);
/* Lets image_prepare look into the site's store first. Root must own it and every
 * directory on the way and nobody else may write to them. 0; 1: there is none (yet); -1
 * with err: it is not used, and why. */
int store_attach_site(struct store *s, const char *root, struct error *err);
/* Both in bytes, 0: none. Without a call there is no limit. */
void store_set_limits(struct store *s, uint64_t max_size, uint64_t min_free);
/* Can the caller mount an overlay of layers? Otherwise, and without a call, whole trees
 * are composed, also of images that were left as layers before. */
void store_set_overlay(struct store *s, bool can);

/* A process that uses an image now. */
struct store_user {
    pid_t pid;
    uid_t uid;  /* (uid_t)-1 unknown */
    char *name; /* of the user, NULL unknown */
    char *job;  /* SLURM_JOB_ID, NULL when there is none or it may not be read */
};

struct store_entry {
    struct digest id;
    char *name;     /* image reference it was made from */
    uint64_t bytes; /* of the extracted layers */
    uint64_t layers;
    int64_t created; /* seconds since the epoch */
    int64_t used;
    int in_use;               /* 1 when a launch holds it now */
    struct store_user *users; /* those of them that can be seen */
    size_t n_users;
};

/* All root filesystems, most recently used first. *entries owned by the caller
 * (store_entries_free). */
int store_list(struct store *s, struct store_entry **entries, size_t *n,
               struct error *err);
void store_entries_free(struct store_entry *entries, size_t n);

/* Until when an eviction goes on. */
struct store_prune {
    uint64_t max_size;  /* the store's layers are at most so many bytes */
    uint64_t min_free;  /* the file system has so many bytes free */
    uint64_t min_freed; /* so many bytes were removed */
    bool all;           /* everything that is not in use */
    bool dry_run;       /* only tell what would be removed */
};

#define STORE_PRUNE_INIT                                                               \
    {                                                                                  \
        .max_size = UINT64_MAX                                                         \
    }

/* One image that was (or would be) removed. */
struct store_gone {
    struct digest id;
    char *name;     /* NULL: a leftover without a record */
    uint64_t bytes; /* of its layers, also of those that others share */
    int64_t used;
};

struct store_pruned {
    struct store_gone *items;
    size_t n;
    uint64_t layers;    /* removed */
    uint64_t bytes;     /* of them: what is free again */
    uint64_t left;      /* bytes of the layers that stay */
    uint64_t in_use;    /* of left: of images that launches use now */
    uint64_t leftovers; /* lock files and notes on archives that were removed */
};

#define STORE_PRUNED_INIT                                                              \
    {                                                                                  \
        0                                                                              \
    }

/* Removes layers that no image needs, then the root filesystems that were not used for
 * the longest time with the layers that only they need, until the goal is reached or
 * the rest is in use. Each vanishes by a rename before it is removed. *out is filled
 * also when the goal is not reached, which is no error (store_pruned_release). */
int store_prune(struct store *s, const struct store_prune *goal,
                struct store_pruned *out, struct error *err);
void store_pruned_release(struct store_pruned *p);

/* One entry that is not what was extracted. */
struct store_damage {
    struct digest id;
    char *name;           /* of the image; of a layer NULL */
    bool layer;           /* otherwise a root filesystem */
    bool removed;         /* the next launch makes it again; false: it is in use */
    struct strv problems; /* "changed /bin/sh"; the first ones */
    size_t n_problems;    /* all */
};

struct store_verified {
    uint64_t layers, images; /* looked at */
    uint64_t bytes;          /* read */
    struct store_damage *damaged;
    size_t n;
};

#define STORE_VERIFIED_INIT                                                            \
    {                                                                                  \
        0                                                                              \
    }

/* Compares every layer and root filesystem with the checksums of its extraction,
 * reading all of them, and removes what differs: a damaged layer, then the root
 * filesystems made of it. What is in use stays and is told. progress may be NULL; its
 * update has the phase "verify" and counts entries. Damage is no error
 * (store_verified_release). */
int store_verify(struct store *s, const struct image_progress *progress,
                 struct store_verified *out, struct error *err);
void store_verified_release(struct store_verified *v);

#endif
