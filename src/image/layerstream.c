#include "image/layerstream.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/blocks.h"
#include "image/decoder.h"
#include "image/hashstrand.h"
#include "image/source.h"

/* Stored bytes are not needed in cache-sized pieces: a decoder shrinks what it reads.
 */
#define STORED_READ ((size_t)64 * 1024)

struct layerstream {
    struct blob *blob;
    struct layerstream_options options;
    struct blocks *own; /* where the caller has none */
    struct blocks *blocks;
    struct hashstrand diff, stored;
    bool has_diff, has_stored;
    struct decoder *decoder; /* NULL: not compressed */
    struct block *in;        /* stored bytes for the decoder */
    size_t in_from;          /* where in them it is */
    uint64_t stored_bytes, plain_bytes;
    bool stored_end, plain_end;
};

static int check_stop(const struct layerstream *ls, struct error *err)
{
    if (ls->options.stop &&
        atomic_load_explicit(ls->options.stop, memory_order_relaxed))
        return progress_cancelled(err);
    return progress_check(ls->options.progress, err);
}

/* Appends stored bytes to the block, up to `most`, and hashes them. 0 at the end. */
static ssize_t read_stored(struct layerstream *ls, struct block *b, size_t most,
                           struct error *err)
{
    const struct layerstream_options *o = &ls->options;
    size_t from = b->len, room = BLOCK_SIZE - from;
    ssize_t n;

    if (check_stop(ls, err) < 0)
        return -1;
    if (ls->stored_end)
        return 0;
    n = blob_read(ls->blob, b->data + from, most < room ? most : room, err);
    if (n < 0)
        return -1;
    if (n == 0)
        ls->stored_end = true;
    b->len += (size_t)n;
    ls->stored_bytes += (uint64_t)n;
    if (o->count)
        atomic_fetch_add_explicit(&o->count->stored, (uint_fast64_t)n,
                                  memory_order_relaxed);
    progress_update(o->progress, "extract", o->done + ls->stored_bytes, o->total);
    if (n > 0 && ls->has_stored &&
        hashstrand_add(&ls->stored, b, from, (size_t)n, err) < 0)
        return -1;
    return n;
}

/* The first bytes say how it is compressed. A plain stream's are its first block. */
static int begin(struct layerstream *ls, struct error *err)
{
    enum decoder_kind kind;
    ssize_t n = 1;

    ls->in = block_new(ls->blocks, err);
    if (!ls->in)
        return -1;
    while (n > 0 && ls->in->len < DECODER_MAGIC_LEN) {
        n = read_stored(ls, ls->in, STORED_READ, err);
        if (n < 0)
            return -1;
    }
    kind = decoder_kind_of(ls->in->data, ls->in->len);
    if (kind == DECODER_NONE)
        return 0;
    ls->decoder = decoder_new(kind, err);
    return ls->decoder ? 0 : -1;
}

static int init(struct layerstream *ls, struct error *err)
{
    struct hashmates *mates = ls->options.mates;

    ls->blocks = ls->options.blocks;
    if (!ls->blocks) {
        ls->own = blocks_new(0, NULL, err);
        ls->blocks = ls->own;
        if (!ls->own)
            return -1;
    }
    ls->has_diff = !ls->options.no_hash;
    ls->has_stored = ls->options.hash_blob;
    if (ls->has_diff && hashstrand_init(&ls->diff, mates, err) < 0)
        return -1;
    if (ls->has_stored && hashstrand_init(&ls->stored, mates, err) < 0)
        return -1;
    return begin(ls, err);
}

struct layerstream *layerstream_new(struct blob *blob,
                                    const struct layerstream_options *options,
                                    struct error *err)
{
    _cleanup_(layerstream_free) struct layerstream *ls = calloc(1, sizeof(*ls));

    if (!ls) {
        blob_free(&blob);
        error_oom(err);
        return NULL;
    }
    ls->blob = blob;
    ls->options = *options;
    if (init(ls, err) < 0)
        return NULL;
    return steal_ptr(ls);
}

void layerstream_free(struct layerstream **stream)
{
    struct layerstream *ls = *stream;

    if (!ls)
        return;
    hashstrand_drain(&ls->diff);
    hashstrand_drain(&ls->stored);
    hashstrand_release(&ls->diff);
    hashstrand_release(&ls->stored);
    decoder_free(&ls->decoder);
    block_unref(ls->in);
    blob_free(&ls->blob);
    blocks_free(&ls->own);
    free(ls);
    *stream = NULL;
}

static int fill_plain(struct layerstream *ls, struct block **out, struct error *err)
{
    struct block *b = ls->in ? steal_ptr(ls->in) : block_new(ls->blocks, err);
    ssize_t n = 1;

    if (!b)
        return -1;
    while (n > 0 && b->len < BLOCK_SIZE)
        n = read_stored(ls, b, BLOCK_SIZE, err);
    *out = b;
    return n < 0 ? -1 : 0;
}

/* More stored bytes behind those that the decoder has left, which move to the front of
 * a fresh block: the old one may still be hashed. */
static int refill(struct layerstream *ls, struct error *err)
{
    size_t left = ls->in->len - ls->in_from;
    struct block *b;

    if (BLOCK_SIZE - ls->in->len < STORED_READ) {
        b = block_new(ls->blocks, err);
        if (!b)
            return -1;
        memcpy(b->data, ls->in->data + ls->in_from, left);
        b->len = left;
        block_unref(ls->in);
        ls->in = b;
        ls->in_from = 0;
    }
    return read_stored(ls, ls->in, STORED_READ, err) < 0 ? -1 : 0;
}

/* One call of the decoder; reads on when it took nothing that was there. */
static int decode(struct layerstream *ls, struct block *b, struct error *err)
{
    struct decoder_io io = {
        .in = (unsigned char *)ls->in->data + ls->in_from,
        .in_len = ls->in->len - ls->in_from,
        .in_end = ls->stored_end,
        .out = (unsigned char *)b->data + b->len,
        .out_len = BLOCK_SIZE - b->len,
    };
    size_t in_len = io.in_len;
    int rc = decoder_run(ls->decoder, &io, err);

    if (rc < 0)
        return -1;
    ls->in_from = ls->in->len - io.in_len;
    b->len = BLOCK_SIZE - io.out_len;
    if (rc == 1) {
        ls->plain_end = true;
        return 0;
    }
    if (io.out_len == 0 || (io.in_len > 0 && io.in_len != in_len))
        return 0;
    return ls->stored_end ? 0 : refill(ls, err);
}

static int fill_decoded(struct layerstream *ls, struct block **out, struct error *err)
{
    struct block *b = block_new(ls->blocks, err);
    int rc = 0;

    if (!b)
        return -1;
    while (rc == 0 && !ls->plain_end && b->len < BLOCK_SIZE) {
        rc = check_stop(ls, err);
        if (rc == 0)
            rc = decode(ls, b, err);
    }
    *out = b;
    return rc;
}

int layerstream_next(struct layerstream *ls, struct block **out, struct error *err)
{
    struct block *b = NULL;
    int rc;

    if (ls->plain_end)
        return 0;
    rc = ls->decoder ? fill_decoded(ls, &b, err) : fill_plain(ls, &b, err);
    if (rc == 0 && b->len < BLOCK_SIZE)
        ls->plain_end = true;
    if (rc == 0 && b->len > 0 && ls->has_diff)
        rc = hashstrand_add(&ls->diff, b, 0, b->len, err);
    if (rc < 0 || b->len == 0) {
        block_unref(b);
        return rc;
    }
    ls->plain_bytes += b->len;
    if (ls->options.count)
        atomic_fetch_add_explicit(&ls->options.count->plain, b->len,
                                  memory_order_relaxed);
    *out = b;
    return 1;
}

/* What stands behind the compressed stream belongs to the blob's digest too. */
static int read_rest(struct layerstream *ls, struct error *err)
{
    ssize_t n = 1;

    while (n > 0) {
        struct block *b = block_new(ls->blocks, err);

        if (!b)
            return -1;
        n = read_stored(ls, b, BLOCK_SIZE, err);
        block_unref(b);
    }
    return n < 0 ? -1 : 0;
}

int layerstream_finish(struct layerstream *ls, struct digest *diff_id,
                       struct digest *blob, struct error *err)
{
    struct block *b;
    int rc;

    while ((rc = layerstream_next(ls, &b, err)) > 0)
        block_unref(b);
    if (rc < 0 || read_rest(ls, err) < 0)
        return -1;
    if (ls->has_diff && hashstrand_finish(&ls->diff, diff_id, err) < 0)
        return -1;
    return blob && ls->has_stored ? hashstrand_finish(&ls->stored, blob, err) : 0;
}

uint64_t layerstream_bytes(const struct layerstream *ls)
{
    return ls->stored_bytes;
}

uint64_t layerstream_plain_bytes(const struct layerstream *ls)
{
    return ls->plain_bytes;
}
