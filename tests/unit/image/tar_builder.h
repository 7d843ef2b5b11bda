/* tar_builder: tar streams made by hand, header by header, so that tests can also write
 * what no archiver would. */
#ifndef TEST_TAR_BUILDER_H
#define TEST_TAR_BUILDER_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"

#define TAR_MTIME 1000000

static inline void tar_pad(struct buf *tar)
{
    while (tar->len % 512)
        buf_addc(tar, '\0');
}

/* One ustar header. type: '0' file, '1' hard link, '2' symlink, '3' character device,
 * '5' directory, '6' FIFO, 'x' PAX, 'L' GNU long name. */
static inline void tar_header(struct buf *tar, const char *name, char type,
                              unsigned mode, unsigned long long size, const char *link)
{
    char h[512] = {0};
    unsigned sum = 0;
    size_t i;

    snprintf(h, 100, "%s", name);
    snprintf(h + 100, 8, "%07o", mode);
    snprintf(h + 108, 8, "%07o", 12345);
    snprintf(h + 116, 8, "%07o", 12345);
    snprintf(h + 124, 12, "%011llo", size);
    snprintf(h + 136, 12, "%011o", TAR_MTIME);
    memset(h + 148, ' ', 8);
    h[156] = type;
    if (link)
        snprintf(h + 157, 100, "%s", link);
    memcpy(h + 257, "ustar\00000", 8);
    for (i = 0; i < sizeof(h); i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    buf_add(tar, h, sizeof(h));
}

static inline void tar_data(struct buf *tar, const void *data, size_t len)
{
    buf_add(tar, data, len);
    tar_pad(tar);
}

static inline void tar_file(struct buf *tar, const char *name, unsigned mode,
                            const char *text)
{
    tar_header(tar, name, '0', mode, strlen(text), NULL);
    tar_data(tar, text, strlen(text));
}

static inline void tar_dir(struct buf *tar, const char *name, unsigned mode)
{
    tar_header(tar, name, '5', mode, 0, NULL);
}

static inline void tar_symlink(struct buf *tar, const char *name, const char *target)
{
    tar_header(tar, name, '2', 0777, 0, target);
}

static inline void tar_hardlink(struct buf *tar, const char *name, const char *target)
{
    tar_header(tar, name, '1', 0644, 0, target);
}

/* A PAX header for the entry that follows: one "key=value". */
static inline void tar_pax(struct buf *tar, const char *key, const char *value)
{
    size_t body = strlen(key) + strlen(value) + 3, len = body + 1;
    char digits[32];

    while ((size_t)snprintf(digits, sizeof(digits), "%zu", len) + body != len)
        len = (size_t)snprintf(digits, sizeof(digits), "%zu", len) + body;
    tar_header(tar, "pax", 'x', 0644, len, NULL);
    buf_addf(tar, "%zu %s=%s\n", len, key, value);
    tar_pad(tar);
}

static inline void tar_end(struct buf *tar)
{
    static const char zero[1024];

    buf_add(tar, zero, sizeof(zero));
}

#endif
