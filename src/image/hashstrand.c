#include "image/hashstrand.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "image/blocks.h"

struct piece {
    struct strand_item item;
    struct block *block;
    size_t from, len;
};

static bool hash_piece(struct strand *s, struct strand_item *item)
{
    struct hashstrand *h = (struct hashstrand *)s;
    struct piece *p = (struct piece *)item;

    if (h->failure.class == ERROR_NONE)
        digest_update(h->hash, p->block->data + p->from, p->len, &h->failure);
    block_unref(p->block);
    free(p);
    return true;
}

int hashstrand_init(struct hashstrand *h, struct workpool *pool, struct error *err)
{
    *h = (struct hashstrand){.hash = digest_new(err)};
    strand_init(&h->strand, pool, hash_piece);
    return h->hash ? 0 : -1;
}

void hashstrand_release(struct hashstrand *h)
{
    digest_free(&h->hash);
}

int hashstrand_add(struct hashstrand *h, struct block *b, size_t from, size_t len,
                   struct error *err)
{
    struct piece *p = malloc(sizeof(*p));

    if (!p)
        return error_oom(err);
    *p = (struct piece){.block = block_ref(b), .from = from, .len = len};
    strand_push(&h->strand, &p->item);
    return 0;
}

void hashstrand_drain(struct hashstrand *h)
{
    strand_drain(&h->strand);
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
