#include "image/contentsum.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/error.h"

#define CHUNK ((size_t)1024 * 1024)
#define READ_SIZE ((size_t)256 * 1024)

static const char zeros[64 * 1024];

struct contentsum_ctx {
    XXH3_state_t *chunk, *top;
    size_t in_chunk;
    uint64_t chunks;               /* in top */
    XXH128_canonical_t zero_chunk; /* made when it is needed, as few contents need it */
    bool have_zero_chunk;
    char *data; /* contentsum_of_fd's, made when it is needed */
};

struct contentsum_ctx *contentsum_new(struct error *err)
{
    struct contentsum_ctx *c = calloc(1, sizeof(*c));

    if (c) {
        c->chunk = XXH3_createState();
        c->top = XXH3_createState();
    }
    if (!c || !c->chunk || !c->top) {
        contentsum_free(&c);
        error_oom(err);
        return NULL;
    }
    contentsum_begin(c);
    return c;
}

void contentsum_free(struct contentsum_ctx **c)
{
    if (!*c)
        return;
    XXH3_freeState((*c)->chunk);
    XXH3_freeState((*c)->top);
    free((*c)->data);
    free(*c);
    *c = NULL;
}

void contentsum_begin(struct contentsum_ctx *c)
{
    XXH3_128bits_reset(c->chunk);
    c->in_chunk = 0;
    c->chunks = 0;
}

static void add_to_top(struct contentsum_ctx *c, const XXH128_canonical_t *sum)
{
    if (c->chunks == 0)
        XXH3_128bits_reset(c->top);
    XXH3_128bits_update(c->top, sum, sizeof(*sum));
    c->chunks++;
}

/* The chunk is complete, and more follows or the content has ended. */
static void end_chunk(struct contentsum_ctx *c)
{
    XXH128_canonical_t sum;

    XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(c->chunk));
    add_to_top(c, &sum);
    XXH3_128bits_reset(c->chunk);
    c->in_chunk = 0;
}

void contentsum_update(struct contentsum_ctx *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        size_t n;

        if (c->in_chunk == CHUNK)
            end_chunk(c);
        n = CHUNK - c->in_chunk;
        n = n < len ? n : len;
        XXH3_128bits_update(c->chunk, p, n);
        c->in_chunk += n;
        p += n;
        len -= n;
    }
}

/* Between two chunks. */
static const XXH128_canonical_t *zero_chunk(struct contentsum_ctx *c)
{
    if (!c->have_zero_chunk) {
        for (size_t i = 0; i < CHUNK / sizeof(zeros); i++)
            XXH3_128bits_update(c->chunk, zeros, sizeof(zeros));
        XXH128_canonicalFromHash(&c->zero_chunk, XXH3_128bits_digest(c->chunk));
        XXH3_128bits_reset(c->chunk);
        c->have_zero_chunk = true;
    }
    return &c->zero_chunk;
}

void contentsum_zeros(struct contentsum_ctx *c, uint64_t len)
{
    while (len > 0) {
        size_t n;

        if (c->in_chunk == CHUNK)
            end_chunk(c);
        /* Whole chunks of zeros, but not the last one, which may yet turn out to be
         * the only one. */
        while (c->in_chunk == 0 && len > CHUNK) {
            add_to_top(c, zero_chunk(c));
            len -= CHUNK;
        }
        n = CHUNK - c->in_chunk;
        n = n < sizeof(zeros) ? n : sizeof(zeros);
        n = n < len ? n : (size_t)len;
        XXH3_128bits_update(c->chunk, zeros, n);
        c->in_chunk += n;
        len -= n;
    }
}

void contentsum_final(struct contentsum_ctx *c, char *out)
{
    static const char hex[] = "0123456789abcdef";
    XXH128_canonical_t sum;
    size_t i;

    if (c->chunks > 0)
        end_chunk(c);
    XXH128_canonicalFromHash(&sum,
                             XXH3_128bits_digest(c->chunks > 0 ? c->top : c->chunk));
    for (i = 0; i < sizeof(sum.digest); i++) {
        out[2 * i] = hex[sum.digest[i] >> 4];
        out[2 * i + 1] = hex[sum.digest[i] & 15];
    }
    out[CONTENTSUM_HEX_LEN] = '\0';
    contentsum_begin(c);
}

/* Where the next data begins; the end of the file when only a hole is left. A file
 * system that does not know its holes has none. */
static off_t next_data(int fd, off_t at)
{
    off_t data = lseek(fd, at, SEEK_DATA), end;

    if (data >= at)
        return data;
    if (errno != ENXIO)
        return at;
    end = lseek(fd, 0, SEEK_END);
    return end > at ? end : at;
}

int contentsum_of_fd(struct contentsum_ctx *c, int fd, char *out, uint64_t *bytes,
                     struct error *err)
{
    off_t at = 0, data = 0;

    if (!c->data)
        c->data = malloc(READ_SIZE);
    if (!c->data)
        return error_oom(err);
    contentsum_begin(c);
    for (;;) {
        ssize_t n = pread(fd, c->data, READ_SIZE, at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read the file to check it");
        if (n == 0)
            break;
        contentsum_update(c, c->data, (size_t)n);
        at += n;
        /* Only a large file is worth the question. */
        if ((size_t)n < READ_SIZE || at % (off_t)CHUNK != 0)
            continue;
        data = next_data(fd, at);
        contentsum_zeros(c, (uint64_t)(data - at));
        at = data;
    }
    if (bytes)
        *bytes = (uint64_t)at;
    contentsum_final(c, out);
    return 0;
}

uint64_t contentsum_hash64(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}
