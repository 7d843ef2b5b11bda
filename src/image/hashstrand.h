/* hashstrand: the SHA-256 of a stream whose blocks somebody else reads: computed in
 * their order, in a strand of the pool, or at once where there is none. */
#ifndef REPX_IMAGE_HASHSTRAND_H
#define REPX_IMAGE_HASHSTRAND_H

#include "base/error.h"
#include "image/digest.h"
#include "sys/workpool.h"

struct block;

struct hashstrand {
    struct strand strand;
    struct digest_ctx *hash;
    struct error failure; /* the first one */
};

/* pool may be NULL. */
int hashstrand_init(struct hashstrand *h, struct workpool *pool, struct error *err);
/* Nothing may be on its way (hashstrand_finish, hashstrand_drain). */
void hashstrand_release(struct hashstrand *h);

/* The next `len` bytes, at `from` in the block, to which it takes a reference. */
int hashstrand_add(struct hashstrand *h, struct block *b, size_t from, size_t len,
                   struct error *err);
/* Waits for all of them. */
void hashstrand_drain(struct hashstrand *h);
int hashstrand_finish(struct hashstrand *h, struct digest *out, struct error *err);

#endif
