/* store_private: the parts of the store among themselves. */
#ifndef REPX_IMAGE_STORE_PRIVATE_H
#define REPX_IMAGE_STORE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/image.h"
#include "image/progress.h"
#include "image/store.h"
#include "image/store_tmp.h"
#include "sys/lockfile.h"

struct extract;
struct extract_layer;
struct source;
struct strv;
struct treesum_options;

#define STORE_NAME "store-v1"
#define STORE_RECORD "record.json"
#define STORE_USED "used"
#define STORE_TREE "tree"
#define STORE_ROOT "root"

/* ---- store ---- */
/* Opens or makes the parts of the store at s->fd and removes leftovers in tmp/. */
int store_open_parts(struct store *s, mode_t mode, struct error *err);

/* ---- prepare ---- */
struct store_work;
/* 0: the tree is in s, counts in this boot, and out is filled; 1: not; -1. */
int store_find(struct store *s, const struct digest *id, struct image_rootfs *out,
               struct error *err);

/* ---- store_shared ---- */
/* The tree in the site's store, with its lock in out: 0; 1 when it is not there or not
 * free at once. Never fails: the user's own store is always the other way. */
int store_site_find(struct store *s, const struct digest *id, struct image_rootfs *out);
/* Makes the lock file through which users hold an image of the site's store. */
int store_shared_offer(struct store *s, const struct digest *id, struct error *err);

/* ---- store_work: one image_prepare under way ---- */
struct store_work {
    struct store *store;
    struct image *image;
    const struct image_progress *user; /* may be NULL */
    struct image_progress progress;    /* handed down: notes for waiters, then user */
    struct lockfile lock;              /* of the root filesystem or ref */
    struct lockfile *layer_locks;      /* of the layers under way; not held: fd -1 */
    size_t n_layer_locks;
    struct extract *extract; /* the threads, NULL when there is nothing for them */
    uint64_t done, total;    /* bytes as stored */
    uint64_t needed;         /* estimate of the bytes to be written */
    uint64_t published;      /* of them, in layers that are in the store now */
    bool wrote;              /* a layer was extracted */
    uint64_t last_note;      /* monotonic ns */
    uint64_t waited_ns;
};

void store_work_init(struct store_work *w, struct store *store, struct image *image,
                     const struct image_progress *progress);
/* Takes a lock of locks/, waiting for it as long as its holder lives; tells who holds
 * it. */
int store_work_lock(struct store_work *w, struct lockfile *l, const char *name,
                    bool exclusive, struct error *err);

/* The same without waiting, exclusively: 0 held, 1 somebody has it, -1. */
int store_work_try(struct store_work *w, struct lockfile *l, const char *name,
                   struct error *err);

/* ---- store_record ---- */
struct store_layer_record {
    uint64_t bytes; /* of its files */
    uint64_t stored, entries, skipped;
    struct digest sums;  /* of its treesum file */
    struct digest notes; /* of its notes */
};
int store_record_write_layer(int dirfd, const struct digest *id, const char *image,
                             const struct store_layer_record *r, struct error *err);
/* 0: complete and to be trusted; 1: absent or incomplete; 2: another boot made it, and
 * it has to be confirmed; -1. */
int store_record_check_layer(struct store *s, const struct digest *id,
                             struct store_layer_record *r, struct error *err);
/* Is there an entry for the root filesystem? A quick look, not a promise. */
bool store_has(struct store *s, const struct digest *id);
/* Does the record of a root filesystem name the layer? 1, 0, -1. */
int store_record_names_layer(struct store *s, const char *hex, struct error *err);
/* The same, leaving out the root filesystems that skip says yes to. */
int store_record_names_layer_but(struct store *s, const char *hex,
                                 bool (*skip)(void *arg, const char *rootfs), void *arg,
                                 struct error *err);
/* The same without the question which boot made it; dirfd: of the layer. */
int store_record_read_layer(int dirfd, const struct digest *id,
                            struct store_layer_record *r);
/* sums: of the composed tree; NULL: it is left as layers. */
int store_record_write_rootfs(int dirfd, const struct image *img, uint64_t bytes,
                              const struct digest *sums, struct error *err);
/* The digest of a root filesystem's treesum file; "" when there is none. True: it is
 * left as layers and has none. */
bool store_record_sums(int dirfd, struct digest *out);
/* Fills name, bytes, layers, created; 1 when there is no usable record. */
int store_record_read_rootfs(int dirfd, struct store_entry *e, struct error *err);
/* Appends the diff_ids of its layers. */
int store_record_layers(int dirfd, struct strv *out, struct error *err);

/* The threads, started when they are needed first. NULL with err. */
struct extract *store_work_extract(struct store_work *w, struct error *err);
/* Stops and joins them; w->done has what they read. */
void store_work_end_extract(struct store_work *w);
void store_work_set_layer_locks(struct store_work *w, struct lockfile *locks, size_t n);

/* ---- store_layers ---- */
/* So many layers are under way at a time. */
#define STORE_LAYERS_AHEAD 24
/* Makes sure of the image's layers: finds them, or extracts and publishes them. locks
 * (one a layer, not held) are held shared afterwards; after an error some are.
 * extracted: by this call. */
int store_layers_ensure(struct store_work *w, struct source *src,
                        struct lockfile *locks, bool *extracted, struct error *err);

/* ---- store_layer ---- */
/* Opens a layer's file for its extraction: fills blob, hash_blob, tree. */
int store_layer_open(struct store_work *w, struct source *src, size_t index,
                     struct extract_layer *x, struct error *err);
/* What was extracted is what the image declares. */
int store_layer_check(const struct image_layer *l, const struct extract_layer *x,
                      struct error *err);
int store_layer_write_record(struct store_work *w, int dirfd,
                             const struct extract_layer *x, struct error *err);
/* Takes a layer that this call has extracted out of the store again, unless somebody
 * else uses it by now: a failed image must not fill a full disk. */
void store_layer_drop(struct store *s, const struct digest *id);
/* A rootfs tar, whose digest is learnt by reading it: extracts it, fills diff_id and
 * id, publishes it as a layer. */
int store_layer_learn(struct store_work *w, struct error *err);
/* The bytes that an extraction of the missing layers needs: exact for plain tars, times
 * three for compressed ones. *stored: the bytes to read. */
int store_layer_missing(struct store_work *w, uint64_t *stored, uint64_t *needed,
                        struct error *err);

/* ---- store_boot ---- */
/* Does the entry (a directory below layers/ or rootfs/) count in this boot? */
bool store_boot_counts(int dirfd);
/* From now on it does. dirfd was opened before its content was written, so that an
 * error of the disk is seen where this has to wait for it: on a system without a boot
 * id. */
int store_boot_mark(int dirfd, struct error *err);
/* Waits for the disk; then the entry below dirfd counts in every boot. */
int store_boot_sync(int dirfd, struct error *err);
/* The same with the layers of the image, whose locks the caller holds. */
int store_boot_sync_all(struct store *s, const struct image *img, int dirfd,
                        struct error *err);
/* What an entry has to be. */
struct store_content {
    const char *tree;           /* name of its tree */
    struct digest sums;         /* of its treesum file */
    const struct digest *notes; /* of a layer's notes; NULL: it has none */
};
/* Reads the entry below dirfd and compares it. Each problem is told by a text that the
 * callee owns. 0: there is none; 1; -1. */
int store_boot_check(int dirfd, const struct store_content *c,
                     struct treesum_options *o, void (*problem)(void *arg, char *text),
                     void *arg, struct error *err);
/* Reads a layer, or a composed tree, that another boot made; the caller holds its lock
 * exclusively. 0: it is what was made, and counts from now on; 1: it is not, or not
 * there; -1. */
int store_boot_confirm_layer(struct store *s, const struct digest *id,
                             const struct image_progress *progress, struct error *err);
int store_boot_confirm_rootfs(struct store *s, const struct digest *id,
                              const struct image_progress *progress, struct error *err);

/* ---- store_evict ---- */
/* store_prune that spares the layers of an image that is being prepared (may be NULL).
 */
int store_evict(struct store *s, const struct store_prune *goal,
                const struct image *keep, struct store_pruned *out, struct error *err);
/* Tries locks/<kind>-<hex>.<suffix> exclusively: 0 held, 1 somebody else holds it, -1.
 */
int store_lock_entry(struct store *s, const char *kind, const char *hex,
                     const char *suffix, struct lockfile *l, struct error *err);
/* Takes layers/<hex> or rootfs/<hex> (dirfd) out of sight, into t; the caller holds its
 * exclusive lock, may then release it, and removes the tree with store_tmp_discard. */
int store_take_out(struct store *s, int dirfd, const char *hex, struct store_tmp *t,
                   struct error *err);

/* ---- store_leftovers ---- */
/* Lock files and refs of what is no longer there; the caller holds evict.lock. Adds
 * their number to *removed. */
int store_leftovers_remove(struct store *s, uint64_t *removed, struct error *err);

/* ---- store_space ---- */
/* Sees to it that `needed` more bytes fit into the limits and the file system, by
 * evicting what is not in use; an error with the numbers when they do not. */
int store_space_make(struct store *s, const struct image *keep, uint64_t needed,
                     struct error *err);
/* The same in the middle of an extraction that has written more than was expected. */
int store_space_more(struct store *s, const struct image *keep, uint64_t written,
                     uint64_t more, struct error *err);
/* The disk was full although store_space_make was content: makes room for about
 * `needed` bytes. 1: something was removed, 0: nothing could be. */
int store_space_rescue(struct store *s, uint64_t needed);
int store_space_free(struct store *s, uint64_t *bytes, uint64_t *inodes);
/* Adds the numbers to an error that says the disk is full; returns -1. */
int store_space_explain(struct store *s, uint64_t needed, struct error *err);

#endif
