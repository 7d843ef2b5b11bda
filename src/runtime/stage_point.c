/* Mount points: looked up and made below a root that nothing can lead out of. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/pathset.h"
#include "runtime/stage_internal.h"
#include "sys/pathfd.h"

void stage_way_release(struct stage_way *w)
{
    free(w->dir);
    cleanup_closep(&w->dirfd);
    w->dir = NULL;
    w->dirfd = -1;
}

void stage_way_mounted(struct stage_way *w, const char *dest)
{
    size_t n = strlen(dest);

    if (w->dir && strncmp(w->dir, dest, n) == 0 &&
        (w->dir[n] == '/' || w->dir[n] == '\0'))
        stage_way_release(w);
}

/* The directory at path, made with its parents when it is missing. Recursion is as deep
 * as what is missing. */
static int make_dir(int root, const char *path, struct error *err)
{
    int fd = pathfd_open_in_root(root, path, O_PATH | O_DIRECTORY, 0, err);
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *above = NULL;
    _cleanup_close_ int parent = -1;

    if (fd >= 0 || err->errnum != ENOENT || !slash || slash == path + strlen(path) - 1)
        return fd;
    error_clear(err);
    above = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!above)
        return error_oom(err);
    parent = make_dir(root, above, err);
    if (parent < 0)
        return -1;
    if (mkdirat(parent, slash + 1, 0755) < 0 && errno != EEXIST)
        return error_sys(err, errno, "cannot make the directory '%s' in the sandbox",
                         path);
    return pathfd_open_nofollow(parent, slash + 1, O_PATH | O_DIRECTORY, 0, err);
}

/* The directory that dest's last component is in, and that component. Borrowed. */
static int open_parent(struct stage_way *w, const char *dest, const char **name,
                       struct error *err)
{
    const char *slash = strrchr(dest, '/');
    size_t n = slash ? (size_t)(slash - dest) : 0;

    *name = slash ? slash + 1 : dest;
    if (!**name)
        *name = "."; /* the root itself */
    if (w->dir && strncmp(w->dir, dest, n) == 0 && w->dir[n] == '\0')
        return w->dirfd;
    stage_way_release(w);
    w->dir = strndup(dest, n);
    if (!w->dir)
        return error_oom(err);
    w->dirfd = make_dir(w->root, n ? w->dir : "/", err);
    if (w->dirfd < 0)
        stage_way_release(w);
    return w->dirfd;
}

/* Makes name in parent: 0; 1 it was there. */
static int make(int parent, const char *name, enum stage_point type, const char *dest,
                struct error *err)
{
    int fd;

    if (type == STAGE_POINT_DIR) {
        if (mkdirat(parent, name, 0755) == 0)
            return 0;
        return errno == EEXIST
                   ? 1
                   : error_sys(err, errno,
                               "cannot make the directory '%s' in the sandbox", dest);
    }
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0644);
    if (fd < 0)
        return errno == EEXIST
                   ? 1
                   : error_sys(err, errno, "cannot make the file '%s' in the sandbox",
                               dest);
    close(fd);
    return 0;
}

int stage_make_point(struct stage_way *w, const char *dest, enum stage_point type,
                     struct error *err)
{
    const char *name;
    int parent = open_parent(w, dest, &name, err);

    return parent < 0 || make(parent, name, type, dest, err) < 0 ? -1 : 0;
}

int stage_point(struct stage_way *w, const char *dest, enum stage_point type,
                struct error *err)
{
    const int flags = O_PATH | (type == STAGE_POINT_DIR ? O_DIRECTORY : 0);
    const char *name;
    int parent = open_parent(w, dest, &name, err), fd;

    if (parent < 0)
        return -1;
    fd = pathfd_open_nofollow(parent, name, flags, 0, err);
    if (fd >= 0)
        return fd;
    if (err->errnum == ENOENT) {
        error_clear(err);
        if (make(parent, name, type, dest, err) < 0)
            return -1;
        return pathfd_open_nofollow(parent, name, flags, 0, err);
    }
    /* a link is followed, inside the root */
    if (err->errnum != ELOOP && err->errnum != ENOTDIR)
        return -1;
    error_clear(err);
    if (type == STAGE_POINT_DIR)
        return make_dir(w->root, dest, err);
    return pathfd_open_in_root(w->root, dest, flags, 0, err);
}

int stage_symlink(struct stage_way *w, const char *target, const char *dest,
                  struct error *err)
{
    const char *name;
    int parent = open_parent(w, dest, &name, err);

    if (parent < 0)
        return -1;
    if (symlinkat(target, parent, name) < 0)
        return error_sys(err, errno, "cannot make the link '%s' in the sandbox", dest);
    return 0;
}

int stage_on_root(const struct plan *plan, bool *out, struct error *err)
{
    struct pathset covers = PATHSET_INIT;
    bool failed;

    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *m = &plan->mounts[i];

        out[i] = strcmp(m->dest, "/") != 0 && m->kind != PLAN_MOUNT_REMOUNT_RO &&
                 !pathset_cover(&covers, m->dest);
        if (out[i] && m->kind != PLAN_MOUNT_DIR && m->kind != PLAN_MOUNT_SYMLINK)
            pathset_add(&covers, m->dest, i);
    }
    failed = covers.failed;
    pathset_release(&covers);
    return failed ? error_oom(err) : 0;
}

enum stage_point stage_point_of(const struct assembly *a, size_t i)
{
    struct stat st;

    switch (a->plan->mounts[i].kind) {
    case PLAN_MOUNT_DATA:
        return STAGE_POINT_FILE;
    case PLAN_MOUNT_BIND_RO:
    case PLAN_MOUNT_BIND_RW:
    case PLAN_MOUNT_BIND_DEV:
        /* not staged (below /proc): a directory */
        if (a->sources[i] >= 0 && fstat(a->sources[i], &st) == 0 &&
            !S_ISDIR(st.st_mode))
            return STAGE_POINT_FILE;
        return STAGE_POINT_DIR;
    default:
        return STAGE_POINT_DIR;
    }
}
