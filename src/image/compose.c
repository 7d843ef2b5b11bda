#include "image/compose.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/layernotes.h"
#include "image/rootpath.h"
#include "image/treecopy.h"
#include "image/treewriter.h"
#include "sys/pathfd.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

struct compose_dir {
    char *path; /* "." is the root */
    struct timespec mtime;
};

void compose_init(struct compose *c, int rootfd, const struct image_progress *progress)
{
    *c = (struct compose){.rootfd = rootfd, .progress = progress};
}

void compose_release(struct compose *c)
{
    size_t i;

    for (i = 0; i < c->n_dirs; i++)
        free(c->dirs[i].path);
    free(c->dirs);
}

static int add_time(struct compose *c, const char *path, const struct timespec *mtime,
                    struct error *err)
{
    struct compose_dir *dirs;

    if (c->n_dirs == c->cap_dirs) {
        size_t cap = c->cap_dirs ? 2 * c->cap_dirs : 256;

        dirs = realloc(c->dirs, cap * sizeof(*dirs));
        if (!dirs)
            return error_oom(err);
        c->dirs = dirs;
        c->cap_dirs = cap;
    }
    c->dirs[c->n_dirs].path = strdup(path);
    if (!c->dirs[c->n_dirs].path)
        return error_oom(err);
    c->dirs[c->n_dirs++].mtime = *mtime;
    return 0;
}

/* What one directory of the layer holds, markers apart. */
struct listing {
    struct strv names, gone;
    bool opaque;
};

static void listing_release(struct listing *l)
{
    strv_release(&l->names);
    strv_release(&l->gone);
}

static int list(int dirfd, struct listing *l, struct error *err)
{
    const size_t prefix = strlen(WHITEOUT_PREFIX);
    int fd = openat(dirfd, ".", DIR_FLAGS | O_CLOEXEC), saved;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir) {
        cleanup_closep(&fd);
        return error_sys(err, errno, "cannot read a directory of an extracted layer");
    }
    while ((errno = 0, e = readdir(dir))) {
        const char *name = e->d_name;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        if (strcmp(name, WHITEOUT_OPAQUE) == 0)
            l->opaque = true;
        else if (strncmp(name, WHITEOUT_PREFIX, prefix) == 0)
            strv_add(&l->gone, name + prefix);
        else
            strv_add(&l->names, name);
    }
    saved = errno;
    closedir(dir);
    if (saved)
        return error_sys(err, saved, "cannot read a directory of an extracted layer");
    return strv_check(&l->names, err) < 0 ? -1 : strv_check(&l->gone, err);
}

static int add_dir(int to, const char *name, struct error *err)
{
    struct stat st;

    if (mkdirat(to, name, 0755) == 0)
        return 0;
    if (errno != EEXIST)
        return error_sys(err, errno, "cannot make the directory \"%s\"", name);
    if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot stat \"%s\"", name);
    if (S_ISDIR(st.st_mode))
        return 0;
    if (unlinkat(to, name, 0) < 0 || mkdirat(to, name, 0755) < 0)
        return error_sys(err, errno, "cannot replace \"%s\" by a directory", name);
    return 0;
}

static int add_file(int from, int to, const char *name, struct error *err)
{
    int rc = treecopy_link(from, name, to, name, err);

    if (rc != 1)
        return rc;
    if (pathfd_remove_tree(to, name, err) < 0)
        return -1;
    rc = treecopy_link(from, name, to, name, err);
    return rc == 1 ? error_sys(err, EEXIST, "cannot replace \"%s\"", name) : rc;
}

static char *join(const char *dir, const char *name)
{
    return strcmp(dir, ".") == 0 ? strdup(name) : str_printf("%s/%s", dir, name);
}

/* A directory of the layer that is still to be added, and where it is in the tree:
 * below a link of a lower layer, the two have different names. */
static void add_todo(struct strv *todo, char *path, char *place)
{
    strv_take(todo, path);
    strv_take(todo, place);
}

/* A directory without an entry of its own, only on the way to something, and a layer
 * below has a link of that name: the link stays and leads the way, as it does when the
 * layer's tar is extracted over the layers below. 0 and *place (owned); 1: no link. */
static int follow_link(struct compose *c, int to, const char *name, char **place,
                       struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
        return 1;
    if (rootpath_resolve(c->rootfd, *place, &where, err) < 0)
        return error_context(err, "\"/%.200s\", a symbolic link", *place);
    if (!S_ISDIR(where.mode))
        return error_fail(err,
                          "\"/%.200s\" is a symbolic link to something that is not a "
                          "directory",
                          *place);
    free(*place);
    *place = where.path[1] ? strdup(where.path + 1) : strdup(".");
    if (!*place)
        return error_oom(err);
    fd = pathfd_make_dirs(c->rootfd, *place, 0755, err);
    return fd < 0 ? -1 : 0;
}

static int set_attributes(struct compose *c, int from, int to, const char *path,
                          const char *place, const struct layernotes *notes,
                          struct error *err)
{
    struct stat st;

    if (layernotes_is_implied(notes, path))
        return 0;
    if (fstat(from, &st) < 0)
        return error_sys(err, errno, "cannot stat");
    if (fchmod(to, st.st_mode & 0777) < 0)
        return error_sys(err, errno, "cannot set its mode");
    return add_time(c, place, &st.st_mtim, err);
}

/* A subdirectory of the layer: made in the tree, or found there, and appended to todo.
 */
static int add_subdirectory(struct compose *c, int to, const char *name,
                            const char *path, const char *place,
                            const struct layernotes *notes, struct strv *todo,
                            struct error *err)
{
    _cleanup_free_ char *below = join(path, name);
    _cleanup_free_ char *below_place = join(place, name);
    int rc = 1;

    if (!below || !below_place)
        return error_oom(err);
    if (layernotes_is_implied(notes, below))
        rc = follow_link(c, to, name, &below_place, err);
    if (rc < 0 || (rc == 1 && add_dir(to, name, err) < 0))
        return -1;
    add_todo(todo, steal_ptr(below), steal_ptr(below_place));
    return 0;
}

/* One directory of the layer; its subdirectories are appended to todo. */
static int add_directory(struct compose *c, int layerfd, const char *path,
                         const char *place, const struct layernotes *notes,
                         struct strv *todo, struct error *err)
{
    _cleanup_(listing_release) struct listing l = {STRV_INIT, STRV_INIT, false};
    _cleanup_close_ int from = -1, to = -1;
    struct stat st;
    size_t i;

    from = pathfd_open_nofollow(layerfd, path, DIR_FLAGS, 0, err);
    if (from < 0)
        return -1;
    to = pathfd_open_nofollow(c->rootfd, place, DIR_FLAGS, 0, err);
    if (to < 0 || list(from, &l, err) < 0)
        return -1;
    /* Nothing of this layer is in the directory yet, so the markers can only hit what
     * the layers below have put there. */
    if (l.opaque && pathfd_empty_dir(to, err) < 0)
        return -1;
    for (i = 0; i < l.gone.count; i++)
        if (pathfd_remove_tree(to, l.gone.items[i], err) < 0)
            return -1;
    for (i = 0; i < l.names.count; i++) {
        const char *name = l.names.items[i];

        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return error_sys(err, errno, "cannot stat \"%s\"", name);
        if (S_ISDIR(st.st_mode)
                ? add_subdirectory(c, to, name, path, place, notes, todo, err) < 0
                : add_file(from, to, name, err) < 0)
            return -1;
    }
    return set_attributes(c, from, to, path, place, notes, err);
}

/* Hard links into a layer below: their targets are in the tree by now. */
static int add_links(struct compose *c, const struct layernotes *notes,
                     struct error *err)
{
    size_t i;

    for (i = 0; i + 1 < notes->links.count; i += 2) {
        const char *name = notes->links.items[i], *target = notes->links.items[i + 1];
        const char *last = strrchr(name, '/'), *target_last = strrchr(target, '/');
        _cleanup_free_ char *dir = NULL, *target_dir = NULL;
        _cleanup_close_ int from = -1, to = -1;
        int rc;

        dir = last ? strndup(name, (size_t)(last - name)) : strdup(".");
        target_dir =
            target_last ? strndup(target, (size_t)(target_last - target)) : strdup(".");
        if (!dir || !target_dir)
            return error_oom(err);
        last = last ? last + 1 : name;
        target_last = target_last ? target_last + 1 : target;
        from = pathfd_open_in_root(c->rootfd, target_dir, O_PATH | O_DIRECTORY, 0, err);
        if (from < 0)
            return error_context(err, "hard link \"%.200s\" to \"%.200s\"", name,
                                 target);
        to = pathfd_open_in_root(c->rootfd, dir, O_PATH | O_DIRECTORY, 0, err);
        if (to < 0)
            return error_context(err, "hard link \"%.200s\"", name);
        rc = treecopy_link(from, target_last, to, last, err);
        if (rc == 1 && pathfd_remove_tree(to, last, err) == 0)
            rc = treecopy_link(from, target_last, to, last, err);
        if (rc != 0)
            return error_context(err,
                                 "hard link \"%.200s\" to \"%.200s\", which neither "
                                 "this layer nor one below has",
                                 name, target);
    }
    return 0;
}

int compose_layer(struct compose *c, int layerfd, const struct layernotes *notes,
                  struct error *err)
{
    _cleanup_strv_ struct strv todo = STRV_INIT;

    strv_add(&todo, ".");
    strv_add(&todo, ".");
    /* A list of paths instead of recursion: a hostile layer is thousands of levels
     * deep. */
    while (todo.count > 0) {
        _cleanup_free_ char *path = NULL, *place = NULL;

        if (strv_check(&todo, err) < 0 || progress_check(c->progress, err) < 0)
            return -1;
        todo.count -= 2;
        path = steal_ptr(todo.items[todo.count]);
        place = steal_ptr(todo.items[todo.count + 1]);
        if (add_directory(c, layerfd, path, place, notes, &todo, err) < 0)
            return error_context(err, "\"/%.300s\"", path);
    }
    return add_links(c, notes, err);
}

int compose_finish(struct compose *c, struct error *err)
{
    size_t i;

    for (i = 0; i < c->n_dirs; i++) {
        const struct compose_dir *d = &c->dirs[i];
        struct timespec times[2] = {d->mtime, d->mtime};
        _cleanup_close_ int fd = -1;

        fd = pathfd_open_nofollow(c->rootfd, d->path, DIR_FLAGS, 0, err);
        if (fd >= 0)
            futimens(fd, times);
        else
            error_clear(err); /* a layer above has taken the directory away */
    }
    return 0;
}
