/* digest: SHA-256 as "sha256:<64 hex>", streaming. Owner of OpenSSL's header. */
#ifndef REPX_IMAGE_DIGEST_H
#define REPX_IMAGE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>

struct error;

#define DIGEST_HEX_LEN 64

struct digest {
    char hex[DIGEST_HEX_LEN + 1]; /* lower case; "" when not set */
};

struct digest_ctx; /* owned by the caller through digest_new/digest_free */

struct digest_ctx *digest_new(struct error *err);
void digest_free(struct digest_ctx **ctx);
int digest_update(struct digest_ctx *ctx, const void *data, size_t len,
                  struct error *err);
/* The same, `len` bytes for each of two, side by side where the processor gains from
 * it. */
int digest_update_two(struct digest_ctx *a, const void *data_a, struct digest_ctx *b,
                      const void *data_b, size_t len, struct error *err);
/* Whether it does. */
bool digest_gains_from_two(void);
int digest_final(struct digest_ctx *ctx, struct digest *out, struct error *err);

int digest_of(const void *data, size_t len, struct digest *out, struct error *err);

/* From the file's current position to its end. */
int digest_of_fd(int fd, struct digest *out, struct error *err);

/* "sha256:<hex>"; other algorithms and malformed text are refused. */
bool digest_parse(const char *text, struct digest *out);
bool digest_equal(const struct digest *a, const struct digest *b);

/* OCI image-spec, "Layer ChainID": sha256 of "<chain> <diff_id>" over the layers; the
 * first chain is the first diff_id. */
int digest_chain(const struct digest *diff_ids, size_t n, struct digest *out,
                 struct error *err);

#endif
