/* channel: how repx-sandbox-init gets its orders where an engine has started it
 * (podman, docker): over a connection to the launcher, with the job's own descriptors,
 * so that no byte of the job's input and output goes through the engine. */
#ifndef REPX_INIT_CHANNEL_H
#define REPX_INIT_CHANNEL_H

#include <stddef.h>

struct channel {
    int status_fd; /* the connection */
    int env_fd;
    char **words; /* MODE, CWD, ARGV..., NULL, or INIT_MODE_HOLD alone; never freed:
                   * they become exec's */
    size_t n_words;
};

/* NUL-terminated items of a file, as a vector that points into them; NULL with errno.
 */
char **channel_read_items(int fd, size_t *n);

/* Connects, receives the orders, puts the job's descriptors in place and compares the
 * mounts with what the launcher has seen. 0, or -1: there is nobody who could be told.
 * When the orders cannot be followed the launcher is told and -1 returned. */
int channel_open(struct channel *c, const char *path);

#endif
