#include "image/nameset.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/error.h"
#include "image/contentsum.h"

#define KIND_MASK ((uint64_t)3)
#define FIRST_SIZE 1024

void nameset_init(struct nameset *s)
{
    *s = (struct nameset){0};
    /* Without random bytes the address of the set has to do: only speed is at stake. */
    if (getrandom(&s->seed, sizeof(s->seed), GRND_NONBLOCK) != (ssize_t)sizeof(s->seed))
        s->seed = (uint64_t)(uintptr_t)s;
}

void nameset_release(struct nameset *s)
{
    free(s->slots);
    *s = (struct nameset){.seed = s->seed};
}

/* The slot that has this hash, or the free one where it belongs. */
static size_t find(const uint64_t *slots, size_t size, uint64_t hash)
{
    size_t i = (size_t)(hash >> 2) & (size - 1);

    while (slots[i] && (slots[i] & ~KIND_MASK) != hash)
        i = (i + 1) & (size - 1);
    return i;
}

static int grow(struct nameset *s, struct error *err)
{
    size_t size = s->size ? 2 * s->size : FIRST_SIZE, i;
    uint64_t *slots = calloc(size, sizeof(*slots));

    if (!slots)
        return error_oom(err);
    for (i = 0; i < s->size; i++)
        if (s->slots[i])
            slots[find(slots, size, s->slots[i] & ~KIND_MASK)] = s->slots[i];
    free(s->slots);
    s->slots = slots;
    s->size = size;
    return 0;
}

static uint64_t hash_of(const struct nameset *s, const char *name, size_t len)
{
    return contentsum_hash64(name, len, s->seed) & ~KIND_MASK;
}

enum nameset_kind nameset_get(const struct nameset *s, const char *name, size_t len)
{
    if (s->size == 0)
        return NAMESET_NONE;
    return (enum nameset_kind)(
        s->slots[find(s->slots, s->size, hash_of(s, name, len))] & KIND_MASK);
}

int nameset_put(struct nameset *s, const char *name, size_t len, enum nameset_kind kind,
                enum nameset_kind *before, struct error *err)
{
    uint64_t hash = hash_of(s, name, len);
    size_t i;

    if (2 * s->n >= s->size && grow(s, err) < 0)
        return -1;
    i = find(s->slots, s->size, hash);
    *before = (enum nameset_kind)(s->slots[i] & KIND_MASK);
    if (!s->slots[i])
        s->n++;
    s->slots[i] = hash | (uint64_t)kind;
    return 0;
}
