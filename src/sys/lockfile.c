#include "sys/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/pathfd.h"

/* Longest note: it is for one line on a terminal. */
#define NOTE_MAX 1024

/* How often a file may vanish under us before that is no accident. */
#define ORPHANS_MAX 10000

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static int lock_open(struct lockfile *l, int dirfd, const char *name, int flags,
                     struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    /* O_NONBLOCK: a planted FIFO must not stop us before it is seen to be one */
    fd = openat(dirfd, name, flags | OPEN_FLAGS, 0600);
    if (fd < 0 && errno == ELOOP) {
        error_sys(err, ELOOP, "cannot open the lock file '%s'", name);
        return error_hint(err, "it is a symbolic link: remove it");
    }
    if (fd < 0)
        return error_sys(err, errno, "cannot open the lock file '%s'", name);
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot examine the lock file '%s'", name);
    if (!S_ISREG(st.st_mode))
        return error_fail(err, "the lock file '%s' is not a regular file: remove it",
                          name);
    l->fd = steal_fd(&fd);
    return 0;
}

/* 0 held, 1 busy (only with LOCK_NB), -1 with err. */
static int lock_flock(const struct lockfile *l, int operation, struct error *err)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *name = NULL;
    int saved;

    while (flock(l->fd, operation) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EWOULDBLOCK)
            return 1;
        saved = errno;
        name = pathfd_name(l->fd, &ignored);
        error_sys(err, saved, "cannot lock '%s'", name ? name : "a lock file");
        /* ENOSYS is what Lustre says when it is mounted without flock */
        if (saved == ENOLCK || saved == EOPNOTSUPP || saved == ENOSYS)
            error_hint(err, "this file system gives no flock(2) locks: choose a "
                            "directory on another one, or have it mounted with locks");
        return -1;
    }
    return 0;
}

static int mode_of(bool exclusive)
{
    return exclusive ? LOCK_EX : LOCK_SH;
}

/* Does the name still lead to the file that we have locked? Its holder may have
 * unlinked it between our open and our flock. */
static bool still_named(const struct lockfile *l, int dirfd, const char *name)
{
    struct stat ours, named;

    return fstat(l->fd, &ours) == 0 &&
           fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* Opens and locks until the lock is on what the name leads to. Closed after an error.
 */
static int acquire(struct lockfile *l, int dirfd, const char *name, int flags,
                   int operation, struct error *err)
{
    int i, r;

    for (i = 0; i < ORPHANS_MAX; i++) {
        if (l->fd < 0 && lock_open(l, dirfd, name, flags, err) < 0)
            return -1;
        r = lock_flock(l, operation, err);
        if (r == 1 || (r == 0 && still_named(l, dirfd, name)))
            return r;
        lockfile_release(l);
        if (r < 0)
            return -1;
    }
    return error_fail(
        err,
        "the lock file '%s' is removed as soon as it is there: is another "
        "program cleaning its directory?",
        name);
}

int lockfile_try(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                 struct error *err)
{
    l->fd = -1;
    return acquire(l, dirfd, name, O_RDWR | O_CREAT, mode_of(exclusive) | LOCK_NB, err);
}

int lockfile_try_existing(struct lockfile *l, int dirfd, const char *name,
                          bool exclusive, struct error *err)
{
    l->fd = -1;
    return acquire(l, dirfd, name, O_RDONLY, mode_of(exclusive) | LOCK_NB, err);
}

int lockfile_retry(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                   struct error *err)
{
    return acquire(l, dirfd, name, O_RDWR | O_CREAT, mode_of(exclusive) | LOCK_NB, err);
}

int lockfile_take(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                  struct error *err)
{
    l->fd = -1;
    return acquire(l, dirfd, name, O_RDWR | O_CREAT, mode_of(exclusive), err);
}

int lockfile_unlink(const struct lockfile *l, int dirfd, const char *name,
                    struct error *err)
{
    if (!still_named(l, dirfd, name))
        return 0;
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove the lock file '%s'", name);
    return 0;
}

int lockfile_note_write(const struct lockfile *l, const char *note, struct error *err)
{
    char line[NOTE_MAX + 1];
    size_t len = strcspn(note, "\n");
    ssize_t n;

    if (len > NOTE_MAX)
        len = NOTE_MAX;
    memcpy(line, note, len);
    line[len++] = '\n';
    /* first the line, then the cut: a reader in between stops at the newline */
    do
        n = pwrite(l->fd, line, len, 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0 && n < (ssize_t)len) {
        errno = ENOSPC;
        n = -1;
    }
    if (n < 0 || ftruncate(l->fd, (off_t)len) < 0)
        return error_sys(err, errno, "cannot write the note of the lock's holder");
    return 0;
}

int lockfile_note_read(const struct lockfile *l, struct buf *out, struct error *err)
{
    char line[NOTE_MAX + 2];
    ssize_t n;

    do
        n = pread(l->fd, line, sizeof(line) - 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, errno, "cannot read the note of the lock's holder");
    line[n] = '\0';
    buf_add(out, line, strcspn(line, "\n"));
    return buf_check(out, err);
}

int lockfile_share(struct lockfile *l, struct error *err)
{
    return lock_flock(l, LOCK_SH, err);
}

void lockfile_release(struct lockfile *l)
{
    /* no LOCK_UN: a child to which the descriptor was passed goes on holding the lock
     */
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}
