#include "image/hashstrand.h"

#include <stdlib.h>

#include "image/blocks.h"
#include "image/digest.h"
#include "unit/image/image_test.h"

#define STREAMS 5

static struct error err;

/* One stream of a layer: read in pieces of a block, hashed, compared. */
struct reader {
    struct task task;
    struct workpool *pool;
    struct blocks *blocks;
    struct hashmates *mates;
    unsigned seed;
    size_t length;
    struct digest hashed, expected;
    int rc;
    bool done; /* guarded by the pool */
};

static void set_done(void *arg)
{
    ((struct reader *)arg)->done = true;
}

static bool is_done(void *arg)
{
    return ((struct reader *)arg)->done;
}

/* Lengths that end in the middle of a block of SHA-256, and many that do not. */
static size_t piece_length(struct reader *r, size_t left)
{
    static const size_t lengths[] = {64 * 1024, 512, BLOCK_SIZE, 100, 64 * 3, 1};
    size_t n = lengths[rand_r(&r->seed) % 3 ? 0 : rand_r(&r->seed) % 6];

    return n < left ? n : left;
}

static int read_and_hash(struct reader *r, struct digest_ctx *check, struct error *e)
{
    struct hashstrand h;
    size_t left = r->length, n, i;
    int rc = hashstrand_init(&h, r->mates, e);

    while (rc == 0 && left > 0) {
        struct block *b = block_new(r->blocks, e);

        n = piece_length(r, left);
        for (i = 0; i < n; i++)
            b->data[i] = (char)(r->seed + i * i);
        b->len = n;
        rc = digest_update(check, b->data, n, e);
        if (rc == 0)
            rc = hashstrand_add(&h, b, 0, n / 2, e);
        if (rc == 0)
            rc = hashstrand_add(&h, b, n / 2, n - n / 2, e);
        block_unref(b);
        left -= n;
    }
    if (rc == 0)
        rc = hashstrand_finish(&h, &r->hashed, e);
    hashstrand_drain(&h);
    hashstrand_release(&h);
    return rc;
}

static void read_stream(struct task *t)
{
    struct reader *r = (struct reader *)t;
    struct error e = ERROR_INIT;
    struct digest_ctx *check = digest_new(&e);

    r->rc = read_and_hash(r, check, &e);
    if (r->rc == 0)
        r->rc = digest_final(check, &r->expected, &e);
    digest_free(&check);
    workpool_change(r->pool, set_done, r);
}

static void with_threads(unsigned threads, unsigned seed)
{
    static const size_t lengths[STREAMS] = {3 << 20, 5 << 20, 0, 700001, 64};
    struct workpool *pool = workpool_new(threads, &err);
    struct blocks *blocks = blocks_new(32 * threads, pool, &err);
    struct hashmates *mates = hashmates_new(pool, &err);
    struct reader readers[STREAMS];
    size_t i;

    assert_non_null(mates);
    for (i = 0; i < STREAMS; i++) {
        readers[i] = (struct reader){.task.run = read_stream,
                                     .pool = pool,
                                     .blocks = blocks,
                                     .mates = mates,
                                     .seed = seed + (unsigned)i,
                                     .length = lengths[i]};
        workpool_push_long(pool, &readers[i].task);
    }
    for (i = 0; i < STREAMS; i++) {
        while (!workpool_watch(pool, is_done, &readers[i], 1000))
            continue;
        assert_int_equal(readers[i].rc, 0);
        assert_string_equal(readers[i].hashed.hex, readers[i].expected.hex);
    }
    workpool_free(&pool);
    hashmates_free(&mates);
    assert_null(mates);
    blocks_free(&blocks);
}

static void streams_do_not_mix(void **state)
{
    unsigned threads, seed;

    (void)state;
    for (threads = 1; threads <= 4; threads++)
        for (seed = 0; seed < 8; seed++)
            with_threads(threads, 100 * threads + 10 * seed);
}

static void without_a_pool_at_once(void **state)
{
    struct block *b = block_of_copy("abc", 3, &err);
    struct hashstrand h;
    struct digest d, expected;

    (void)state;
    assert_ok(hashstrand_init(&h, NULL, &err));
    assert_ok(hashstrand_add(&h, b, 1, 2, &err));
    block_unref(b);
    assert_ok(hashstrand_finish(&h, &d, &err));
    assert_ok(digest_of("bc", 2, &expected, &err));
    assert_string_equal(d.hex, expected.hex);
    hashstrand_release(&h);
    hashmates_free(&(struct hashmates *){NULL});
}

static void nothing_to_release(void **state)
{
    struct hashstrand h = {0};

    (void)state;
    hashstrand_drain(&h);
    hashstrand_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_do_not_mix),
        cmocka_unit_test(without_a_pool_at_once),
        cmocka_unit_test(nothing_to_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
