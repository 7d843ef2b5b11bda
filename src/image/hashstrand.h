/* hashstrand: the SHA-256 of a stream whose blocks somebody else reads: computed in
 * their order, by threads of the pool, or at once where there is none. Two streams are
 * hashed side by side where the processor gains from it: a stream with little to hash
 * waits for a mate, until there is much, or somebody waits for the end. */
#ifndef REPX_IMAGE_HASHSTRAND_H
#define REPX_IMAGE_HASHSTRAND_H

#include <stddef.h>

#include "base/error.h"
#include "sys/workpool.h"

struct block;
struct digest;
struct digest_ctx;
struct hashmates; /* the streams of one pool */
struct hash_piece;

/* NULL with err. */
struct hashmates *hashmates_new(struct workpool *pool, struct error *err);
/* The pool is gone, and every stream was released. Accepts NULL. */
void hashmates_free(struct hashmates **m);

/* All zero: nothing to release. */
struct hashstrand {
    struct task task;
    struct hashmates *mates; /* guards what follows but for hash and failure */
    struct hashstrand *mate; /* whom the task takes along */
    struct hash_piece *head, **tail;
    unsigned waiting; /* pieces */
    enum { HASHSTRAND_IDLE, HASHSTRAND_LONE, HASHSTRAND_UNDER_WAY } state;
    bool hurry; /* somebody waits for the end */
    struct digest_ctx *hash;
    struct error failure; /* the first one */
};

/* mates may be NULL. */
int hashstrand_init(struct hashstrand *h, struct hashmates *mates, struct error *err);
/* Nothing may be on its way (hashstrand_finish, hashstrand_drain). */
void hashstrand_release(struct hashstrand *h);

/* The next `len` bytes, at `from` in the block, to which it takes a reference. */
int hashstrand_add(struct hashstrand *h, struct block *b, size_t from, size_t len,
                   struct error *err);
/* Waits for all of them, in a long task of the pool. */
void hashstrand_drain(struct hashstrand *h);
int hashstrand_finish(struct hashstrand *h, struct digest *out, struct error *err);

#endif
