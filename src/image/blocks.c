#include "image/blocks.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "sys/workpool.h"

struct blocks {
    pthread_mutex_t mutex;
    struct workpool *pool;
    struct block *unused; /* kept: fresh memory would cost a page fault for each page */
    size_t made, limit;
};

struct blocks *blocks_new(size_t limit, struct workpool *pool, struct error *err)
{
    struct blocks *b = calloc(1, sizeof(*b));

    if (!b) {
        error_oom(err);
        return NULL;
    }
    pthread_mutex_init(&b->mutex, NULL);
    b->pool = pool;
    b->limit = limit;
    return b;
}

void blocks_free(struct blocks **blocks)
{
    struct blocks *b = *blocks;

    if (!b)
        return;
    while (b->unused) {
        struct block *next = b->unused->next;

        free(b->unused);
        b->unused = next;
    }
    pthread_mutex_destroy(&b->mutex);
    free(b);
    *blocks = NULL;
}

struct request {
    struct blocks *blocks;
    struct block *block;
    bool make; /* none is unused, and one more may be made */
};

static bool take(void *arg)
{
    struct request *r = arg;
    struct blocks *b = r->blocks;

    pthread_mutex_lock(&b->mutex);
    r->block = b->unused;
    if (r->block) {
        b->unused = r->block->next;
    } else if (!b->pool || b->made < b->limit) {
        b->made++;
        r->make = true;
    }
    pthread_mutex_unlock(&b->mutex);
    return r->block || r->make;
}

struct block *block_new(struct blocks *b, struct error *err)
{
    struct request r = {.blocks = b};

    if (!take(&r))
        workpool_wait(b->pool, take, &r);
    if (r.make) {
        r.block = malloc(sizeof(*r.block));
        if (!r.block) {
            error_oom(err);
            return NULL;
        }
        r.block->owner = b;
    }
    r.block->next = NULL;
    r.block->len = 0;
    atomic_init(&r.block->refs, 1);
    return r.block;
}

struct block *block_of_copy(const void *data, size_t len, struct error *err)
{
    struct block *b = malloc(offsetof(struct block, data) + len);

    if (!b) {
        error_oom(err);
        return NULL;
    }
    b->next = NULL;
    b->owner = NULL;
    b->len = len;
    atomic_init(&b->refs, 1);
    memcpy(b->data, data, len);
    return b;
}

struct block *block_ref(struct block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void block_unref(struct block *b)
{
    struct blocks *owner;

    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    owner = b->owner;
    if (!owner) {
        free(b);
        return;
    }
    pthread_mutex_lock(&owner->mutex);
    b->next = owner->unused;
    owner->unused = b;
    pthread_mutex_unlock(&owner->mutex);
}
