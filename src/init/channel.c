#include "init/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/init_protocol.h"

#define MAX_FDS (INIT_HELLO_FDS + 3)

struct orders {
    struct init_hello hello;
    int fds[MAX_FDS];
    size_t n_fds;
};

char **channel_read_items(int fd, size_t *count)
{
    struct stat st;
    size_t len, done = 0, n = 0;
    char *block, **items;

    if (fstat(fd, &st) < 0)
        return NULL;
    len = (size_t)st.st_size;
    block = malloc(len + 1);
    if (!block)
        return NULL;
    while (done < len) {
        ssize_t r = pread(fd, block + done, len - done, (off_t)done);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return NULL;
        done += (size_t)r;
    }
    block[len] = '\0';
    for (size_t i = 0; i < len; i++)
        n += block[i] == '\0';
    items = calloc(n + 1, sizeof(*items));
    if (!items)
        return NULL;
    for (size_t i = 0, k = 0; k < n; i += strlen(block + i) + 1)
        items[k++] = block + i;
    *count = n;
    return items;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return -1;
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -1;
    return fd;
}

static int receive(int fd, struct orders *o)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    } control;
    struct iovec data = {&o->hello, sizeof(o->hello)};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c;
    ssize_t n;

    do {
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    c = n == sizeof(o->hello) ? CMSG_FIRSTHDR(&message) : NULL;
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        o->hello.magic != INIT_PROTOCOL_MAGIC || (message.msg_flags & MSG_CTRUNC))
        return -1;
    o->n_fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (o->n_fds < INIT_HELLO_FDS || o->n_fds > MAX_FDS)
        return -1;
    memcpy(o->fds, CMSG_DATA(c), o->n_fds * sizeof(int));
    return 0;
}

/* Received descriptors are above 2: the engine has opened those. */
static int place_stdio(const struct orders *o)
{
    size_t next = INIT_HELLO_FDS;

    for (int i = 0; i < 3; i++) {
        if (!(o->hello.stdio & (1U << i)))
            continue;
        if (next >= o->n_fds || dup2(o->fds[next++], i) < 0)
            return -1;
    }
    return 0;
}

/* "DEV INO ro|rw PATH" */
static bool check_mount(const char *item)
{
    unsigned long long dev, ino;
    struct statvfs vfs;
    struct stat st;
    char *p;

    dev = strtoull(item, &p, 10);
    ino = strtoull(p, &p, 10);
    if (strncmp(p, " ro /", 5) != 0 && strncmp(p, " rw /", 5) != 0)
        return false;
    if (stat(p + 4, &st) < 0 || statvfs(p + 4, &vfs) < 0)
        return false;
    if (strncmp(p, " ro", 3) == 0 && !(vfs.f_flag & ST_RDONLY))
        return false;
    if (dev == 0 && ino == 0)
        return S_ISREG(st.st_mode);
    return st.st_dev == (dev_t)dev && st.st_ino == (ino_t)ino;
}

/* As far as the container's own bounds allow. */
static void take_limits(const struct init_hello *h)
{
    for (uint32_t i = 0; i < h->n_limits && i < INIT_MAX_LIMITS; i++) {
        struct rlimit now, want = {h->limits[i].soft, h->limits[i].hard};

        if (getrlimit(i, &now) < 0)
            continue;
        if (want.rlim_max > now.rlim_max)
            want.rlim_max = now.rlim_max;
        if (want.rlim_cur > want.rlim_max)
            want.rlim_cur = want.rlim_max;
        setrlimit(i, &want);
    }
}

/* A daemon's container may use every CPU of the node, the job only those that Slurm has
 * bound it to. CPUs that the container may not use are left out by the kernel. */
static void take_inherited(const struct init_hello *h)
{
    uint64_t any = 0;

    umask(h->umask);
    take_limits(h);
    for (size_t i = 0; i < sizeof(h->cpus) / sizeof(h->cpus[0]); i++)
        any |= h->cpus[i];
    if (any)
        syscall(SYS_sched_setaffinity, 0, sizeof(h->cpus), h->cpus);
}

static int refuse(int fd, enum init_stage stage, int32_t value)
{
    struct init_message m = {.magic = INIT_PROTOCOL_MAGIC,
                             .kind = INIT_EXEC_FAILED,
                             .value = value,
                             .stage = stage};
    ssize_t n;

    do {
        n = write(fd, &m, sizeof(m));
    } while (n < 0 && errno == EINTR);
    return -1;
}

static bool words_are_complete(const struct channel *c)
{
    if (!c->words)
        return false;
    return c->n_words == 1 ? strcmp(c->words[0], INIT_MODE_HOLD) == 0 : c->n_words >= 3;
}

int channel_open(struct channel *c, const char *path)
{
    struct orders o = {.n_fds = 0};
    char **checks;
    size_t n = 0;

    c->status_fd = connect_to(path);
    if (c->status_fd < 0 || receive(c->status_fd, &o) < 0)
        return -1;
    c->words = channel_read_items(o.fds[0], &c->n_words);
    c->env_fd = o.fds[1];
    checks = channel_read_items(o.fds[2], &n);
    if (!words_are_complete(c) || !checks || place_stdio(&o) < 0)
        return refuse(c->status_fd, INIT_STAGE_SETUP, errno ? errno : EPROTO);
    take_inherited(&o.hello);
    for (size_t i = 0; i < n; i++)
        if (!check_mount(checks[i]))
            return refuse(c->status_fd, INIT_STAGE_MOUNT, (int32_t)i);
    return 0;
}
