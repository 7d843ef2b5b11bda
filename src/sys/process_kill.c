/* The end of every child: found through /proc, killed, reaped. */
#include "sys/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "sys/fdio.h"

/* A process in an uninterruptible sleep (a dead NFS server) does not die; after this
 * long without a death the rest is left to the kernel. */
#define NO_DEATH_NS (10 * UINT64_C(1000000000))
#define POLL_MS 50

struct pids {
    pid_t *items;
    size_t count, cap;
};

static void pids_add(struct pids *v, uint64_t pid)
{
    pid_t *p;

    if (v->count == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 32;

        p = reallocarray(v->items, cap, sizeof(*p));
        if (!p)
            return; /* it is found again in the next round */
        v->items = p;
        v->cap = cap;
    }
    v->items[v->count++] = (pid_t)pid;
}

/* Adds each number of "12 13 14 ". */
static void pids_add_words(struct pids *v, const char *p)
{
    while (p && *(p += strspn(p, " \n"))) {
        char *end;

        pids_add(v, strtoull(p, &end, 10));
        p = end == p ? NULL : end;
    }
}

/* The content of a small /proc file; false when it cannot be read. */
static bool read_proc(const char *path, struct buf *out)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char chunk[4096];
    ssize_t n;

    if (fd < 0)
        return false;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(out, chunk, (size_t)n);
    return n == 0 && !out->failed;
}

/* /proc/self/task/<tid>/children of every thread; false where the kernel has none
 * (CONFIG_PROC_CHILDREN). */
static bool list_from_tasks(struct pids *v)
{
    DIR *dir = opendir("/proc/self/task");
    struct dirent *e;
    bool any = false;

    while (dir && (e = readdir(dir))) {
        _cleanup_buf_ struct buf text = BUF_INIT;
        char path[320];

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/children", e->d_name);
        if (!read_proc(path, &text))
            continue;
        any = true;
        pids_add_words(v, text.data);
    }
    if (dir)
        closedir(dir);
    return any;
}

/* Parent of a process, 0 when it is gone. The name in parentheses may hold anything. */
static pid_t parent_of(const char *pid)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char path[320];
    const char *p;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    if (!read_proc(path, &text) || !text.data)
        return 0;
    p = strrchr(text.data, ')');
    if (!p || strlen(p) < 5)
        return 0;
    return (pid_t)strtol(p + 4, NULL, 10);
}

static void list_from_proc(struct pids *v)
{
    DIR *dir = opendir("/proc");
    pid_t self = getpid();
    struct dirent *e;

    while (dir && (e = readdir(dir))) {
        uint64_t pid;

        if (parse_u64(e->d_name, &pid) && parent_of(e->d_name) == self)
            pids_add(v, pid);
    }
    if (dir)
        closedir(dir);
}

/* A /proc of another pid namespace would name strangers. */
static bool proc_is_ours(void)
{
    char link[32], self[32];
    ssize_t n = readlink("/proc/self", link, sizeof(link) - 1);

    if (n < 0)
        return false;
    link[n] = '\0';
    snprintf(self, sizeof(self), "%d", (int)getpid());
    return strcmp(link, self) == 0;
}

/* Reaps what is dead. *deaths counts; false when there is no child left. */
static bool reap_dead(unsigned *deaths)
{
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);

        if (pid > 0)
            ++*deaths;
        else if (pid == 0)
            return true;
        else if (errno != EINTR)
            return false;
    }
}

static void kill_all(const struct pids *v)
{
    /* children that are not reaped keep their numbers, so none can be a stranger's */
    for (size_t i = 0; i < v->count; i++)
        kill(v->items[i], SIGKILL);
}

static void wait_for_one(const struct pids *v)
{
    struct pollfd p = {.fd = -1, .events = POLLIN};

    if (v->count > 0)
        p.fd = (int)syscall(SYS_pidfd_open, v->items[0], 0);
    poll(&p, 1, POLL_MS);
    if (p.fd >= 0)
        close(p.fd);
}

void process_kill_children(void)
{
    uint64_t last_death = fdio_monotonic_ns();
    bool listable = proc_is_ours();
    unsigned deaths = 0, seen = 0;

    /* the dead leave orphans, which come to us as the subreaper: hence the rounds */
    while (reap_dead(&deaths)) {
        struct pids v = {NULL, 0, 0};

        if (deaths != seen) {
            seen = deaths;
            last_death = fdio_monotonic_ns();
        }
        /* the short way can miss some while others exit; then the long way */
        if (listable && (!list_from_tasks(&v) || v.count == 0))
            list_from_proc(&v);
        kill_all(&v);
        wait_for_one(&v);
        free(v.items);
        if (fdio_monotonic_ns() - last_death > NO_DEATH_NS)
            return;
    }
}
