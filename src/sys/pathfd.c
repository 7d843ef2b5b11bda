#include "sys/pathfd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"

/* openat2 gives EAGAIN when a rename anywhere on the system races with ".."; a hostile
 * neighbour can go on renaming, so there is an end to it. */
#define RACE_RETRIES 128

static int open_policy(int dirfd, const char *path, int flags, mode_t mode,
                       uint64_t resolve, const char *policy, struct error *err)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .mode =
            (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? mode & 07777 : 0,
        .resolve = resolve | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;

    for (int i = 0; i < RACE_RETRIES; i++) {
        fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    }
    if (fd >= 0)
        return fd;
    error_sys(err, errno, "cannot open '%s' (%s)", path, policy);
    if (err->errnum == ENOSYS)
        error_hint(err, "this kernel has no openat2; Linux 5.14 or later is needed");
    else if (err->errnum == EXDEV)
        error_hint(err, "the path leaves the directory it must stay in");
    else if (err->errnum == ELOOP)
        error_hint(err, "there is a symbolic link that may not be followed on the way");
    return -1;
}

int pathfd_open_in_root(int dirfd, const char *path, int flags, mode_t mode,
                        struct error *err)
{
    return open_policy(dirfd, path, flags, mode, RESOLVE_IN_ROOT, "inside its root",
                       err);
}

int pathfd_open_beneath(int dirfd, const char *path, int flags, mode_t mode,
                        struct error *err)
{
    return open_policy(dirfd, path, flags, mode, RESOLVE_BENEATH,
                       "beneath its directory", err);
}

int pathfd_open_nofollow(int dirfd, const char *path, int flags, mode_t mode,
                         struct error *err)
{
    uint64_t resolve = RESOLVE_NO_SYMLINKS | (path[0] == '/' ? 0 : RESOLVE_BENEATH);

    return open_policy(dirfd, path, flags, mode, resolve, "without symbolic links",
                       err);
}

int pathfd_open_user(const char *path, int flags, struct error *err)
{
    int fd;

    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? error_sys(err, errno, "cannot open '%s'", path) : fd;
}

/* readlink of any length. NULL with errno. */
static char *read_link(const char *path)
{
    for (size_t size = 256; size <= 64 * 1024; size *= 2) {
        char *text = malloc(size);
        ssize_t n;

        if (!text)
            return NULL;
        n = readlink(path, text, size);
        if (n >= 0 && (size_t)n < size) {
            text[n] = '\0';
            return text;
        }
        free(text);
        if (n < 0)
            return NULL;
    }
    errno = ENAMETOOLONG;
    return NULL;
}

char *pathfd_name(int fd, struct error *err)
{
    static const char gone[] = " (deleted)";
    char link[64];
    struct stat st;
    char *name;
    size_t n;

    if (fd == AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/self/cwd");
    else
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    name = read_link(link);
    if (!name) {
        error_sys(err, errno, "cannot tell the path of descriptor %d", fd);
        return NULL;
    }
    n = strlen(name);
    if (n > sizeof(gone) && strcmp(name + n - (sizeof(gone) - 1), gone) == 0 &&
        stat(name, &st) < 0) {
        error_sys(err, ENOENT, "'%s' was removed meanwhile", name);
        free(name);
        return NULL;
    }
    return name;
}

char *pathfd_canonical(const char *path, struct error *err)
{
    char *name = realpath(path, NULL);

    if (!name)
        error_sys(err, errno, "cannot resolve '%s'", path);
    return name;
}

/* Appends the components of path to b, an absolute path without the closing '/'. */
static void join_lexical(struct buf *b, const char *path)
{
    while (*path) {
        size_t n = strcspn(path, "/");

        if (n == 2 && path[0] == '.' && path[1] == '.') {
            while (b->len > 0 && b->data[--b->len] != '/')
                ;
            if (b->data)
                b->data[b->len] = '\0';
        } else if (n > 0 && !(n == 1 && path[0] == '.')) {
            buf_addc(b, '/');
            buf_add(b, path, n);
        }
        path += n;
        path += strspn(path, "/");
    }
}

char *pathfd_absolute(const char *path, struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_free_ char *cwd = NULL;

    if (path[0] == '\0') {
        error_sys(err, ENOENT, "an empty path names nothing");
        return NULL;
    }
    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd) {
            error_sys(err, errno, "cannot tell the current directory for '%s'", path);
            return NULL;
        }
        join_lexical(&b, cwd);
    }
    join_lexical(&b, path);
    if (b.len == 0)
        buf_addc(&b, '/');
    if (buf_check(&b, err) < 0)
        return NULL;
    return buf_steal(&b);
}

/* One step of make_dirs: makes name in fd when it is missing and opens it. */
static int make_and_enter(int fd, const char *name, mode_t mode, const char *path,
                          struct error *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int next = openat(fd, name, flags), made = 0, saved = 0;

    /* mostly it is there, and mkdir takes the directory's lock to say so */
    if (next < 0 && errno == ENOENT) {
        made = mkdirat(fd, name, mode);
        saved = errno;
        next = openat(fd, name, flags);
    }
    if (next >= 0)
        return next;
    if (made < 0 && saved != EEXIST)
        return error_sys(err, saved, "cannot make the directory '%s' of '%s'", name,
                         path);
    error_sys(err, errno, "cannot enter '%s' of '%s'", name, path);
    if (err->errnum == ENOTDIR || err->errnum == ELOOP)
        error_hint(err, "it is a file or a symbolic link where a directory must be");
    return -1;
}

int pathfd_make_dirs(int dirfd, const char *path, mode_t mode, struct error *err)
{
    _cleanup_close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[NAME_MAX + 1];
    const char *p = path;

    if (fd < 0)
        return error_sys(err, errno, "cannot open the directory that '%s' is to be in",
                         path);
    while (*p) {
        size_t n = strcspn(p, "/");
        int next;

        if (p == path && n == 0)
            return error_fail(err, "cannot make '%s': it must be a relative path",
                              path);
        if (n > NAME_MAX)
            return error_sys(err, ENAMETOOLONG, "cannot make '%s'", path);
        memcpy(name, p, n);
        name[n] = '\0';
        p += n;
        p += strspn(p, "/");
        if (strcmp(name, ".") == 0)
            continue;
        if (strcmp(name, "..") == 0)
            return error_fail(err, "cannot make '%s': it has '..' in it", path);
        next = make_and_enter(fd, name, mode, path, err);
        if (next < 0)
            return -1;
        close(fd);
        fd = next;
    }
    return steal_fd(&fd);
}

int pathfd_make_dirs_user(const char *path, mode_t mode, struct error *err)
{
    _cleanup_free_ char *prefix = strdup(path);
    char *p = prefix;
    int fd;

    if (!prefix)
        return error_oom(err);
    if (path[0] != '/')
        return error_fail(err, "cannot make '%s': it must be an absolute path", path);
    /* mostly it is there, and each mkdir takes a lock to say so */
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    while (*(p += strspn(p, "/"))) {
        struct stat st;
        char kept;

        p += strcspn(p, "/");
        kept = *p;
        *p = '\0';
        /* what is there may answer EROFS or EACCES instead of EEXIST */
        if (mkdir(prefix, mode) < 0 && errno != EEXIST) {
            int saved = errno;

            if (stat(prefix, &st) < 0)
                return error_sys(err, saved, "cannot make the directory '%s'", prefix);
        }
        *p = kept;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_sys(err, errno, "cannot open the directory '%s'", path) : fd;
}

static int read_error(int fd, struct error *err, int errnum, const char *what)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *name = pathfd_name(fd, &ignored);

    return error_sys(err, errnum, "cannot read '%s'%s", name ? name : "a file", what);
}

int pathfd_names(int dirfd, struct strv *names, struct error *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir) {
        error_sys(err, errno, "cannot list a directory");
        cleanup_closep(&fd);
        return -1;
    }
    while ((errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            strv_add(names, e->d_name);
    failed = errno;
    closedir(dir);
    if (failed)
        return error_sys(err, failed, "cannot list a directory");
    strv_sort(names);
    return strv_check(names, err);
}

int pathfd_read_all(int fd, size_t max, struct buf *out, struct error *err)
{
    char chunk[16 * 1024];
    size_t total = 0;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return read_error(fd, err, errno, "");
    if (!S_ISREG(st.st_mode))
        return read_error(fd, err, 0, ": it is not a regular file");
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return read_error(fd, err, errno, "");
        if (n == 0)
            return buf_check(out, err);
        if ((size_t)n > max - total) {
            read_error(fd, err, 0, "");
            err->errnum = EFBIG;
            return error_hint(err, "it is larger than the %zu bytes that are accepted",
                              max);
        }
        buf_add(out, chunk, (size_t)n);
        total += (size_t)n;
    }
}
