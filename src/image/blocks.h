/* blocks: pieces of a stream on their way through the threads, counted by reference and
 * bounded in number, so that a fast reader cannot fill the memory. */
#ifndef REPX_IMAGE_BLOCKS_H
#define REPX_IMAGE_BLOCKS_H

#include <stdatomic.h>
#include <stddef.h>

struct blocks;
struct error;
struct workpool;

/* A multiple of tar's 512, so that no header lies across two full ones. */
#define BLOCK_SIZE ((size_t)256 * 1024)

struct block {
    struct block *next;
    struct blocks *owner; /* NULL: of block_of_copy */
    atomic_uint refs;
    size_t len; /* bytes in data */
    char data[BLOCK_SIZE];
};

/* At most `limit` blocks at a time. pool: who frees them while block_new waits; NULL:
 * there is no limit, because nobody would. NULL with err. */
struct blocks *blocks_new(size_t limit, struct workpool *pool, struct error *err);
/* All of its blocks have been released. */
void blocks_free(struct blocks **b);

/* An empty one with one reference. Where there is a pool, only in its long tasks: waits
 * until others have released enough. NULL with err. */
struct block *block_new(struct blocks *b, struct error *err);
/* One that holds just this, outside of the count: for the little that a reader copies.
 * NULL with err. */
struct block *block_of_copy(const void *data, size_t len, struct error *err);
struct block *block_ref(struct block *b);
/* Accepts NULL. */
void block_unref(struct block *b);

#endif
