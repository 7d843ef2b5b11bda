#include "sys/fdio.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

int fdio_write_all(int fd, const void *data, size_t len, struct error *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot write");
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fdio_pwrite_all(int fd, const void *data, size_t len, uint64_t offset,
                    struct error *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot write");
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

ssize_t fdio_read_full(int fd, void *data, size_t len, struct error *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, (char *)data + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read");
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fdio_memfd(const char *name, const void *data, size_t len, struct error *err)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0)
        return error_sys(err, errno, "cannot make the memory file '%s'", name);
    if (fdio_write_all(fd, data, len, err) < 0)
        return error_context(err, "memory file '%s'", name);
    if (lseek(fd, 0, SEEK_SET) < 0 ||
        fcntl(fd, F_ADD_SEALS,
              F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return error_sys(err, errno, "cannot seal the memory file '%s'", name);
    return steal_fd(&fd);
}

int fdio_inherit(int fd, struct error *err)
{
    int flags = fcntl(fd, F_GETFD);

    if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot pass on descriptor %d", fd);
    return 0;
}

int fdio_open_stdio(struct error *err)
{
    for (int want = 0; want <= 2; want++) {
        int fd;

        if (fcntl(want, F_GETFD) >= 0)
            continue;
        /* all below are open, so the lowest free number is the one wanted */
        fd = open("/dev/null", O_RDWR);
        if (fd < 0)
            return error_sys(err, errno, "cannot open /dev/null for descriptor %d",
                             want);
        if (fd != want) {
            close(fd);
            return error_fail(err, "cannot open /dev/null as descriptor %d: got %d",
                              want, fd);
        }
    }
    return 0;
}

uint64_t fdio_monotonic_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void fdio_utc_now(char *out, size_t size)
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    if (strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0 && size > 0)
        out[0] = '\0';
}
