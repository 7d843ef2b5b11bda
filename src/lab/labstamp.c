#include "lab/labstamp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "lab/lab.h"
#include "lab/metadata.h"
#include "sys/pathfd.h"

#define SECOND UINT64_C(1000000000)

/* Times of FAT have two seconds, of NFS and old ext one; the rest is for the clocks of
 * file server and node, which need not agree. */
#define RACY_NS (10 * SECOND)

void lab_stamps_add(struct lab_stamps *s, const char *path,
                    const struct lab_stamp *like)
{
    size_t cap = s->cap ? s->cap * 2 : 64;
    struct lab_stamp *p;

    if (s->failed)
        return;
    if (s->n == s->cap) {
        p = reallocarray(s->items, cap, sizeof(*p));
        s->failed = !p;
        if (!p)
            return;
        s->items = p;
        s->cap = cap;
    }
    s->items[s->n] = *like;
    s->items[s->n].path = strdup(path);
    s->failed = !s->items[s->n].path;
    s->n += !s->failed;
}

void lab_stamps_release(struct lab_stamps *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->items[i].path);
    free(s->items);
    *s = (struct lab_stamps){0};
}

void lab_sources_release(struct lab_sources *s)
{
    lab_stamps_release(&s->read);
    lab_stamps_release(&s->files);
    *s = (struct lab_sources){0};
}

static uint64_t nanoseconds(const struct timespec *t)
{
    return t->tv_sec < 0 ? 0 : (uint64_t)t->tv_sec * SECOND + (uint64_t)t->tv_nsec;
}

uint64_t lab_stamp_now(void)
{
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(&now);
}

int lab_stamp_take(struct lab_stamp *stamp, int fd, const char *path, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode))
        return error_fail(err, "%s is not a regular file", path);
    stamp->ino = (uint64_t)st.st_ino;
    stamp->size = (uint64_t)st.st_size;
    stamp->mtime_ns = nanoseconds(&st.st_mtim);
    stamp->ctime_ns = nanoseconds(&st.st_ctim);
    return 0;
}

bool lab_stamp_same(const struct lab_stamp *a, const struct lab_stamp *b)
{
    return a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns &&
           a->ctime_ns == b->ctime_ns;
}

bool lab_stamp_racy(const struct lab_stamp *stamp, uint64_t when)
{
    uint64_t last =
        stamp->mtime_ns > stamp->ctime_ns ? stamp->mtime_ns : stamp->ctime_ns;

    return last >= when || when - last <= RACY_NS;
}

/* The content decides. */
static int compare_content(struct lab_stamp *stamp, int fd,
                           const struct lab_options *opts, bool *refresh,
                           struct lab_stamp *now, struct error *err)
{
    char *path = stamp->path;

    if (opts->digest_fd(fd, now->sha256, err) < 0)
        return error_context(err, "%s", stamp->path);
    if (strcmp(now->sha256, stamp->sha256) != 0)
        return 1;
    if (!lab_stamp_same(stamp, now) || !lab_stamp_racy(now, lab_stamp_now())) {
        *stamp = *now;
        stamp->path = path;
        *refresh = true;
    }
    return 0;
}

int lab_stamp_check(struct lab_stamp *stamp, int dirfd, uint64_t began_ns,
                    const struct lab_options *opts, bool *refresh,
                    struct lab_stamp *now, struct error *err)
{
    _cleanup_close_ int fd = -1;

    *now = (struct lab_stamp){0};
    fd = pathfd_open_beneath(dirfd, stamp->path, LAB_READ_FLAGS, 0, err);
    if (fd < 0 || lab_stamp_take(now, fd, stamp->path, err) < 0)
        return -1;
    if (lab_stamp_same(stamp, now) && !lab_stamp_racy(stamp, began_ns))
        return 0;
    return compare_content(stamp, fd, opts, refresh, now, err);
}
