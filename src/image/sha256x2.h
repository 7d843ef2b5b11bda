/* sha256x2: SHA-256's compression function (FIPS 180-4, 6.2.2) for two streams at once.
 * A processor with SHA instructions waits most of a stream's time for its own last
 * round; the other stream's rounds fit in between: 1.8 times the bytes of one after the
 * other. libcrypto has this only inside its TLS ciphers. */
#ifndef REPX_IMAGE_SHA256X2_H
#define REPX_IMAGE_SHA256X2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256X2_BLOCK ((size_t)64)

/* Whether this processor can. */
bool sha256x2_usable(void);

/* `blocks` blocks of each; state: the eight words between two blocks. Only where it is
 * usable. */
void sha256x2(uint32_t state[2][8], const unsigned char *const data[2], size_t blocks);

#endif
