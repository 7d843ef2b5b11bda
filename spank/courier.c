#include "spank/courier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/handoff.h"
#include "request/step_env.h"

static int write_all(int fd, const char *data, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_sys(err, n < 0 ? errno : ENOSPC,
                             "cannot write the step's hand-off file");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int make_state(const struct handoff_request *r, uid_t uid, gid_t gid,
                      struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = -1;

    if (handoff_encode_request(r, &text, err) < 0)
        return -1;
    fd = memfd_create("repx-step", MFD_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot make the step's hand-off file");
    if (write_all(fd, text.data, text.len, err) < 0)
        return -1;
    /* Tasks open it anew, for a lock of their own. */
    if (fchmod(fd, 0600) < 0 || fchown(fd, uid, gid) < 0)
        return error_sys(err, errno, "cannot give the step's hand-off file to uid %u",
                         uid);
    return steal_fd(&fd);
}

static int open_all(struct courier *c, const struct handoff_request *r,
                    const char *join, uid_t uid, gid_t gid, struct error *err)
{
    int pair[2];

    c->join = open(join, O_RDONLY | O_CLOEXEC);
    if (c->join < 0)
        return error_sys(err, errno, "cannot open %s", join);
    c->state = make_state(r, uid, gid, err);
    if (c->state < 0)
        return -1;
    if (pipe2(c->hold, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make the step's pipe");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_sys(err, errno, "cannot make the step's sockets");
    c->send = pair[0];
    c->queue = pair[1];
    return 0;
}

int courier_open(struct courier *c, const struct handoff_request *r, const char *join,
                 uid_t uid, gid_t gid, struct error *err)
{
    *c = (struct courier)COURIER_INIT;
    if (open_all(c, r, join, uid, gid, err) < 0) {
        courier_close(c);
        return -1;
    }
    return 0;
}

void courier_keep_queue(struct courier *c)
{
    int queue = steal_fd(&c->queue);

    courier_close(c);
    c->queue = queue;
}

void courier_close(struct courier *c)
{
    cleanup_closep(&c->state);
    cleanup_closep(&c->hold[0]);
    cleanup_closep(&c->hold[1]);
    cleanup_closep(&c->send);
    cleanup_closep(&c->queue);
    cleanup_closep(&c->join);
    *c = (struct courier)COURIER_INIT;
}

int courier_pass(const struct courier *c, char text[COURIER_TEXT], struct error *err)
{
    const int fds[STEP_FDS] = {c->state, c->hold[0], c->hold[1],
                               c->send,  c->queue,   c->join};

    for (size_t i = 0; i < array_size(fds); i++)
        if (fcntl(fds[i], F_SETFD, 0) < 0)
            return error_sys(err, errno, "the step's descriptors are gone");
    snprintf(text, COURIER_TEXT, "%d:%d:%d:%d:%d:%d", fds[0], fds[1], fds[2], fds[3],
             fds[4], fds[5]);
    return 0;
}
