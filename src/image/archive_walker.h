/* archive_walker: the members of a tar archive, one after the other, from its start or
 * from where the headers of one begin. Reads by pread, so that the descriptor's offset
 * is nobody's concern, and of a plain tar only what is asked for: data that nobody
 * reads is skipped, and what comes after it is read in small pieces first. */
#ifndef REPX_IMAGE_ARCHIVE_WALKER_H
#define REPX_IMAGE_ARCHIVE_WALKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct archive_entry;
struct error;
struct walker;

/* fd is borrowed. offset: 0, or a walker_position of the same file when that is a plain
 * tar. NULL with err. */
struct walker *walker_new(int fd, uint64_t offset, struct error *err);
/* Accepts a pointer to NULL. */
void walker_free(struct walker **w);

/* 0: an entry whose plain name (tarstream_plain_name) is in name, of PATH_MAX bytes; 1:
 * the end; -1: damaged, cut short, a name that is refused. */
int walker_next(struct walker *w, struct archive_entry **entry, char *name,
                struct error *err);
/* The next bytes of the entry: their number, 0 at its end, -1. */
ssize_t walker_data(struct walker *w, void *data, size_t cap, struct error *err);

/* Where the headers of the entry begin, in bytes of the decompressed archive. */
uint64_t walker_position(const struct walker *w);
/* Is the archive not compressed? After the first walker_next. */
bool walker_is_plain(const struct walker *w);

#endif
