#include "image/roottree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "sys/pathfd.h"

void roottree_release(struct roottree *t)
{
    size_t i;

    for (i = 0; i < t->n_layers; i++) {
        cleanup_closep(&t->layers[i].fd);
        free(t->layers[i].prefix);
        free(t->layers[i].path);
    }
    for (i = 0; i < t->n_dirs; i++)
        free(t->dirs[i].path);
    free(t->layers);
    free(t->dirs);
    *t = (struct roottree)ROOTTREE_INIT;
}

static int copy(char **to, const char *text, struct error *err)
{
    *to = text ? strdup(text) : NULL;
    return text && !*to ? error_oom(err) : 0;
}

int roottree_add(struct roottree *t, int fd, const char *path, const char *prefix,
                 struct error *err)
{
    struct roottree_layer *more =
                              reallocarray(t->layers, t->n_layers + 1, sizeof(*more)),
                          *l;

    if (!more) {
        cleanup_closep(&fd);
        return error_oom(err);
    }
    t->layers = more;
    l = &more[t->n_layers++];
    *l = (struct roottree_layer){.fd = fd};
    return copy(&l->path, path, err) < 0 ? -1 : copy(&l->prefix, prefix, err);
}

int roottree_add_dir(struct roottree *t, const char *path, mode_t mode,
                     const struct timespec *mtime, struct error *err)
{
    struct roottree_dir *more = reallocarray(t->dirs, t->n_dirs + 1, sizeof(*more)), *d;

    if (!more)
        return error_oom(err);
    t->dirs = more;
    d = &more[t->n_dirs++];
    *d = (struct roottree_dir){.mode = mode, .mtime = *mtime};
    return copy(&d->path, path, err);
}

/* Is path the directory, or below it? "" has everything. */
static bool is_within(const char *path, const char *dir)
{
    return !*dir || path_is_within(path, dir);
}

/* Can the layer have something at the path? */
static bool may_have(const struct roottree_layer *l, const char *path)
{
    const char *prefix = l->prefix ? l->prefix : "";

    return is_within(path, prefix) || is_within(prefix, path);
}

static int open_layer(struct roottree_layer *l, struct error *err)
{
    if (l->fd >= 0)
        return 0;
    l->fd = open(l->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return l->fd < 0 ? error_sys(err, errno, "cannot open '%s'", l->path) : 0;
}

/* The layer's entry: a descriptor; -2 nothing; -3 something else is on the way, which
 * hides what lower layers have; -1 with err. */
static int open_in_layer(struct roottree_layer *l, const char *path, struct error *err)
{
    int fd;

    if (open_layer(l, err) < 0)
        return -1;
    fd = pathfd_open_nofollow(l->fd, path[0] ? path : ".", O_PATH | O_NOFOLLOW, 0, err);
    if (fd >= 0)
        return fd;
    switch (err->errnum) {
    case ENOENT:
    case ENAMETOOLONG:
        error_clear(err);
        return -2;
    case ENOTDIR:
    case ELOOP:
        error_clear(err);
        return -3;
    default:
        return -1;
    }
}

/* What the image says of a directory, where it is not what the layer has. */
static void correct(const struct roottree *t, const char *path, struct stat *st)
{
    size_t i;

    for (i = 0; i < t->n_dirs && S_ISDIR(st->st_mode); i++)
        if (strcmp(t->dirs[i].path, path) == 0) {
            st->st_mode = S_IFDIR | t->dirs[i].mode;
            st->st_mtim = t->dirs[i].mtime;
        }
}

int roottree_look(const struct roottree *t, const char *path, struct stat *st, int *fd,
                  struct error *err)
{
    size_t i;

    for (i = t->n_layers; i-- > 0;) {
        _cleanup_close_ int found = -1;

        if (!may_have(&t->layers[i], path))
            continue;
        found = open_in_layer(&t->layers[i], path, err);
        if (found == -2)
            continue;
        if (found < 0)
            return found == -3 ? 1 : -1;
        if (fstat(found, st) < 0)
            return error_sys(err, errno, "cannot stat \"/%s\" of the image", path);
        correct(t, path, st);
        if (fd)
            *fd = steal_fd(&found);
        return 0;
    }
    return 1;
}

static int read_names(int fd, const char *path, struct strv *names, struct error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *e;

    if (!dir) {
        cleanup_closep(&copy);
        return error_sys(err, errno, "cannot read the directory \"/%s\" of the image",
                         path);
    }
    while ((errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            strv_add(names, e->d_name);
    if (errno)
        return error_sys(err, errno, "cannot read the directory \"/%s\" of the image",
                         path);
    return strv_check(names, err);
}

/* Sorts, and keeps one of equals. */
static void make_unique(struct strv *names)
{
    size_t i, kept = 0;

    strv_sort(names);
    for (i = 0; i < names->count; i++) {
        if (kept > 0 && strcmp(names->items[kept - 1], names->items[i]) == 0)
            free(names->items[i]);
        else
            names->items[kept++] = names->items[i];
    }
    if (kept < names->count)
        names->items[kept] = NULL;
    names->count = kept;
}

int roottree_list(const struct roottree *t, const char *path, struct strv *names,
                  struct error *err)
{
    size_t i;

    for (i = t->n_layers; i-- > 0;) {
        _cleanup_close_ int found = -1;
        struct stat st;

        if (!may_have(&t->layers[i], path))
            continue;
        found = open_in_layer(&t->layers[i], path, err);
        if (found == -2)
            continue;
        if (found < 0 && found != -3)
            return -1;
        if (found < 0 || fstat(found, &st) < 0 || !S_ISDIR(st.st_mode))
            break;
        if (read_names(found, path, names, err) < 0)
            return -1;
    }
    make_unique(names);
    return strv_check(names, err);
}
