/* labpages: a large, read-only file of which a launch needs little: bytes in pages of
 * 4 KiB, each with a checksum that is compared when the page is read, so that damage is
 * found where it matters and costs nothing elsewhere. Read with pread, not mapped: a
 * file that is cut short, or a disk that fails, is an error and no signal. Private to
 * lab/.
 */
#ifndef REPX_LAB_LABPAGES_H
#define REPX_LAB_LABPAGES_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;

enum {
    LABPAGES_SIZE = 4096,
    LABPAGES_DATA = LABPAGES_SIZE - 8, /* the checksum is at the end */
    LABPAGES_CACHED = 256, /* memory is used for those that were read only */
};

/* A checksum of len bytes. Any change of one 64-bit word changes it for certain, other
 * damage with a probability of 1 - 2^-64. No defence against intention. */
uint64_t labpages_checksum(const void *data, size_t len, uint64_t salt);

/* The file of `data`. salt: a random number that the reader has to know, so that pages
 * of another file are not taken for this one's. */
void labpages_write(const struct buf *data, uint64_t salt, struct buf *file);

struct labpages {
    int fd;        /* borrowed */
    uint64_t size; /* bytes of data */
    uint64_t salt;
    uint64_t number[LABPAGES_CACHED]; /* page number plus one; 0: empty */
    unsigned char pages[LABPAGES_CACHED][LABPAGES_SIZE];
};

void labpages_init(struct labpages *p, int fd, uint64_t size, uint64_t salt);
/* Copies len bytes from offset. Beyond the end, or a damaged page, is an error. */
int labpages_read(struct labpages *p, uint64_t offset, void *out, size_t len,
                  struct error *err);

/* The same where it is, until the next call; copied to room, which holds len bytes,
 * when it lies in two pages. NULL with err. */
const unsigned char *labpages_view(struct labpages *p, uint64_t offset, size_t len,
                                   void *room, struct error *err);

/* Little-endian numbers in tables. */
uint64_t labpages_get(const unsigned char *p, size_t bytes);
void labpages_put(struct buf *out, uint64_t v, size_t bytes);

#endif
