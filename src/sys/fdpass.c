#include "sys/fdpass.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

int fdpass_send(int socket, const void *data, size_t len, const int *fds, size_t n,
                int flags)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {(void *)(size_t)data, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    ssize_t sent;

    if (n == 0 || n > FDPASS_MAX) {
        errno = EINVAL;
        return -1;
    }
    memset(&control, 0, sizeof(control));
    m.msg_controllen = CMSG_SPACE(n * sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
    sent = sendmsg(socket, &m, flags | MSG_NOSIGNAL);
    if (sent >= 0 && (size_t)sent != len)
        errno = EMSGSIZE;
    return sent >= 0 && (size_t)sent == len ? 0 : -1;
}
