#include "image/treewriter.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/treecopy.h"
#include "image/treewriter_private.h"
#include "sys/pathfd.h"

#define PROBE_NAME ".repx-probe"
#define PROBE_MODE 0777

void treewriter_init(struct treewriter *w, int rootfd)
{
    *w = (struct treewriter){.rootfd = rootfd};
    treefiles_init(&w->files, NULL);
    nameset_init(&w->names);
}

void treewriter_use_pool(struct treewriter *w, struct workpool *pool)
{
    w->files.pool = pool;
}

void treewriter_release(struct treewriter *w)
{
    size_t i;

    treefiles_release(&w->files);
    treewriter_forget_parent(w);
    treedir_unref(w->root);
    for (i = 0; i < w->n_dirs; i++)
        free(w->dirs[i].name);
    free(w->dirs);
    nameset_release(&w->names);
    layernotes_release(&w->notes);
    strv_release(&w->hardlinks);
    treesum_release(&w->sums);
}

/* Takes away what an earlier entry of the same name left. */
static int clear_way(struct treewriter *w, struct treedir *dir, const char *last,
                     struct error *err)
{
    if (treewriter_settle(w, err) < 0)
        return -1;
    if (unlinkat(dir->fd, last, 0) < 0) {
        if (errno == ENOENT)
            return 0;
        if (errno != EISDIR && errno != EPERM)
            return error_sys(err, errno, "cannot replace what an earlier entry made");
        if (pathfd_remove_tree(dir->fd, last, err) < 0)
            return -1;
    }
    w->replaced = true;
    /* It may have been a link on the way to the kept parent. */
    if (dir != w->parent)
        treewriter_forget_parent(w);
    return 0;
}

/* Do modes stick? Not with a umask (threads of a pool have none), a default ACL or a
 * file system with ideas of its own: then each mode is set again. */
static int probe_modes(struct treewriter *w, struct error *err)
{
    struct stat st;

    w->probed = true;
    if (!w->files.pool)
        return 0;
    if (mkdirat(w->rootfd, PROBE_NAME, PROBE_MODE) < 0 ||
        fstatat(w->rootfd, PROBE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        unlinkat(w->rootfd, PROBE_NAME, AT_REMOVEDIR) < 0)
        return error_sys(err, errno, "cannot make a directory in the tree");
    w->files.exact = (st.st_mode & 07777) == PROBE_MODE;
    return 0;
}

/* What comes before each entry: nothing may have failed, and once names are no longer
 * unique, nothing may be under way. */
static int begin(struct treewriter *w, struct error *err)
{
    if (!w->probed && probe_modes(w, err) < 0)
        return -1;
    return w->aliased ? treewriter_settle(w, err) : treefiles_check(&w->files, err);
}

/* The directory for an entry that is none itself, with the name free in it. NULL with
 * err. */
static struct treedir *place(struct treewriter *w, const char *name,
                             enum nameset_kind kind, const char **last,
                             struct error *err)
{
    enum nameset_kind before;
    struct treedir *dir;

    if (!name[0]) {
        error_fail(err, "the layer's root is not a directory");
        return NULL;
    }
    if (begin(w, err) < 0)
        return NULL;
    dir = treewriter_parent(w, name, last, err);
    if (!dir || nameset_put(&w->names, name, strlen(name), kind, &before, err) < 0)
        return NULL;
    if ((before != NAMESET_NONE || w->aliased) && clear_way(w, dir, *last, err) < 0)
        return NULL;
    return dir;
}

static int add_dir(struct treewriter *w, const char *name, mode_t mode,
                   const struct treewriter_attr *attr, struct error *err)
{
    struct treewriter_dir *dirs;

    if (w->n_dirs == w->cap_dirs) {
        size_t cap = w->cap_dirs ? 2 * w->cap_dirs : 64;

        dirs = realloc(w->dirs, cap * sizeof(*dirs));
        if (!dirs)
            return error_oom(err);
        w->dirs = dirs;
        w->cap_dirs = cap;
    }
    w->dirs[w->n_dirs] =
        (struct treewriter_dir){strdup(name), mode, attr->mtime, w->n_dirs};
    if (!w->dirs[w->n_dirs].name)
        return error_oom(err);
    w->n_dirs++;
    return 0;
}

/* A directory merges with one that is there and replaces anything else. 0 when it is
 * new, 1 when it was there. */
static int make_dir(struct treewriter *w, struct treedir *dir, const char *last,
                    mode_t mode, struct error *err)
{
    struct stat st;

    if (mkdirat(dir->fd, last, mode) == 0)
        return 0;
    if (errno != EEXIST)
        return error_sys(err, errno, "cannot make the directory");
    if (fstatat(dir->fd, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot stat what is there");
    if (S_ISDIR(st.st_mode))
        return 1;
    if (clear_way(w, dir, last, err) < 0)
        return -1;
    if (mkdirat(dir->fd, last, mode) < 0)
        return error_sys(err, errno, "cannot make the directory");
    return 0;
}

static int set_dir_mode(int dirfd, const char *last, mode_t mode, struct error *err)
{
    _cleanup_close_ int fd = openat(dirfd, last, DIR_FLAGS | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "cannot open the new directory");
    if (fchmod(fd, mode) < 0)
        return error_sys(err, errno, "cannot set the directory's mode");
    return 0;
}

int treewriter_dir(struct treewriter *w, const char *name,
                   const struct treewriter_attr *attr, struct error *err)
{
    mode_t mode = (attr->mode & 0777) | 0700;
    enum nameset_kind before;
    struct treedir *dir;
    const char *last;
    int rc;

    if (begin(w, err) < 0)
        return -1;
    w->entries++;
    if (!name[0])
        return set_dir_mode(w->rootfd, ".", mode, err) < 0
                   ? -1
                   : add_dir(w, name, mode, attr, err);
    dir = treewriter_parent(w, name, &last, err);
    if (!dir ||
        nameset_put(&w->names, name, strlen(name), NAMESET_DIR, &before, err) < 0)
        return -1;
    if (before == NAMESET_FILE && treewriter_settle(w, err) < 0)
        return -1;
    rc = make_dir(w, dir, last, w->files.exact ? mode : 0700, err);
    if (rc < 0)
        return -1;
    if ((rc == 1 || !w->files.exact) && set_dir_mode(dir->fd, last, mode, err) < 0)
        return -1;
    return add_dir(w, name, mode, attr, err);
}

int treewriter_file(struct treewriter *w, const char *name, uint64_t size,
                    const struct treewriter_attr *attr, struct error *err)
{
    const struct treefiles_attr final = {(attr->mode & 0777) | 0400, attr->mtime};
    const char *last;
    struct treedir *dir = place(w, name, NAMESET_FILE, &last, err);

    if (!dir || treefiles_begin(&w->files, dir, name, size, &final, err) < 0)
        return -1;
    w->entries++;
    w->bytes += size;
    return 0;
}

int treewriter_file_data(struct treewriter *w, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err)
{
    return treefiles_data(&w->files, block, data, len, offset, err);
}

int treewriter_file_end(struct treewriter *w, struct error *err)
{
    return treefiles_end(&w->files, err);
}

int treewriter_symlink(struct treewriter *w, const char *name, const char *target,
                       const struct treewriter_attr *attr, struct error *err)
{
    struct timespec times[2] = {attr->mtime, attr->mtime};
    const char *last;
    struct treedir *dir = place(w, name, NAMESET_OTHER, &last, err);

    if (!dir)
        return -1;
    if (symlinkat(target, dir->fd, last) < 0)
        return error_sys(err, errno, "cannot make the symbolic link");
    utimensat(dir->fd, last, times, AT_SYMLINK_NOFOLLOW);
    w->entries++;
    return treesum_add(&w->sums, strdup(name), treesum_link(target), err);
}

/* The directory of the link's target, -2 when this layer has no such file. Owned. */
static int open_link_target(struct treewriter *w, const char *target, const char **last,
                            struct stat *st, struct error *err)
{
    const char *slash = strrchr(target, '/');
    _cleanup_free_ char *dir =
        slash ? strndup(target, (size_t)(slash - target)) : strdup(".");
    _cleanup_close_ int fd = -1;

    if (!dir)
        return error_oom(err);
    *last = slash ? slash + 1 : target;
    if (nameset_get(&w->names, target, strlen(target)) == NAMESET_FILE &&
        treewriter_settle(w, err) < 0)
        return -1;
    fd = pathfd_open_nofollow(w->rootfd, dir, O_PATH | O_DIRECTORY, 0, err);
    if (fd < 0 && err->errnum == ELOOP) {
        /* Through a link: the file may have gone by another name. */
        error_clear(err);
        w->replaced = true;
        if (treewriter_settle(w, err) < 0)
            return -1;
        fd = pathfd_open_in_root(w->rootfd, dir, O_PATH | O_DIRECTORY, 0, err);
    }
    if (fd < 0 && err->errnum != ENOENT && err->errnum != ENOTDIR)
        return -1;
    if (fd < 0 || fstatat(fd, *last, st, AT_SYMLINK_NOFOLLOW) < 0) {
        error_clear(err);
        return -2;
    }
    return steal_fd(&fd);
}

int treewriter_hardlink(struct treewriter *w, const char *name, const char *target,
                        struct error *err)
{
    const char *last, *target_last = target;
    _cleanup_close_ int from = -1;
    struct treedir *dir;
    struct stat st;
    int rc;

    if (!name[0] || !target[0])
        return error_fail(err, "the layer's root cannot be a hard link");
    if (strcmp(name, target) == 0)
        return 0;
    dir = place(w, name, NAMESET_OTHER, &last, err);
    if (!dir)
        return -1;
    from = open_link_target(w, target, &target_last, &st, err);
    if (from == -1)
        return -1;
    w->entries++;
    if (from == -2) {
        strv_add(&w->notes.links, name);
        strv_add(&w->notes.links, target);
        return strv_check(&w->notes.links, err);
    }
    if (S_ISDIR(st.st_mode))
        return error_fail(err, "hard link to the directory \"%.200s\"", target);
    rc = treecopy_link(from, target_last, dir->fd, last, err);
    if (rc == 1)
        return error_fail(err, "cannot replace \"%.200s\"", name);
    strv_add(&w->hardlinks, name);
    strv_add(&w->hardlinks, target);
    return rc < 0 ? -1 : strv_check(&w->hardlinks, err);
}

int treewriter_whiteout(struct treewriter *w, const char *name, struct error *err)
{
    const size_t prefix = strlen(WHITEOUT_PREFIX);
    const struct treewriter_attr attr = {.mode = 0600};
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name, *gone = last + prefix;

    if (strncmp(name, WHITEOUT_PREFIX, prefix) != 0 &&
        !strstr(name, "/" WHITEOUT_PREFIX))
        return 1;
    if (strncmp(last, WHITEOUT_PREFIX, prefix) != 0)
        return strncmp(name, ".wh..wh.", 8) == 0
                   ? 0
                   : error_fail(err, "it lies below a whiteout marker");
    if (!gone[0] || strcmp(gone, ".") == 0 || strcmp(gone, "..") == 0)
        return error_fail(err, "it is a whiteout of \"%s\", which no layer may remove",
                          gone);
    if (strncmp(gone, WHITEOUT_PREFIX, prefix) == 0 &&
        strcmp(last, WHITEOUT_OPAQUE) != 0)
        return 0;
    w->notes.markers = true;
    return treewriter_file(w, name, 0, &attr, err) < 0 ? -1
                                                       : treewriter_file_end(w, err);
}
