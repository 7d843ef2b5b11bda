/* A minimal /dev: the nodes that every program may expect, as bwrap --dev has them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/stage_internal.h"
#include "sys/mountfd.h"

static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
    {"core", "/proc/kcore"},       {"ptmx", "pts/ptmx"},
};

/* The host's device at path, as name. */
static int bind_node(int dev, const char *path, const char *name, struct error *err)
{
    _cleanup_close_ int source = mountfd_clone(AT_FDCWD, path, err);
    _cleanup_close_ int target = -1;

    if (source < 0 || mountfd_restrict(source, MOUNTFD_NOSUID, true, err) < 0)
        return -1;
    target =
        openat(dev, name, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    if (target < 0)
        return error_sys(err, errno, "cannot make /dev/%s", name);
    if (mountfd_attach(source, target, err) < 0)
        return error_context(err, "/dev/%s", name);
    return 0;
}

/* Terminals of the sandbox's own. */
static int make_pts(int dev, struct error *err)
{
    const char *const options[] = {"ptmxmode", "0666", "mode", "620", NULL};
    _cleanup_close_ int pts =
        mountfd_new("devpts", options, MOUNTFD_NOSUID | MOUNTFD_NOEXEC, err);
    _cleanup_close_ int target = -1;

    if (pts < 0)
        return -1;
    target = openat(dev, "pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (target < 0)
        return error_sys(err, errno, "cannot make /dev/pts");
    return mountfd_attach(pts, target, err);
}

/* An interactive command has its terminal as /dev/console. */
static int bind_console(int dev, struct error *err)
{
    char path[PATH_MAX];

    if (ttyname_r(STDOUT_FILENO, path, sizeof(path)) != 0)
        return 0;
    return bind_node(dev, path, "console", err);
}

int stage_make_dev(int target, struct error *err)
{
    const char *const options[] = {"mode", "0755", NULL};
    _cleanup_close_ int dev =
        mountfd_new("tmpfs", options, MOUNTFD_NOSUID | MOUNTFD_NODEV, err);

    if (dev < 0 || mountfd_attach(dev, target, err) < 0)
        return -1;
    for (size_t i = 0; i < array_size(nodes); i++) {
        char path[32];

        snprintf(path, sizeof(path), "/dev/%s", nodes[i]);
        if (bind_node(dev, path, nodes[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < array_size(links); i++)
        if (symlinkat(links[i].target, dev, links[i].name) < 0)
            return error_sys(err, errno, "cannot make /dev/%s", links[i].name);
    if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
        return error_sys(err, errno, "cannot make a directory in /dev");
    return make_pts(dev, err) < 0 ? -1 : bind_console(dev, err);
}
