/* layerstream: a layer's bytes on their way from the image to the tar reader, hashed as
 * they pass: as stored (the blob's digest) and decompressed (the diff_id). The reader
 * takes them in blocks; hashing goes on in strands of the pool meanwhile. */
#ifndef REPX_IMAGE_LAYERSTREAM_H
#define REPX_IMAGE_LAYERSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/digest.h"
#include "image/progress.h"

struct blob;
struct block;
struct blocks;
struct error;
struct hashmates;
struct layerstream;

/* Bytes that were read, for who looks on from another thread. */
struct layerstream_count {
    atomic_uint_fast64_t stored, plain;
};

struct layerstream_options {
    bool hash_blob; /* also compute the digest of the bytes as stored */
    bool no_hash;   /* compute none at all */
    const struct image_progress *progress; /* phase "extract"; may be NULL */
    uint64_t done, total; /* where this layer stands in the whole, bytes as stored */
    /* Of an extraction with threads, else all NULL. The caller is a long task of the
     * pool then, and progress, which knows nothing of threads, is NULL. */
    struct hashmates *mates;
    struct blocks *blocks;
    const atomic_bool *stop;         /* end at once, with ECANCELED */
    struct layerstream_count *count; /* added to */
};

/* Owns blob from now on, also on failure. NULL with err. */
struct layerstream *layerstream_new(struct blob *blob,
                                    const struct layerstream_options *options,
                                    struct error *err);
void layerstream_free(struct layerstream **ls);

/* The next decompressed bytes, full blocks but for the last one, owned by the caller.
 * 1; 0 at the end; -1 with err (damaged, unreadable, cancelled). */
int layerstream_next(struct layerstream *ls, struct block **out, struct error *err);

/* Reads both streams to their ends and gives the digests; blob may be NULL. */
int layerstream_finish(struct layerstream *ls, struct digest *diff_id,
                       struct digest *blob, struct error *err);

/* Bytes that were read so far, as stored and decompressed. */
uint64_t layerstream_bytes(const struct layerstream *ls);
uint64_t layerstream_plain_bytes(const struct layerstream *ls);

#endif
