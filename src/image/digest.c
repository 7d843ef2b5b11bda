#include "image/digest.h"

/* The direct functions: EVP reads openssl.cnf and sets its providers up in each process
 * that hashes one small manifest, which costs more than a whole warm start may. They
 * are deprecated for what they cannot do (another provider), not for what they do. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/sha256x2.h"

#define DIGEST_PREFIX "sha256:"
#define READ_SIZE ((size_t)256 * 1024)

struct digest_ctx {
    SHA256_CTX sha;
};

struct digest_ctx *digest_new(struct error *err)
{
    struct digest_ctx *ctx = malloc(sizeof(*ctx));

    if (!ctx)
        error_oom(err);
    else
        SHA256_Init(&ctx->sha);
    return ctx;
}

void digest_free(struct digest_ctx **ctx)
{
    free(*ctx);
    *ctx = NULL;
}

int digest_update(struct digest_ctx *ctx, const void *data, size_t len,
                  struct error *err)
{
    if (SHA256_Update(&ctx->sha, data, len) != 1)
        return error_fail(err, "libcrypto failed to compute a SHA-256");
    return 0;
}

bool digest_gains_from_two(void)
{
    return sha256x2_usable();
}

/* Whole blocks that libcrypto has not seen: its context is between two blocks. */
static void add_blocks(struct digest_ctx *ctx, const uint32_t state[8], size_t blocks)
{
    uint64_t bits = ((uint64_t)ctx->sha.Nh << 32 | ctx->sha.Nl) +
                    (uint64_t)blocks * SHA256X2_BLOCK * 8;

    memcpy(ctx->sha.h, state, sizeof(ctx->sha.h));
    ctx->sha.Nl = (SHA_LONG)bits;
    ctx->sha.Nh = (SHA_LONG)(bits >> 32);
}

int digest_update_two(struct digest_ctx *a, const void *data_a, struct digest_ctx *b,
                      const void *data_b, size_t len, struct error *err)
{
    const unsigned char *data[2] = {data_a, data_b};
    size_t blocks = len / SHA256X2_BLOCK, done = 0;
    uint32_t state[2][8];

    if (blocks > 0 && a->sha.num == 0 && b->sha.num == 0 && sha256x2_usable()) {
        memcpy(state[0], a->sha.h, sizeof(state[0]));
        memcpy(state[1], b->sha.h, sizeof(state[1]));
        sha256x2(state, data, blocks);
        add_blocks(a, state[0], blocks);
        add_blocks(b, state[1], blocks);
        done = blocks * SHA256X2_BLOCK;
    }
    if (digest_update(a, data[0] + done, len - done, err) < 0)
        return -1;
    return digest_update(b, data[1] + done, len - done, err);
}

int digest_final(struct digest_ctx *ctx, struct digest *out, struct error *err)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    size_t i;

    if (SHA256_Final(sum, &ctx->sha) != 1)
        return error_fail(err, "libcrypto failed to compute a SHA-256");
    for (i = 0; i < sizeof(sum); i++) {
        out->hex[2 * i] = hex[sum[i] >> 4];
        out->hex[2 * i + 1] = hex[sum[i] & 15];
    }
    out->hex[DIGEST_HEX_LEN] = '\0';
    return 0;
}

int digest_of(const void *data, size_t len, struct digest *out, struct error *err)
{
    _cleanup_(digest_free) struct digest_ctx *ctx = digest_new(err);

    if (!ctx || digest_update(ctx, data, len, err) < 0)
        return -1;
    return digest_final(ctx, out, err);
}

int digest_of_fd(int fd, struct digest *out, struct error *err)
{
    _cleanup_(digest_free) struct digest_ctx *ctx = digest_new(err);
    _cleanup_free_ void *data = malloc(READ_SIZE);
    ssize_t n;

    if (!ctx)
        return -1;
    if (!data)
        return error_oom(err);
    while ((n = read(fd, data, READ_SIZE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read the file to check its digest");
        if (digest_update(ctx, data, (size_t)n, err) < 0)
            return -1;
    }
    return digest_final(ctx, out, err);
}

bool digest_parse(const char *text, struct digest *out)
{
    size_t prefix = strlen(DIGEST_PREFIX);

    if (!text || strncmp(text, DIGEST_PREFIX, prefix) != 0 ||
        !is_lower_hex(text + prefix, DIGEST_HEX_LEN))
        return false;
    memcpy(out->hex, text + prefix, DIGEST_HEX_LEN + 1);
    return true;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->hex[0] != '\0' && strcmp(a->hex, b->hex) == 0;
}

int digest_chain(const struct digest *diff_ids, size_t n, struct digest *out,
                 struct error *err)
{
    struct digest chain;
    size_t i;

    if (n == 0)
        return error_fail(err, "an image without layers has no chain id");
    chain = diff_ids[0];
    for (i = 1; i < n; i++) {
        _cleanup_buf_ struct buf text = BUF_INIT;

        buf_addf(&text, DIGEST_PREFIX "%s " DIGEST_PREFIX "%s", chain.hex,
                 diff_ids[i].hex);
        if (buf_check(&text, err) < 0 ||
            digest_of(text.data, text.len, &chain, err) < 0)
            return -1;
    }
    *out = chain;
    return 0;
}
