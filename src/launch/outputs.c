#include "launch/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "sys/pathfd.h"

#define OUTPUTS "/outputs/"

void outputs_open(struct outputs *o, const char *base)
{
    _cleanup_free_ char *path = str_printf("%s/outputs", base);
    struct error ignored = ERROR_INIT;

    *o = (struct outputs){.base = base, .fd = -1};
    if (path)
        o->fd = pathfd_open_user(path, O_PATH | O_DIRECTORY, &ignored);
    if (o->fd >= 0)
        o->name = pathfd_name(o->fd, &ignored);
}

void outputs_release(struct outputs *o)
{
    cleanup_closep(&o->fd);
    free(o->name);
    o->name = NULL;
}

/* Splits base/outputs/<...>/out[/rest]: the length of the part up to and with "out", 0
 * when path is none. */
static size_t out_length(const char *base, const char *path)
{
    size_t n = strlen(base);
    const char *p = path + n;
    unsigned depth = 0;

    if (strncmp(path, base, n) != 0 || strncmp(p, OUTPUTS, strlen(OUTPUTS)) != 0)
        return 0;
    p += strlen(OUTPUTS);
    while (*p) {
        size_t len = strcspn(p, "/");

        /* job/out, job/scatter/out, job/branch-N/step-NAME/out */
        if (depth > 0 && len == 3 && strncmp(p, "out", 3) == 0)
            return (size_t)(p - path) + 3;
        if (++depth > 3)
            return 0;
        p += len + (p[len] == '/');
    }
    return 0;
}

/* The artifact cannot be opened beneath its producer's out: when its last component is
 * a symbolic link, that link is made again in the sandbox, unless all of out is bound
 * before and has it (bwrap makes no link where one is). */
static int bind_link(struct bindlist *l, int outfd, const char *rest, const char *path,
                     struct error *err)
{
    char target[4096];
    _cleanup_free_ char *parent = NULL;
    _cleanup_close_ int dirfd = -1;
    const char *slash = strrchr(rest, '/');
    const char *leaf = slash ? slash + 1 : rest;
    struct error ignored = ERROR_INIT;
    ssize_t n;

    parent = slash ? strndup(rest, (size_t)(slash - rest)) : strdup(".");
    if (!parent)
        return error_oom(err);
    dirfd = pathfd_open_beneath(outfd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                                &ignored);
    if (dirfd < 0)
        return -1;
    n = readlinkat(dirfd, leaf, target, sizeof(target) - 1);
    if (n <= 0 || (size_t)n >= sizeof(target) - 1)
        return -1;
    target[n] = '\0';
    error_clear(err);
    if (bindlist_shows(l, path))
        return 0;
    return bindlist_add(l, PLAN_MOUNT_SYMLINK, PLAN_ROLE_INPUT, target, path, true,
                        err);
}

/* The type of what is open, and the bind of it. */
static int bind_open(struct bindlist *l, int fd, const char *source, const char *path,
                     struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "artifact %s", path);
    return bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, source, path,
                        !S_ISDIR(st.st_mode), err);
}

/* Through links, which must not leave out. */
static int bind_linked(struct bindlist *l, const char *path, size_t out_len,
                       struct error *err)
{
    _cleanup_free_ char *out = strndup(path, out_len), *source = NULL;
    _cleanup_close_ int outfd = -1, fd = -1;
    const char *rest = path + out_len + strspn(path + out_len, "/");

    if (!out)
        return error_oom(err);
    outfd = pathfd_open_user(out, O_PATH | O_DIRECTORY, err);
    if (outfd < 0)
        return error_context(err, "artifact %s", path);
    fd = pathfd_open_beneath(outfd, *rest ? rest : ".", O_PATH, 0, err);
    if (fd < 0) {
        if (*rest && bind_link(l, outfd, rest, path, err) == 0)
            return 0;
        if (err->errnum == ENOENT) {
            error_clear(err);
            return 1;
        }
        return error_context(err, "artifact %s", path);
    }
    source = pathfd_name(fd, err);
    return source ? bind_open(l, fd, source, path, err) : -1;
}

/* What is there without a link on the way lies beneath its out, and has the directory's
 * name in front of its own. 1: it is not such a one. */
static int bind_plain(const struct outputs *o, struct bindlist *l, const char *path,
                      struct error *err)
{
    const char *rest = path + strlen(o->base) + strlen(OUTPUTS);
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *source = NULL;
    _cleanup_close_ int fd = -1;

    if (!o->name || !is_relative_path(rest))
        return 1;
    fd = pathfd_open_nofollow(o->fd, rest, O_PATH, 0, &ignored);
    if (fd < 0)
        return 1;
    source = str_printf("%s/%s", o->name, rest);
    return source ? bind_open(l, fd, source, path, err) : error_oom(err);
}

int outputs_bind(const struct outputs *o, struct bindlist *l, const char *path,
                 struct error *err)
{
    size_t out_len = out_length(o->base, path);
    int r;

    if (out_len == 0)
        return error_fail(err,
                          "artifact %s is not below an out directory of %s/outputs",
                          path, o->base);
    r = bind_plain(o, l, path, err);
    return r == 1 ? bind_linked(l, path, out_len, err) : r;
}
