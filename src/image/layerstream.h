/* layerstream: a layer's bytes on their way from the image to the tar reader, hashed as
 * they pass: as stored (the blob's digest) and decompressed (the diff_id). */
#ifndef REPX_IMAGE_LAYERSTREAM_H
#define REPX_IMAGE_LAYERSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/digest.h"
#include "image/progress.h"

struct blob;
struct error;
struct layerstream;

struct layerstream_options {
    bool hash_blob; /* also compute the digest of the bytes as stored */
    const struct image_progress *progress; /* phase "extract"; may be NULL */
    uint64_t done, total; /* where this layer stands in the whole, bytes as stored */
};

/* Owns blob from now on, also on failure. NULL with err. */
struct layerstream *layerstream_new(struct blob *blob,
                                    const struct layerstream_options *options,
                                    struct error *err);
void layerstream_free(struct layerstream **ls);

/* The next decompressed bytes, borrowed until the next call; their number, 0 at the
 * end, -1 with err (damaged, unreadable, cancelled). */
ssize_t layerstream_next(struct layerstream *ls, const void **data, struct error *err);

/* Reads both streams to their ends and gives the digests; blob may be NULL. */
int layerstream_finish(struct layerstream *ls, struct digest *diff_id,
                       struct digest *blob, struct error *err);

/* Bytes as stored that were read so far. */
uint64_t layerstream_bytes(const struct layerstream *ls);

#endif
