#include "image/rootscan.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/pathset.h"
#include "base/strv.h"
#include "image/rootgaps.h"
#include "image/rootpath.h"
#include "image/roottree.h"
#include "sys/pathfd.h"

#define READ_MAX ((size_t)1024 * 1024)

/* Mount points that every sandbox has, whatever the image looks like. */
static const char *const fixed_points[] = {"/dev", "/proc", "/tmp"};

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

/* One look at a tree. */
struct scan {
    const struct roottree *tree;
    struct rootview *v;
    struct strv opened;              /* directories that lack a mount point */
    struct strv existing;            /* merged trees: those above mount points */
    struct pathset wanted, resolved; /* of v's dests, by number */
    struct rootgaps gaps;
};

static void scan_release(struct scan *s)
{
    strv_release(&s->opened);
    strv_release(&s->existing);
    pathset_release(&s->wanted);
    pathset_release(&s->resolved);
    rootgaps_release(&s->gaps);
}

static int resolve(struct scan *s, const char *dest, struct rootpath *where,
                   struct error *err)
{
    int rc = rootgaps_resolve(&s->gaps, dest, where, err);

    if (rc != 1)
        return rc;
    if (rootpath_resolve_tree(s->tree, dest, where, err) < 0)
        return error_context(err, "mount point \"%.300s\" in the image", dest);
    rootgaps_note(&s->gaps, dest, where);
    return 0;
}

static int add_dest(struct scan *s, const char *wanted, const char *resolved,
                    struct error *err)
{
    struct rootview_dest *d = &s->v->dests[s->v->n_dests];

    d->wanted = strdup(wanted);
    d->resolved = strdup(resolved);
    s->v->n_dests++;
    if (!d->wanted || !d->resolved)
        return error_oom(err);
    pathset_add(&s->wanted, d->wanted, s->v->n_dests - 1);
    pathset_add(&s->resolved, d->resolved, s->v->n_dests - 1);
    return s->wanted.failed || s->resolved.failed ? error_oom(err) : 0;
}

/* A want below another mount is on that mount, not in the image: only the part that the
 * image's links move is replaced. 1: it is not below one. The deepest counts. */
static int dest_below(const struct scan *s, const char *dest, char **out,
                      struct error *err)
{
    const struct pathset_item *best;
    size_t i;

    for (i = 0; i < array_size(fixed_points); i++)
        if (strcmp(dest, fixed_points[i]) == 0 ||
            path_is_below(dest, fixed_points[i])) {
            *out = strdup(dest);
            return *out ? 0 : error_oom(err);
        }
    best = pathset_cover(&s->wanted, dest);
    if (!best)
        return 1;
    *out = str_printf("%s%s", s->v->dests[best->value].resolved,
                      dest + strlen(best->path));
    return *out ? 0 : error_oom(err);
}

/* Is the resolved place on another mount that comes before? */
static bool on_mount(const struct scan *s, const char *path)
{
    return pathset_cover(&s->resolved, path) || strcmp(path, "/tmp") == 0 ||
           path_is_below(path, "/tmp") || strcmp(path, "/") == 0;
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

static int scan_want(struct scan *s, const struct rootscan_want *want,
                     struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};
    _cleanup_free_ char *below = NULL;
    size_t i;
    int rc;

    if (strcmp(want->dest, "/") == 0) {
        open_dir(s->tree->merged ? &s->existing : &s->opened, "/");
        return 0;
    }
    rc = dest_below(s, want->dest, &below, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return add_dest(s, want->dest, below, err);
    if (resolve(s, want->dest, &where, err) < 0)
        return -1;
    for (i = 0; i < 2; i++)
        if (strcmp(where.path, fixed_points[i]) == 0 ||
            path_is_below(where.path, fixed_points[i]))
            return error_fail(err,
                              "the image's links lead the mount point \"%.300s\" to "
                              "\"%.300s\"; choose another destination",
                              want->dest, where.path);
    if (s->tree->merged)
        open_dir(&s->existing, where.existing);
    else if (!on_mount(s, where.path))
        place(&s->opened, &where, want->is_file);
    return add_dest(s, want->dest, where.path, err);
}

static int scan_fixed(struct scan *s, struct error *err)
{
    size_t i;

    for (i = 0; i < array_size(fixed_points); i++) {
        struct stat st;
        int rc = roottree_look(s->tree, fixed_points[i] + 1, &st, NULL, err);

        if (rc < 0)
            return -1;
        if (rc == 1 || !S_ISDIR(st.st_mode))
            open_dir(&s->opened, "/");
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

static int read_dir(const struct roottree *tree, const char *path,
                    struct rootview_dir *dir, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    _cleanup_close_ int fd = -1;
    struct stat st;
    size_t i;
    int rc;

    dir->path = strdup(path);
    if (!dir->path)
        return error_oom(err);
    rc = roottree_look(tree, path + 1, &st, &fd, err);
    if (rc == 1)
        rc = error_fail(err, "the directory \"%s\" of the image vanished", path);
    if (rc < 0 || roottree_list(tree, path + 1, &names, err) < 0)
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

static int read_dirs(const struct roottree *tree, struct strv *opened,
                     struct rootview *v, struct error *err)
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
        if (read_dir(tree, opened->items[i], &v->dirs[i], err) < 0)
            return -1;
    }
    return 0;
}

/* The attributes of the directories on the way to `path`, and its own. */
static int add_attrs(const struct roottree *tree, const char *path, struct rootview *v,
                     struct error *err)
{
    struct rootview_attr *more;
    struct stat st;
    int rc = roottree_look(tree, path + 1, &st, NULL, err);

    if (rc != 0 || !S_ISDIR(st.st_mode))
        return rc < 0 ? -1 : 0;
    more = reallocarray(v->attrs, v->n_attrs + 1, sizeof(*more));
    if (!more)
        return error_oom(err);
    v->attrs = more;
    more[v->n_attrs] = (struct rootview_attr){
        .path = strdup(path),
        .mode = st.st_mode & 07777,
        .mtime_s = st.st_mtim.tv_sec,
        .mtime_ns = st.st_mtim.tv_nsec,
    };
    return more[v->n_attrs++].path ? 0 : error_oom(err);
}

/* Every directory that the layer with the mount points has in common with the image. */
static int scan_attrs(struct scan *s, struct error *err)
{
    struct strv *dirs = &s->existing;
    size_t i;

    open_dir(dirs, "/");
    for (i = 0; i < s->tree->n_dirs; i++) {
        _cleanup_free_ char *path = str_printf("/%s", s->tree->dirs[i].path);

        if (!path)
            return error_oom(err);
        open_dir(dirs, path);
    }
    if (strv_check(dirs, err) < 0)
        return -1;
    strv_sort(dirs);
    for (i = 0; i < dirs->count; i++)
        if (add_attrs(s->tree, dirs->items[i], s->v, err) < 0)
            return -1;
    return 0;
}

int rootscan(const struct roottree *tree, const struct rootscan_want *wants, size_t n,
             struct rootview *out, struct error *err)
{
    _cleanup_(scan_release) struct scan s = {.tree = tree, .v = out};
    size_t i;
    int rc;

    *out = (struct rootview)ROOTVIEW_INIT;
    out->dests = calloc(n ? n : 1, sizeof(*out->dests));
    if (!out->dests)
        return error_oom(err);
    out->merged = tree->merged;
    rc = scan_fixed(&s, err);
    for (i = 0; rc == 0 && i < n; i++)
        rc = scan_want(&s, &wants[i], err);
    if (rc == 0)
        rc = out->merged ? scan_attrs(&s, err) : read_dirs(tree, &s.opened, out, err);
    if (rc < 0)
        rootview_release(out);
    return rc;
}

/* What the path leads to, through the image's own links: an O_PATH descriptor. -1: it
 * is not there, or err says why not. */
static int open_followed(const struct roottree *tree, const char *path, struct stat *st,
                         struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};
    int fd = -1;

    if (rootpath_resolve_tree(tree, path, &where, err) < 0)
        return -1;
    if (strcmp(where.path, where.existing) != 0)
        return -1;
    return roottree_look(tree, where.path + 1, st, &fd, err) == 0 ? fd : -1;
}

int rootscan_has_program(const struct roottree *tree, const char *path)
{
    struct error ignored = ERROR_INIT;
    struct stat st;
    _cleanup_close_ int fd = open_followed(tree, path, &st, &ignored);

    return fd >= 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0;
}

int rootscan_read(const struct roottree *tree, const char *path, struct buf *out,
                  struct error *err)
{
    struct stat st;
    _cleanup_close_ int fd = open_followed(tree, path, &st, err);
    _cleanup_close_ int file = -1;
    char proc[64];

    if (fd < 0)
        return err->class == ERROR_NONE ? 0 : -1;
    if (!S_ISREG(st.st_mode))
        return 0;
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    file = open(proc, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return error_sys(err, errno, "cannot open \"%s\" of the image", path);
    return pathfd_read_all(file, READ_MAX, out, err);
}
