/* fdio: whole reads and writes, sealed memory files, small clock and host helpers. */
#ifndef REPX_SYS_FDIO_H
#define REPX_SYS_FDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Writes all; EINTR and short writes are handled. */
int fdio_write_all(int fd, const void *data, size_t len, struct error *err);

/* The same at an offset; the descriptor's own is not used. */
int fdio_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
                    struct error *err);

/* Up to len bytes; fewer only at the end of the file. -1 with err. */
ssize_t fdio_read_full(int fd, void *data, size_t len, struct error *err);

/* A sealed, read-only memfd with this content, offset 0, close-on-exec. */
int fdio_memfd(const char *name, const void *data, size_t len, struct error *err);

/* Clears close-on-exec. */
int fdio_inherit(int fd, struct error *err);

/* Opens /dev/null for each of 0, 1 and 2 that the caller closed, so that nothing opened
 * later can be taken for stdin, stdout or stderr. main.c calls it first. */
int fdio_open_stdio(struct error *err);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t fdio_monotonic_ns(void);
/* "2026-01-31T23:59:59Z" of now. out has at least 32 bytes. */
void fdio_utc_now(char *out, size_t size);

#endif
