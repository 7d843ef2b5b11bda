/* tarstream: libarchive readers with exactly the formats and filters that images use.
 * Not archive_read_support_filter_all: some of those start external programs. */
#ifndef REPX_IMAGE_TARSTREAM_H
#define REPX_IMAGE_TARSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct archive;
struct archive_entry;
struct error;

#define TARSTREAM_BLOCK ((size_t)256 * 1024)

/* A reader of tar, with or without decompression. NULL with err. */
struct archive *tarstream_new_tar(bool filters, struct error *err);
void tarstream_free(struct archive **a);

/* Do these first bytes belong to gzip, zstd, xz or bzip2? */
bool tarstream_is_compressed(const void *magic, size_t len);
#define TARSTREAM_MAGIC_LEN 6

/* archive_read_next_header with the thread's character set made UTF-8: names in PAX
 * headers are UTF-8, libarchive converts them to the locale's, and in the C locale "é"
 * would become "?". A name that is not valid UTF-8 there is an error. 0, 1 at the end,
 * -1. */
int tarstream_next(struct archive *a, struct archive_entry **entry, struct error *err);

/* The member or entry's name in plain form: leading "/" and "./" stripped (as tar
 * does), no "//", "/./" or trailing "/"; "" is the root. Refuses "..", components over
 * 255 bytes and names of PATH_MAX and more. out has PATH_MAX bytes. */
int tarstream_plain_name(const char *raw, char *out, struct error *err);

#endif
