#include "image/rootscan.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "image/rootpath.h"
#include "sys/pathfd.h"

#define READ_MAX ((size_t)1024 * 1024)

/* Mount points that every sandbox has, whatever the image looks like. */
static const char *const fixed_points[] = {"/dev", "/proc", "/tmp"};

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Notes a directory that lacks a mount point, with all above it: an opened directory is
 * no part of the image's bind, so its parents cannot be either. */
static void open_dir(struct strv *opened, const char *path)
{
    _cleanup_free_ char *dir = strdup(path);
    char *slash;

    while (dir && strcmp(dir, "/") != 0) {
        if (!strv_contains(opened, dir))
            strv_add(opened, dir);
        slash = strrchr(dir, '/');
        slash[slash == dir ? 1 : 0] = '\0';
    }
    if (!dir || !strv_contains(opened, "/"))
        strv_add(opened, dir ? "/" : NULL);
}

static void open_parent(struct strv *opened, const char *path)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = NULL;

    dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (dir)
        open_dir(opened, dir);
    else
        strv_add(opened, NULL);
}

static int add_dest(struct rootview *v, const char *wanted, const char *resolved,
                    struct error *err)
{
    struct rootview_dest *d = &v->dests[v->n_dests];

    d->wanted = strdup(wanted);
    d->resolved = strdup(resolved);
    v->n_dests++;
    return d->wanted && d->resolved ? 0 : error_oom(err);
}

/* A want below another mount is on that mount, not in the image: only the part that the
 * image's links move is replaced. NULL: it is not below one. The deepest counts. */
static int dest_below(struct rootview *v, const char *dest, const char *const *fixed,
                      size_t n_fixed, char **out, struct error *err)
{
    const struct rootview_dest *best = NULL;
    size_t i;

    for (i = 0; i < n_fixed; i++)
        if (strcmp(dest, fixed[i]) == 0 || is_below(dest, fixed[i])) {
            *out = strdup(dest);
            return *out ? 0 : error_oom(err);
        }
    for (i = 0; i < v->n_dests; i++)
        if ((strcmp(dest, v->dests[i].wanted) == 0 ||
             is_below(dest, v->dests[i].wanted)) &&
            (!best || strlen(v->dests[i].wanted) > strlen(best->wanted)))
            best = &v->dests[i];
    if (!best)
        return 1;
    *out = str_printf("%s%s", best->resolved, dest + strlen(best->wanted));
    return *out ? 0 : error_oom(err);
}

/* Is the resolved place on another mount that comes before? */
static bool on_mount(const struct rootview *v, const char *path)
{
    size_t i;

    for (i = 0; i < v->n_dests; i++)
        if (strcmp(path, v->dests[i].resolved) == 0 ||
            is_below(path, v->dests[i].resolved))
            return true;
    return strcmp(path, "/tmp") == 0 || is_below(path, "/tmp") ||
           strcmp(path, "/") == 0;
}

/* Opens what must be opened so that a mount can be at the resolved place. */
static void place(struct strv *opened, const struct rootpath *where, bool is_file)
{
    bool complete = strcmp(where->path, where->existing) == 0;

    if (complete && S_ISDIR(where->mode) != is_file)
        return;
    if (complete || !S_ISDIR(where->mode))
        open_parent(opened, where->existing); /* of the wrong type: it is replaced */
    else
        open_dir(opened, where->existing);
}

static int scan_want(int rootfd, const struct rootscan_want *want, struct rootview *v,
                     struct strv *opened, struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};
    _cleanup_free_ char *below = NULL;
    size_t i;
    int rc;

    rc = dest_below(v, want->dest, fixed_points, array_size(fixed_points), &below, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return add_dest(v, want->dest, below, err);
    if (rootpath_resolve(rootfd, want->dest, &where, err) < 0)
        return error_context(err, "mount point \"%.300s\" in the image", want->dest);
    for (i = 0; i < 2; i++)
        if (strcmp(where.path, fixed_points[i]) == 0 ||
            is_below(where.path, fixed_points[i]))
            return error_fail(err,
                              "the image's links lead the mount point \"%.300s\" to "
                              "\"%.300s\"; choose another destination",
                              want->dest, where.path);
    if (!on_mount(v, where.path))
        place(opened, &where, want->is_file);
    return add_dest(v, want->dest, where.path, err);
}

static int scan_fixed(int rootfd, struct strv *opened, struct error *err)
{
    size_t i;

    for (i = 0; i < array_size(fixed_points); i++) {
        struct stat st;

        if (fstatat(rootfd, fixed_points[i] + 1, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno != ENOENT)
                return error_sys(err, errno, "cannot look at \"%s\" of the image",
                                 fixed_points[i]);
            open_dir(opened, "/");
        } else if (!S_ISDIR(st.st_mode)) {
            open_dir(opened, "/");
        }
    }
    return 0;
}

static int add_entry(struct rootview_dir *dir, int fd, const char *name,
                     struct error *err)
{
    struct rootview_entry *e = &dir->entries[dir->n_entries];
    char target[PATH_MAX];
    struct stat st;
    ssize_t n;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot look at \"%s/%s\" of the image", dir->path,
                         name);
    e->name = strdup(name);
    e->target = NULL;
    e->type = S_ISDIR(st.st_mode)   ? ROOTVIEW_DIR
              : S_ISLNK(st.st_mode) ? ROOTVIEW_SYMLINK
                                    : ROOTVIEW_FILE;
    dir->n_entries++;
    if (S_ISLNK(st.st_mode)) {
        n = readlinkat(fd, name, target, sizeof(target) - 1);
        if (n < 0)
            return error_sys(err, errno, "cannot read the link \"%s/%s\" of the image",
                             dir->path, name);
        target[n] = '\0';
        e->target = strdup(target);
    }
    if (!e->name || (S_ISLNK(st.st_mode) && !e->target))
        return error_oom(err);
    return 0;
}

static int read_names(int fd, const char *path, struct strv *names, struct error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), saved;
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (!dir) {
        cleanup_closep(&copy);
        return error_sys(err, errno, "cannot read the directory \"%s\" of the image",
                         path);
    }
    while ((errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            strv_add(names, e->d_name);
    saved = errno;
    closedir(dir);
    if (saved)
        return error_sys(err, saved, "cannot read the directory \"%s\" of the image",
                         path);
    strv_sort(names);
    return strv_check(names, err);
}

static int read_dir(int rootfd, const char *path, struct rootview_dir *dir,
                    struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    _cleanup_close_ int fd = -1;
    size_t i;

    dir->path = strdup(path);
    if (!dir->path)
        return error_oom(err);
    fd = pathfd_open_nofollow(rootfd, path[1] ? path + 1 : ".", O_PATH | O_DIRECTORY, 0,
                              err);
    if (fd < 0 || read_names(fd, path, &names, err) < 0)
        return -1;
    if (names.count == 0)
        return 0;
    dir->entries = calloc(names.count, sizeof(*dir->entries));
    if (!dir->entries)
        return error_oom(err);
    for (i = 0; i < names.count; i++)
        if (add_entry(dir, fd, names.items[i], err) < 0)
            return -1;
    return 0;
}

static int read_dirs(int rootfd, struct strv *opened, struct rootview *v,
                     struct error *err)
{
    size_t i;

    if (strv_check(opened, err) < 0)
        return -1;
    if (opened->count == 0)
        return 0;
    strv_sort(opened); /* a parent is a prefix of its children, so it comes first */
    v->dirs = calloc(opened->count, sizeof(*v->dirs));
    if (!v->dirs)
        return error_oom(err);
    for (i = 0; i < opened->count; i++) {
        v->n_dirs++;
        if (read_dir(rootfd, opened->items[i], &v->dirs[i], err) < 0)
            return -1;
    }
    return 0;
}

int rootscan(int rootfd, const struct rootscan_want *wants, size_t n,
             struct rootview *out, struct error *err)
{
    _cleanup_strv_ struct strv opened = STRV_INIT;
    size_t i;
    int rc;

    *out = (struct rootview)ROOTVIEW_INIT;
    out->dests = calloc(n ? n : 1, sizeof(*out->dests));
    if (!out->dests)
        return error_oom(err);
    rc = scan_fixed(rootfd, &opened, err);
    for (i = 0; rc == 0 && i < n; i++)
        rc = scan_want(rootfd, &wants[i], out, &opened, err);
    if (rc == 0)
        rc = read_dirs(rootfd, &opened, out, err);
    if (rc < 0)
        rootview_release(out);
    return rc;
}

int rootscan_has_program(int rootfd, const char *path)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = -1;
    struct stat st;

    fd = pathfd_open_in_root(rootfd, path, O_PATH, 0, &ignored);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
           (st.st_mode & 0111) != 0;
}

int rootscan_read(int rootfd, const char *path, struct buf *out, struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    fd = pathfd_open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
    if (fd < 0 && (err->errnum == ENOENT || err->errnum == ENOTDIR)) {
        error_clear(err);
        return 0;
    }
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot stat \"%s\" of the image", path);
    return S_ISREG(st.st_mode) ? pathfd_read_all(fd, READ_MAX, out, err) : 0;
}
