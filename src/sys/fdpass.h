/* fdpass: descriptors on their way to another process, over a UNIX socket (SCM_RIGHTS,
 * unix(7)). */
#ifndef REPX_SYS_FDPASS_H
#define REPX_SYS_FDPASS_H

#include <stddef.h>

#define FDPASS_MAX 16

/* Sends one message of len bytes with n descriptors, 1 to FDPASS_MAX, which stay open
 * here. flags: of send(2), besides MSG_NOSIGNAL. 0, or -1 with errno. */
int fdpass_send(int socket, const void *data, size_t len, const int *fds, size_t n,
                int flags);

#endif
