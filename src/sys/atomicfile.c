#include "sys/atomicfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "sys/fdio.h"

#define NAME_ATTEMPTS 16

/* Creates a fresh file whose name nobody can foresee next to name. */
static int open_temporary(int dirfd, const char *name, mode_t mode, char *tmp,
                          size_t size, struct error *err)
{
    uint64_t random;
    int fd;

    for (int i = 0; i < NAME_ATTEMPTS; i++) {
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            random = fdio_monotonic_ns() ^ ((uint64_t)getpid() << 32);
        snprintf(tmp, size, ".%.200s.%016" PRIx64, name, random);
        fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    mode);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    if (fd < 0)
        return error_sys(err, errno, "cannot create a temporary file for '%s'", name);
    return fd;
}

static int sync_directory(int dirfd, const char *name, struct error *err)
{
    _cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* EINVAL: a file system that has nothing to sync */
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return error_sys(err, errno, "cannot make the directory of '%s' durable", name);
    return 0;
}

static int fill_and_rename(int dirfd, int *fd, const char *tmp, const char *name,
                           const void *data, size_t len, bool durable,
                           struct error *err)
{
    if (fdio_write_all(*fd, data, len, err) < 0)
        return error_context(err, "file '%s'", name);
    if (durable && fsync(*fd) < 0)
        return error_sys(err, errno, "cannot make '%s' durable", name);
    /* NFS and quotas report a failed write here at the latest */
    if (close(steal_fd(fd)) < 0 && errno != EINTR)
        return error_sys(err, errno, "cannot write '%s'", name);
    if (renameat(dirfd, tmp, dirfd, name) < 0)
        return error_sys(err, errno, "cannot put '%s' in its place", name);
    return 0;
}

int atomicfile_write(int dirfd, const char *name, const void *data, size_t len,
                     mode_t mode, bool durable, struct error *err)
{
    _cleanup_close_ int fd = -1;
    char tmp[256];

    if (!is_path_component(name))
        return error_fail(err, "cannot write '%s': it is not a single name", name);
    fd = open_temporary(dirfd, name, mode, tmp, sizeof(tmp), err);
    if (fd < 0)
        return -1;
    if (fill_and_rename(dirfd, &fd, tmp, name, data, len, durable, err) < 0) {
        unlinkat(dirfd, tmp, 0);
        return -1;
    }
    return durable ? sync_directory(dirfd, name, err) : 0;
}

static int open_log(int dirfd, const char *name, mode_t mode, struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    fd = openat(dirfd, name,
                O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
                    O_CLOEXEC,
                mode);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot open '%s' to append to it", name);
    if (!S_ISREG(st.st_mode))
        return error_fail(err, "cannot append to '%s': it is not a regular file", name);
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        /* where there are no locks, O_APPEND is the best there is */
        if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS)
            break;
        return error_sys(err, errno, "cannot lock '%s' to append to it", name);
    }
    return steal_fd(&fd);
}

/* A writer that died, or a full disk, may have left half a line: ours starts fresh. */
static bool ends_in_half_line(int fd, off_t size)
{
    char last;

    return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

int atomicfile_append_line(int dirfd, const char *name, const char *line, mode_t mode,
                           struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = -1;
    size_t len = strcspn(line, "\n");
    struct stat st;
    ssize_t n;

    if (line[len] == '\n' && line[len + 1])
        return error_fail(err, "cannot append to '%s': the text is more than one line",
                          name);
    fd = open_log(dirfd, name, mode, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot examine '%s'", name);
    if (ends_in_half_line(fd, st.st_size))
        buf_addc(&text, '\n');
    buf_add(&text, line, len);
    buf_addc(&text, '\n');
    if (buf_check(&text, err) < 0)
        return -1;
    do
        n = write(fd, text.data, text.len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, errno, "cannot append to '%s'", name);
    if ((size_t)n < text.len) {
        error_sys(err, ENOSPC, "cannot append to '%s'", name);
        return ftruncate(fd, st.st_size) < 0
                   ? error_hint(err, "half a line is left at its end")
                   : -1;
    }
    return 0;
}
