/* The launcher's side of the channel (init_protocol.h). */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "sys/fdio.h"
#include "sys/fdpass.h"

#define MAX_FDS (INIT_HELLO_FDS + 3)

static void fill_limits(struct init_hello *h)
{
    for (uint32_t i = 0; i < INIT_MAX_LIMITS; i++) {
        struct rlimit l;

        if (getrlimit((__rlimit_resource_t)i, &l) < 0)
            break;
        h->limits[i].soft = l.rlim_cur;
        h->limits[i].hard = l.rlim_max;
        h->n_limits = i + 1;
    }
}

static void fill_inherited(struct init_hello *h)
{
    mode_t mask = umask(0);

    umask(mask);
    h->umask = mask;
    fill_limits(h);
    /* more CPUs than fit: the job keeps those that the container has */
    if (syscall(SYS_sched_getaffinity, 0, sizeof(h->cpus), h->cpus) < 0)
        memset(h->cpus, 0, sizeof(h->cpus));
}

static int block_fd(const struct strv *v, const char *name, struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    strv_to_block(v, &b);
    return buf_check(&b, err) < 0 ? -1 : fdio_memfd(name, buf_str(&b), b.len, err);
}

static int give_orders(struct engine *e, int fd, const int stdio[3], bool keep_terminal,
                       struct error *err)
{
    _cleanup_close_ int words = block_fd(&e->words, "repx-command", err);
    _cleanup_close_ int env = words < 0 ? -1 : block_fd(&e->env, "repx-env", err);
    _cleanup_close_ int checks =
        env < 0 ? -1 : block_fd(&e->checks, "repx-checks", err);
    struct init_hello hello = {.magic = INIT_PROTOCOL_MAGIC};
    int fds[MAX_FDS] = {words, env, checks};
    size_t n = INIT_HELLO_FDS;

    if (checks < 0)
        return -1;
    fill_inherited(&hello);
    for (int i = 0; i < 3; i++) {
        if (stdio[i] < 0 || (keep_terminal && isatty(stdio[i])))
            continue;
        hello.stdio |= 1U << i;
        fds[n++] = stdio[i];
    }
    return fdpass_send(fd, &hello, sizeof(hello), fds, n, 0) < 0
               ? error_sys(err, errno, "cannot send its orders to the container")
               : 0;
}

/* The process at the other end: ours by its user, init by its being there first, as
 * nobody else can reach the socket. It waits for its orders, so the number is its own.
 */
static int open_peer(int fd, struct error *err)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    int pidfd;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return error_sys(err, errno, "cannot ask who has connected");
    if (peer.uid != geteuid())
        return error_fail(
            err, "the container runs as uid %u; its engine maps users to others",
            (unsigned)peer.uid);
    pidfd = peer.pid <= 0 ? -1 : (int)syscall(SYS_pidfd_open, peer.pid, 0);
    if (pidfd < 0)
        return error_fail(err, "the engine's processes cannot be seen from here; "
                               "repx-launch and the engine must share their process "
                               "numbers");
    return pidfd;
}

int engine_accept(struct engine *e, const int stdio[3], bool keep_terminal,
                  int *status_fd, int *pidfd, struct error *err)
{
    _cleanup_close_ int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    _cleanup_close_ int peer = -1;

    if (fd < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
                   ? 1
                   : error_sys(err, errno, "cannot take the container's connection");
    cleanup_closep(&e->listen_fd);
    e->listen_fd = -1;
    peer = open_peer(fd, err);
    if (peer < 0 || give_orders(e, fd, stdio, keep_terminal, err) < 0)
        return -1;
    /* the job finds an empty directory */
    unlinkat(e->dirfd, "channel/socket", 0);
    unlinkat(e->dirfd, "channel/init", 0);
    e->connected = true;
    *status_fd = steal_fd(&fd);
    *pidfd = steal_fd(&peer);
    return 0;
}

/* The path is what follows the third blank of the check (init_protocol.h). */
int engine_explain_mount(const struct engine *e, int32_t check, struct error *err)
{
    size_t i = (size_t)check;
    const char *path = i < e->checks.count ? e->checks.items[i] : "";

    for (int blanks = 0; *path && blanks < 3; path++)
        blanks += *path == ' ';
    error_fail(err, "what %s has mounted at '%s' is not what was asked for",
               e->backend->name, path);
    return error_hint(err,
                      "its daemon must see this node's file systems as you do (no "
                      "private /tmp), and nothing on the way may change meanwhile");
}
