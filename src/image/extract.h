/* extract: layers on their way from the image into directories, several at a time and
 * each by several threads: one reads (decompresses, parses, makes directories and
 * links), the others hash the stream and make the files. The threads are as many as
 * this process may use processors (sys/cpus), their memory is bounded.
 *
 * The caller stays in one thread: it starts layers, and extract_wait tells it of each
 * that is done, calls its progress hooks and notices that it shall stop. */
#ifndef REPX_IMAGE_EXTRACT_H
#define REPX_IMAGE_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/digest.h"
#include "image/progress.h"
#include "sys/workpool.h"

struct blob;
struct extract;

/* One layer; owned by the caller and not touched by it between extract_start and the
 * return of extract_wait that names it, or extract_free. */
struct extract_layer {
    struct task task;
    struct extract *extract;
    struct extract_layer *next;
    void *caller; /* for the caller's own use */
    /* set by the caller */
    struct blob *blob; /* taken over by extract_start */
    bool hash_blob;
    bool for_everybody; /* treewriter.h */
    int dirfd;          /* gets the tree, the notes and the sums; borrowed */
    const char *tree;   /* name of the tree in it */
    /* set when it is done */
    bool failed;
    struct error failure;
    struct digest diff_id;
    struct digest blob_digest;                       /* with hash_blob */
    struct digest sums, notes;                       /* of these files */
    uint64_t bytes, stored, plain, entries, skipped; /* bytes: of its files */
};

struct extract_options {
    const struct image_progress *progress; /* phase "extract"; may be NULL */
    uint64_t total;                        /* bytes as stored, of all layers */
    /* Asked now and then, with the bytes that came out so far: not 0, with err, when
     * they have become too many. May be NULL. */
    int (*watch)(void *arg, uint64_t plain, struct error *err);
    void *arg;
};

struct extract *extract_new(const struct extract_options *options, struct error *err);
/* Stops what is under way, and joins the threads. What was extracted of a layer that
 * was not done is the caller's to remove. */
void extract_free(struct extract **x);

/* How many layers keep the threads busy. */
size_t extract_ahead(const struct extract *x);

/* Begins with a layer. */
void extract_start(struct extract *x, struct extract_layer *l);

/* The next layer that is done, failed or not; there must be one under way. NULL with
 * err when it was told to stop (ECANCELED, or what watch said). */
struct extract_layer *extract_wait(struct extract *x, struct error *err);

/* Bytes as stored that were read so far. */
uint64_t extract_stored(const struct extract *x);

#endif
