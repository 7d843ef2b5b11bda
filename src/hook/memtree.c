#include "hook/memtree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int copy_dir(int from, int to);

static int copy_link(int from, int to, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

    if (n < 0)
        return -1;
    target[n] = '\0';
    return symlinkat(target, to, name);
}

static int copy_file(int from, int to, const char *name, const struct stat *st)
{
    _cleanup_close_ int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int out =
        openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    off_t done = 0;

    if (in < 0 || out < 0)
        return -1;
    while (done < st->st_size)
        if (sendfile(out, in, &done, (size_t)(st->st_size - done)) <= 0)
            return -1;
    return fchmod(out, st->st_mode & 07777);
}

static int copy_subdir(int from, int to, const char *name, const struct stat *st)
{
    _cleanup_close_ int in = openat(from, name, OPEN_DIR);
    _cleanup_close_ int out =
        in < 0 || mkdirat(to, name, 0700) < 0 ? -1 : openat(to, name, OPEN_DIR);

    if (out < 0 || copy_dir(in, out) < 0)
        return -1;
    return fchmod(out, st->st_mode & 07777);
}

static int copy_entry(int from, int to, const char *name)
{
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    switch (st.st_mode & S_IFMT) {
    case S_IFDIR:
        return copy_subdir(from, to, name, &st);
    case S_IFLNK:
        return copy_link(from, to, name);
    case S_IFREG:
        return copy_file(from, to, name, &st);
    default:
        errno = EINVAL;
        return -1;
    }
}

static int copy_dir(int from, int to)
{
    _cleanup_closedir_ DIR *dir = NULL;
    int copy = openat(from, ".", OPEN_DIR);
    struct dirent *d;

    dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir) {
        cleanup_closep(&copy);
        return -1;
    }
    while ((errno = 0, d = readdir(dir))) {
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
            continue;
        if (copy_entry(from, to, d->d_name) < 0)
            return -1;
    }
    return errno ? -1 : 0;
}

int memtree_mount(const char *path)
{
    _cleanup_close_ int from = open(path, OPEN_DIR);
    _cleanup_close_ int to = -1;

    if (from < 0 || mount("repx", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
        return -1;
    to = open(path, OPEN_DIR);
    return to < 0 ? -1 : copy_dir(from, to);
}
