#include "image/hashstrand.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "image/blocks.h"
#include "image/digest.h"

/* Pieces that wait for a mate: half of a thread's share of the blocks. */
#define ALONE_MAX 16

struct hashmates {
    struct workpool *pool;
    pthread_mutex_t mutex;   /* inside of the pool's */
    struct hashstrand *lone; /* who waits for a mate */
    unsigned alone_max;
};

struct hash_piece {
    struct hash_piece *next;
    struct block *block;
    size_t from, len;
};

struct hashmates *hashmates_new(struct workpool *pool, struct error *err)
{
    struct hashmates *m = calloc(1, sizeof(*m));

    if (!m) {
        error_oom(err);
        return NULL;
    }
    pthread_mutex_init(&m->mutex, NULL);
    m->pool = pool;
    /* One thread reads one stream at a time. */
    m->alone_max =
        digest_gains_from_two() && workpool_threads(pool) > 1 ? ALONE_MAX : 1;
    return m;
}

void hashmates_free(struct hashmates **mates)
{
    struct hashmates *m = *mates;

    if (!m)
        return;
    pthread_mutex_destroy(&m->mutex);
    free(m);
    *mates = NULL;
}

/* Enough to be hashed without a mate? */
static bool has_much(const struct hashmates *m, const struct hashstrand *h)
{
    return h->hurry || h->waiting >= m->alone_max;
}

/* Of one that has pieces and is not under way: with whom, or alone, or to wait. Returns
 * whose task is to be pushed, when the lock is released; NULL for none. */
static struct hashstrand *place(struct hashmates *m, struct hashstrand *h)
{
    if (m->lone == h)
        m->lone = NULL;
    if (!m->lone && !has_much(m, h)) {
        m->lone = h;
        h->state = HASHSTRAND_LONE;
        return NULL;
    }
    h->mate = m->lone;
    m->lone = NULL;
    h->state = HASHSTRAND_UNDER_WAY;
    if (h->mate)
        h->mate->state = HASHSTRAND_UNDER_WAY;
    return h;
}

static void unlock_and_push(struct hashmates *m, struct hashstrand *push)
{
    pthread_mutex_unlock(&m->mutex);
    if (push)
        workpool_push(m->pool, &push->task);
}

/* The first bytes of one, or as many of two. Returns their number. */
static size_t hash_heads(struct hashstrand *a, struct hashstrand *b)
{
    const struct hash_piece *p = a->head, *q = b ? b->head : NULL;
    size_t len = q && q->len < p->len ? q->len : p->len;
    const char *data = p->block->data + p->from;

    if (!q)
        digest_update(a->hash, data, len, &a->failure);
    else if (digest_update_two(a->hash, data, b->hash, q->block->data + q->from, len,
                               &a->failure) < 0)
        b->failure = a->failure;
    return len;
}

static void advance(struct hashstrand *h, size_t len)
{
    struct hash_piece *p = h->head;

    p->from += len;
    p->len -= len;
    if (p->len > 0)
        return;
    h->head = p->next;
    if (!h->head)
        h->tail = &h->head;
    h->waiting--;
    block_unref(p->block);
    free(p);
}

/* Its owner may free one that is idle as soon as the lock is released. */
static struct hashstrand *leave(struct hashmates *m, struct hashstrand *h)
{
    if (h->head)
        return place(m, h);
    h->state = HASHSTRAND_IDLE;
    return NULL;
}

/* Two until one of them has no more, one until it has no more or there is a mate: who
 * waits for an end is woken when a task has ended. */
static void run(struct task *t)
{
    struct hashstrand *a = (struct hashstrand *)t, *b = a->mate, *push, *more;
    struct hashmates *m = a->mates;
    size_t len;

    pthread_mutex_lock(&m->mutex);
    do {
        pthread_mutex_unlock(&m->mutex);
        len = hash_heads(a, b);
        pthread_mutex_lock(&m->mutex);
        advance(a, len);
        if (b)
            advance(b, len);
    } while (a->head && (b ? b->head != NULL : !m->lone && has_much(m, a)));
    /* At most one of them has more. */
    push = leave(m, a);
    more = b ? leave(m, b) : NULL;
    unlock_and_push(m, push ? push : more);
}

int hashstrand_init(struct hashstrand *h, struct hashmates *mates, struct error *err)
{
    *h = (struct hashstrand){
        .task = {NULL, run}, .mates = mates, .hash = digest_new(err)};
    h->tail = &h->head;
    return h->hash ? 0 : -1;
}

void hashstrand_release(struct hashstrand *h)
{
    digest_free(&h->hash);
}

static void append(struct hashstrand *h, struct hash_piece *p)
{
    struct hashmates *m = h->mates;

    pthread_mutex_lock(&m->mutex);
    *h->tail = p;
    h->tail = &p->next;
    h->waiting++;
    unlock_and_push(m, h->state == HASHSTRAND_UNDER_WAY ? NULL : place(m, h));
}

int hashstrand_add(struct hashstrand *h, struct block *b, size_t from, size_t len,
                   struct error *err)
{
    struct hash_piece *p;

    if (!h->mates)
        return digest_update(h->hash, b->data + from, len, err);
    p = malloc(sizeof(*p));
    if (!p)
        return error_oom(err);
    *p = (struct hash_piece){.block = block_ref(b), .from = from, .len = len};
    append(h, p);
    return 0;
}

static bool idle(void *arg)
{
    struct hashstrand *h = arg;
    bool yes;

    pthread_mutex_lock(&h->mates->mutex);
    yes = h->state == HASHSTRAND_IDLE;
    pthread_mutex_unlock(&h->mates->mutex);
    return yes;
}

void hashstrand_drain(struct hashstrand *h)
{
    struct hashmates *m = h->mates;

    if (!m)
        return;
    pthread_mutex_lock(&m->mutex);
    h->hurry = true;
    unlock_and_push(m, h->state == HASHSTRAND_LONE ? place(m, h) : NULL);
    workpool_wait(m->pool, idle, h);
}

int hashstrand_finish(struct hashstrand *h, struct digest *out, struct error *err)
{
    hashstrand_drain(h);
    if (h->failure.class != ERROR_NONE) {
        *err = h->failure;
        return -1;
    }
    return digest_final(h->hash, out, err);
}
