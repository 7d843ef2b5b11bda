/* atomicfile: a file is either its old or its new content, never half of it. Written
 * under a temporary name in the same directory, fsynced when durable is set, then
 * renamed. */
#ifndef REPX_SYS_ATOMICFILE_H
#define REPX_SYS_ATOMICFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

/* name is a single name in dirfd; mode is subject to the umask. A crash may leave
 * ".<name>.<16 hex digits>" behind, an error leaves nothing. */
int atomicfile_write(int dirfd, const char *name, const void *data, size_t len,
                     mode_t mode, bool durable, struct error *err);

/* Appends one line (with its newline) in a single write(2), under an flock of the file:
 * O_APPEND alone is not atomic on NFS. Creates the file with mode. A missing newline is
 * added; where the last writer left half a line, a new one is begun. */
int atomicfile_append_line(int dirfd, const char *name, const char *line, mode_t mode,
                           struct error *err);

#endif
