/* contentsum: the checksum of a file's content that the store keeps, against bit rot
 * and careless changes; authenticity is the layer's SHA-256. XXH3-128, 32 hexadecimal
 * digits. Owner of xxhash's header.
 *
 * A content of more than 1 MiB is summed as the XXH3-128 of the canonical (big-endian)
 * XXH3-128 of each of its MiB, so that a hole costs nothing, however large: in the tar
 * that brings it, and on the disk when it is checked. Holes count as zeros, so a copy
 * that fills them has the same sum. */
#ifndef REPX_IMAGE_CONTENTSUM_H
#define REPX_IMAGE_CONTENTSUM_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define CONTENTSUM_HEX_LEN 32

struct contentsum_ctx;

/* NULL with err. One context serves one content after the other. */
struct contentsum_ctx *contentsum_new(struct error *err);
/* Accepts a pointer to NULL. */
void contentsum_free(struct contentsum_ctx **c);

void contentsum_begin(struct contentsum_ctx *c);
void contentsum_update(struct contentsum_ctx *c, const void *data, size_t len);
void contentsum_zeros(struct contentsum_ctx *c, uint64_t len);
/* out has CONTENTSUM_HEX_LEN + 1 bytes. */
void contentsum_final(struct contentsum_ctx *c, char *out);

/* From the start of a regular file to its end; *bytes (may be NULL): how many it has.
 */
int contentsum_of_fd(struct contentsum_ctx *c, int fd, char *out, uint64_t *bytes,
                     struct error *err);

/* XXH3-64 with a seed, for tables in memory. */
uint64_t contentsum_hash64(const void *data, size_t len, uint64_t seed);

#endif
