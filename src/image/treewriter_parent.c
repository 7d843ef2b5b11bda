/* Where an entry goes: its parent directory, found or made. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/rootpath.h"
#include "image/treewriter_private.h"
#include "sys/pathfd.h"

void treewriter_forget_parent(struct treewriter *w)
{
    treedir_unref(w->parent);
    w->parent = NULL;
    free(w->parent_name);
    w->parent_name = NULL;
}

int treewriter_settle(struct treewriter *w, struct error *err)
{
    return treefiles_wait(&w->files, err);
}

static struct treedir *root(struct treewriter *w, struct error *err)
{
    int fd;

    if (w->root)
        return w->root;
    fd = fcntl(w->rootfd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        error_sys(err, errno, "cannot keep the tree open");
    else
        w->root = treedir_new(fd, err);
    return w->root;
}

/* Notes each directory on the way that is about to be made without an entry of its own.
 */
static int note_implied(struct treewriter *w, const struct rootpath *where,
                        struct error *err)
{
    size_t done = strlen(where->existing);
    const char *p = where->path + done;

    while (*p) {
        enum nameset_kind before;
        _cleanup_free_ char *name = NULL;
        size_t len;

        p += strspn(p, "/");
        p += strcspn(p, "/");
        len = (size_t)(p - where->path) - 1;
        name = strndup(where->path + 1, len);
        strv_add(&w->notes.implied, name);
        if (nameset_put(&w->names, where->path + 1, len, NAMESET_DIR, &before, err) < 0)
            return -1;
    }
    return strv_check(&w->notes.implied, err);
}

/* Is one of the directories on the way a file that may still be under way? */
static bool is_below_file(const struct treewriter *w, const char *dir)
{
    const char *p = dir;

    do {
        p += strcspn(p, "/");
        if (nameset_get(&w->names, dir, (size_t)(p - dir)) == NAMESET_FILE)
            return true;
    } while (*p++);
    return false;
}

/* Parents that no entry of the layer names, perhaps behind a link whose target is still
 * missing: where they must be is found first, then they are made without any link. */
static int make_parent(struct treewriter *w, const char *dir, struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};

    if (is_below_file(w, dir) && treewriter_settle(w, err) < 0)
        return -1;
    if (rootpath_resolve(w->rootfd, dir, &where, err) < 0)
        return -1;
    if (!S_ISDIR(where.mode)) {
        error_fail(err, "\"%s\" is not a directory in this layer", where.existing + 1);
        err->errnum = ENOTDIR;
        return -1;
    }
    if (note_implied(w, &where, err) < 0)
        return -1;
    return pathfd_make_dirs(w->rootfd, where.path + 1, IMPLIED_MODE, err);
}

static int open_dir(struct treewriter *w, const char *dir, struct error *err)
{
    int fd = pathfd_open_nofollow(w->rootfd, dir, O_PATH | O_DIRECTORY, 0, err);

    if (fd < 0 && err->errnum == ELOOP) {
        error_clear(err);
        w->aliased = true;
        if (treewriter_settle(w, err) < 0)
            return -1;
        fd = pathfd_open_in_root(w->rootfd, dir, O_PATH | O_DIRECTORY, 0, err);
    }
    if (fd < 0 && (err->errnum == ENOENT || err->errnum == ENOTDIR)) {
        error_clear(err);
        fd = make_parent(w, dir, err);
    }
    return fd;
}

struct treedir *treewriter_parent(struct treewriter *w, const char *name,
                                  const char **last, struct error *err)
{
    const char *slash = strrchr(name, '/');
    _cleanup_free_ char *dir = NULL;
    size_t len;
    int fd;

    *last = slash ? slash + 1 : name;
    if (!slash)
        return root(w, err);
    len = (size_t)(slash - name);
    /* Entries come directory by directory. */
    if (w->parent && strncmp(w->parent_name, name, len) == 0 &&
        w->parent_name[len] == '\0')
        return w->parent;
    treewriter_forget_parent(w);
    dir = strndup(name, len);
    if (!dir) {
        error_oom(err);
        return NULL;
    }
    fd = open_dir(w, dir, err);
    if (fd >= 0)
        w->parent = treedir_new(fd, err);
    if (!w->parent) {
        error_context(err, "cannot open its parent directory");
        return NULL;
    }
    w->parent_name = steal_ptr(dir);
    return w->parent;
}
