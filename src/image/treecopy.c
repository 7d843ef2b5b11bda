#include "image/treecopy.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "sys/fdio.h"

#define COPY_BLOCK ((size_t)256 * 1024)

static int copy_link(int fromdir, const char *from, int todir, const char *to,
                     const struct timespec times[2], struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(fromdir, from, target, sizeof(target) - 1);

    if (n < 0)
        return error_sys(err, errno, "cannot read the link \"%s\"", from);
    target[n] = '\0';
    if (symlinkat(target, todir, to) < 0)
        return errno == EEXIST ? 1 : error_sys(err, errno, "cannot make \"%s\"", to);
    utimensat(todir, to, times, AT_SYMLINK_NOFOLLOW);
    return 0;
}

static int copy_bytes(int in, int out, struct error *err)
{
    _cleanup_free_ void *data = malloc(COPY_BLOCK);
    ssize_t n;

    if (!data)
        return error_oom(err);
    while ((n = read(in, data, COPY_BLOCK)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read");
        if (fdio_write_all(out, data, (size_t)n, err) < 0)
            return -1;
    }
    return 0;
}

int treecopy_copy(int fromdir, const char *from, int todir, const char *to,
                  struct error *err)
{
    _cleanup_close_ int in = -1, out = -1;
    struct timespec times[2];
    struct stat st;

    if (fstatat(fromdir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot copy \"%s\"", from);
    times[0] = st.st_mtim;
    times[1] = st.st_mtim;
    if (S_ISLNK(st.st_mode))
        return copy_link(fromdir, from, todir, to, times, err);
    if (!S_ISREG(st.st_mode))
        return error_fail(err, "\"%s\" is not a file that can be linked", from);
    in = openat(fromdir, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return error_sys(err, errno, "cannot open \"%s\" to copy it", from);
    out = openat(todir, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        return errno == EEXIST ? 1 : error_sys(err, errno, "cannot make \"%s\"", to);
    if (copy_bytes(in, out, err) < 0)
        return error_context(err, "copying \"%s\"", from);
    if (fchmod(out, st.st_mode & 0777) < 0 || futimens(out, times) < 0)
        return error_sys(err, errno, "cannot set mode and time of \"%s\"", to);
    return 0;
}

int treecopy_link(int fromdir, const char *from, int todir, const char *to,
                  struct error *err)
{
    if (linkat(fromdir, from, todir, to, 0) == 0)
        return 0;
    if (errno == EEXIST)
        return 1;
    if (errno == EMLINK || errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP)
        return treecopy_copy(fromdir, from, todir, to, err);
    return error_sys(err, errno, "cannot link \"%s\" to \"%s\"", to, from);
}
