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

static void leave_dir(struct stage_way *w)
{
    free(w->dir);
    cleanup_closep(&w->dirfd);
    w->dir = NULL;
    w->dirfd = -1;
}

void stage_way_release(struct stage_way *w)
{
    leave_dir(w);
    free(w->last);
    w->last = NULL;
}

/* Are the first n bytes of path dir, or below it? */
static bool is_within(const char *path, size_t n, const char *dir)
{
    size_t len = strcmp(dir, "/") == 0 ? 0 : strlen(dir);

    return len <= n && strncmp(path, dir, len) == 0 && (len == n || path[len] == '/');
}

void stage_way_mounted(struct stage_way *w, const char *dest)
{
    if (w->dir && is_within(w->dir, strlen(w->dir), dest))
        leave_dir(w);
}

/* The length of the deepest directory that both a and the first n bytes of b are at or
 * below. */
static size_t in_common(const char *a, const char *b, size_t n)
{
    size_t i = 0, slash = 0;

    for (; i < n && a[i] == b[i]; i++)
        if (a[i] == '/')
            slash = i;
    if ((i == n || b[i] == '/') && (a[i] == '\0' || a[i] == '/'))
        return i;
    return slash;
}

/* Goes to the directory from which dest is looked for; its own directory is the first n
 * bytes. What cannot be kept open is no error: the root always is. */
static void go(struct stage_way *w, const char *dest, size_t n)
{
    size_t common = w->last ? in_common(w->last, dest, n) : 0;
    struct error ignored = ERROR_INIT;

    if (w->dir && !is_within(dest, n, w->dir))
        leave_dir(w);
    if (common > (w->dir ? strlen(w->dir) : 0)) {
        leave_dir(w);
        w->dir = strndup(dest, common);
        if (w->dir)
            w->dirfd =
                pathfd_open_in_root(w->root, w->dir, O_PATH | O_DIRECTORY, 0, &ignored);
        if (w->dirfd < 0)
            leave_dir(w);
    }
    free(w->last);
    w->last = strndup(dest, n);
}

/* The directory that was gone to, and what is left from there to dest. Borrowed. */
static int from(const struct stage_way *w, const char *dest, const char **rest)
{
    *rest = dest + (w->dir ? strlen(w->dir) : 0);
    *rest += strspn(*rest, "/");
    if (!**rest)
        *rest = "."; /* the root itself */
    return w->dir ? w->dirfd : w->root;
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

static size_t parent_length(const char *dest)
{
    const char *slash = strrchr(dest, '/');

    return slash ? (size_t)(slash - dest) : 0;
}

/* The directory that dest's last component is in, made when it is missing, and that
 * component. Borrowed, or owned by *opened. */
static int open_parent(const struct stage_way *w, const char *dest, const char **name,
                       int *opened, struct error *err)
{
    size_t n = parent_length(dest);
    _cleanup_free_ char *path = NULL;
    int dir = from(w, dest, name);

    if (!strchr(*name, '/'))
        return dir;
    *name = dest + n + 1;
    path = strndup(dest, n);
    if (!path)
        return error_oom(err);
    *opened = make_dir(w->root, path, err);
    return *opened;
}

/* What rc of making a mount point means: 0; 1 it was there. */
static int made(int rc, enum stage_point type, const char *dest, struct error *err)
{
    if (rc >= 0)
        return 0;
    return errno == EEXIST
               ? 1
               : error_sys(err, errno, "cannot make the %s '%s' in the sandbox",
                           type == STAGE_POINT_DIR ? "directory" : "file", dest);
}

static int make(int parent, const char *name, enum stage_point type, const char *dest,
                struct error *err)
{
    int fd;

    if (type == STAGE_POINT_DIR)
        return made(mkdirat(parent, name, 0755), type, dest, err);
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0644);
    if (fd >= 0)
        close(fd);
    return made(fd, type, dest, err);
}

/* In a directory that was not there before, nothing is: no link, so that a path is as
 * good as descriptors. 1: the first component of rest was there. */
static int make_fresh(int dir, const char *rest, enum stage_point type,
                      const char *dest, struct error *err)
{
    _cleanup_free_ char *path = strdup(rest);
    int rc;

    if (!path)
        return error_oom(err);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = made(mkdirat(dir, path, 0755), STAGE_POINT_DIR, dest, err);
        *slash = '/';
        if (rc != 0)
            return rc;
    }
    rc = type == STAGE_POINT_DIR ? mkdirat(dir, path, 0755)
                                 : mknodat(dir, path, S_IFREG | 0644, 0);
    return made(rc, type, dest, err);
}

int stage_make_point(struct stage_way *w, const char *dest, enum stage_point type,
                     struct error *err)
{
    _cleanup_close_ int opened = -1;
    const char *rest, *name;
    int dir, rc, parent;

    go(w, dest, parent_length(dest));
    dir = from(w, dest, &rest);
    rc = make_fresh(dir, rest, type, dest, err);
    if (rc <= 0 || !strchr(rest, '/'))
        return rc < 0 ? -1 : 0;
    parent = open_parent(w, dest, &name, &opened, err);
    return parent < 0 || make(parent, name, type, dest, err) < 0 ? -1 : 0;
}

/* Makes what is missing, and follows links inside the root. */
static int find_or_make(struct stage_way *w, const char *dest, enum stage_point type,
                        int flags, struct error *err)
{
    _cleanup_close_ int opened = -1;
    const char *name;
    int parent = open_parent(w, dest, &name, &opened, err), fd;

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
    if (err->errnum != ELOOP && err->errnum != ENOTDIR)
        return -1;
    error_clear(err);
    if (type == STAGE_POINT_DIR)
        return make_dir(w->root, dest, err);
    return pathfd_open_in_root(w->root, dest, flags, 0, err);
}

int stage_point(struct stage_way *w, const char *dest, enum stage_point type,
                struct error *err)
{
    const int flags = O_PATH | (type == STAGE_POINT_DIR ? O_DIRECTORY : 0);
    struct error ignored = ERROR_INIT;
    const char *rest;
    int fd;

    go(w, dest, parent_length(dest));
    fd = from(w, dest, &rest);
    fd = pathfd_open_nofollow(fd, rest, flags, 0, &ignored);
    return fd >= 0 ? fd : find_or_make(w, dest, type, flags, err);
}

int stage_symlink(struct stage_way *w, const char *target, const char *dest,
                  struct error *err)
{
    _cleanup_close_ int opened = -1;
    const char *name;
    int parent;

    go(w, dest, parent_length(dest));
    parent = open_parent(w, dest, &name, &opened, err);
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
