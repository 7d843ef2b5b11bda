#include "image/treewriter.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/rootpath.h"
#include "image/treecopy.h"
#include "sys/pathfd.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define IMPLIED_MODE 0755

struct treewriter_dir {
    char *name;
    struct timespec mtime;
};

void treewriter_init(struct treewriter *w, int rootfd)
{
    *w = (struct treewriter){.rootfd = rootfd, .parentfd = -1};
}

static void forget_parent(struct treewriter *w)
{
    if (w->parentfd >= 0)
        close(w->parentfd);
    w->parentfd = -1;
    free(w->parent);
    w->parent = NULL;
}

void treewriter_release(struct treewriter *w)
{
    size_t i;

    forget_parent(w);
    for (i = 0; i < w->n_dirs; i++)
        free(w->dirs[i].name);
    free(w->dirs);
    layernotes_release(&w->notes);
    free(w->known);
}

/* Notes each directory on the way that is about to be made without an entry of its own.
 */
static int note_implied(struct treewriter *w, const struct rootpath *where,
                        struct error *err)
{
    size_t done = strlen(where->existing);
    const char *p = where->path + done;

    while (*p) {
        _cleanup_free_ char *name = NULL;

        p += strspn(p, "/");
        p += strcspn(p, "/");
        name = strndup(where->path + 1, (size_t)(p - where->path) - 1);
        strv_add(&w->notes.implied, name);
    }
    return strv_check(&w->notes.implied, err);
}

/* Parents that no entry of the layer names, perhaps behind a link whose target is still
 * missing: where they must be is found first, then they are made without any link. */
static int make_parent(struct treewriter *w, const char *dir, struct error *err)
{
    _cleanup_(rootpath_release) struct rootpath where = {0};

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

/* Opens the entry's parent directory; *last is the name's last component. Borrowed: the
 * descriptor of the last parent is kept, because entries come directory by directory.
 */
static int open_parent(struct treewriter *w, const char *name, const char **last,
                       struct error *err)
{
    const char *slash = strrchr(name, '/');
    _cleanup_free_ char *dir = NULL;
    int fd;

    *last = slash ? slash + 1 : name;
    if (!slash)
        return w->rootfd;
    dir = strndup(name, (size_t)(slash - name));
    if (!dir)
        return error_oom(err);
    if (w->parentfd >= 0 && strcmp(w->parent, dir) == 0)
        return w->parentfd;
    forget_parent(w);
    fd = pathfd_open_in_root(w->rootfd, dir, O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0 && (err->errnum == ENOENT || err->errnum == ENOTDIR)) {
        error_clear(err);
        fd = make_parent(w, dir, err);
    }
    if (fd < 0)
        return error_context(err, "cannot open its parent directory");
    w->parent = steal_ptr(dir);
    w->parentfd = fd;
    return fd;
}

/* Takes away what an earlier entry of the same name left. */
static int clear_way(struct treewriter *w, int dir, const char *last, struct error *err)
{
    if (unlinkat(dir, last, 0) == 0 || errno == ENOENT) {
        /* It may have been a link on the way to the kept parent. */
        if (dir != w->parentfd)
            forget_parent(w);
        return 0;
    }
    if (errno != EISDIR && errno != EPERM)
        return error_sys(err, errno, "cannot replace what an earlier entry made");
    if (pathfd_remove_tree(dir, last, err) < 0)
        return -1;
    if (dir != w->parentfd)
        forget_parent(w);
    return 0;
}

static int add_dir_time(struct treewriter *w, const char *name,
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
    w->dirs[w->n_dirs].name = strdup(name);
    if (!w->dirs[w->n_dirs].name)
        return error_oom(err);
    w->dirs[w->n_dirs++].mtime = attr->mtime;
    return 0;
}

/* A directory merges with one that is there and replaces anything else. */
static int make_dir(struct treewriter *w, int dir, const char *last, struct error *err)
{
    struct stat st;

    if (mkdirat(dir, last, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return error_sys(err, errno, "cannot make the directory");
    if (fstatat(dir, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot stat what is there");
    if (S_ISDIR(st.st_mode))
        return 0;
    if (clear_way(w, dir, last, err) < 0)
        return -1;
    if (mkdirat(dir, last, 0700) < 0)
        return error_sys(err, errno, "cannot make the directory");
    return 0;
}

int treewriter_dir(struct treewriter *w, const char *name,
                   const struct treewriter_attr *attr, struct error *err)
{
    _cleanup_close_ int fd = -1;
    const char *last = ".";
    int dir = w->rootfd;

    if (name[0]) {
        dir = open_parent(w, name, &last, err);
        if (dir < 0 || make_dir(w, dir, last, err) < 0)
            return -1;
    }
    fd = openat(dir, last, DIR_FLAGS | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open the new directory");
    if (fchmod(fd, (attr->mode & 0777) | 0700) < 0)
        return error_sys(err, errno, "cannot set the directory's mode");
    w->entries++;
    return add_dir_time(w, name, attr, err);
}

int treewriter_file(struct treewriter *w, const char *name, struct error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const char *last;
    int dir, fd;

    if (!name[0])
        return error_fail(err, "the layer's root is not a directory");
    dir = open_parent(w, name, &last, err);
    if (dir < 0)
        return -1;
    fd = openat(dir, last, flags, 0600);
    if (fd < 0 && errno == EEXIST) {
        if (clear_way(w, dir, last, err) < 0)
            return -1;
        fd = openat(dir, last, flags, 0600);
    }
    if (fd < 0)
        return error_sys(err, errno, "cannot make the file");
    return fd;
}

static int note_content(struct treewriter *w, int fd, const struct digest *content,
                        struct error *err)
{
    struct treesum_known *more;
    struct stat st;

    if (!content->hex[0])
        return 0;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot stat the new file");
    if (w->n_known == w->cap_known) {
        size_t cap = w->cap_known ? 2 * w->cap_known : 256;

        more = realloc(w->known, cap * sizeof(*more));
        if (!more)
            return error_oom(err);
        w->known = more;
        w->cap_known = cap;
    }
    w->known[w->n_known] = (struct treesum_known){st.st_ino, w->n_known, *content};
    w->n_known++;
    return 0;
}

int treewriter_file_end(struct treewriter *w, int fd, const char *name, uint64_t size,
                        const struct treewriter_attr *attr, struct error *err)
{
    struct timespec times[2] = {attr->mtime, attr->mtime};
    int failed = 0;

    if (note_content(w, fd, &attr->content, err) < 0) {
        close(fd);
        return -1;
    }
    if (fchmod(fd, (attr->mode & 0777) | 0400) < 0 || futimens(fd, times) < 0)
        failed = errno;
    /* NFS and quotas report a full disk at close. */
    if (close(fd) < 0 && failed == 0 && errno != EINTR)
        failed = errno;
    if (failed)
        return error_sys(err, failed, "cannot complete the file \"%.200s\"", name);
    w->entries++;
    w->bytes += size;
    return 0;
}

int treewriter_symlink(struct treewriter *w, const char *name, const char *target,
                       const struct treewriter_attr *attr, struct error *err)
{
    struct timespec times[2] = {attr->mtime, attr->mtime};
    const char *last;
    int dir, rc;

    if (!name[0])
        return error_fail(err, "the layer's root is not a directory");
    dir = open_parent(w, name, &last, err);
    if (dir < 0)
        return -1;
    rc = symlinkat(target, dir, last);
    if (rc < 0 && errno == EEXIST) {
        if (clear_way(w, dir, last, err) < 0)
            return -1;
        rc = symlinkat(target, dir, last);
    }
    if (rc < 0)
        return error_sys(err, errno, "cannot make the symbolic link");
    utimensat(dir, last, times, AT_SYMLINK_NOFOLLOW);
    w->entries++;
    return 0;
}

/* The directory of the link's target, -2 when this layer has no such file. Owned. */
static int open_link_target(struct treewriter *w, const char *target, const char **last,
                            struct stat *st, struct error *err)
{
    const char *slash = strrchr(target, '/');
    _cleanup_free_ char *dir = strndup(target, slash ? (size_t)(slash - target) : 0);
    _cleanup_close_ int fd = -1;

    if (!dir)
        return error_oom(err);
    *last = slash ? slash + 1 : target;
    fd =
        pathfd_open_in_root(w->rootfd, slash ? dir : ".", O_PATH | O_DIRECTORY, 0, err);
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
    _cleanup_close_ int from = -1;
    const char *last, *target_last = target;
    struct stat st;
    int dir, rc;

    if (!name[0] || !target[0])
        return error_fail(err, "the layer's root cannot be a hard link");
    if (strcmp(name, target) == 0)
        return 0;
    dir = open_parent(w, name, &last, err);
    if (dir < 0)
        return -1;
    from = open_link_target(w, target, &target_last, &st, err);
    if (from == -1)
        return -1;
    w->entries++;
    if (from == -2) {
        strv_add(&w->notes.links, name);
        strv_add(&w->notes.links, target);
        return clear_way(w, dir, last, err);
    }
    if (S_ISDIR(st.st_mode))
        return error_fail(err, "hard link to the directory \"%.200s\"", target);
    rc = treecopy_link(from, target_last, dir, last, err);
    if (rc == 1) {
        if (clear_way(w, dir, last, err) < 0)
            return -1;
        rc = treecopy_link(from, target_last, dir, last, err);
    }
    return rc == 1 ? error_fail(err, "cannot replace \"%.200s\"", name) : rc;
}

int treewriter_whiteout(struct treewriter *w, const char *name, struct error *err)
{
    const size_t prefix = strlen(WHITEOUT_PREFIX);
    const struct treewriter_attr attr = {.mode = 0600};
    const char *slash = strrchr(name, '/');
    const char *last = slash ? slash + 1 : name, *gone = last + prefix;
    int fd;

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
    fd = treewriter_file(w, name, err);
    return fd < 0 ? -1 : treewriter_file_end(w, fd, name, 0, &attr, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An entry that came after its content made the directory no longer only implied. */
static int drop_declared(struct treewriter *w, struct error *err)
{
    _cleanup_strv_ struct strv declared = STRV_INIT, implied = STRV_INIT;
    size_t i;

    if (w->notes.implied.count == 0)
        return 0;
    for (i = 0; i < w->n_dirs; i++)
        strv_add(&declared, w->dirs[i].name);
    if (strv_check(&declared, err) < 0)
        return -1;
    strv_sort(&declared);
    for (i = 0; i < w->notes.implied.count; i++)
        if (!declared.count ||
            !bsearch(&w->notes.implied.items[i], declared.items, declared.count,
                     sizeof(*declared.items), compare_names))
            strv_add(&implied, w->notes.implied.items[i]);
    if (strv_check(&implied, err) < 0)
        return -1;
    strv_release(&w->notes.implied);
    w->notes.implied = implied;
    implied = (struct strv)STRV_INIT;
    return 0;
}

/* A later entry of the same name takes the place of a link that waits for its target.
 */
static int drop_replaced_links(struct treewriter *w, struct error *err)
{
    _cleanup_strv_ struct strv links = STRV_INIT;
    size_t i;

    for (i = 0; i + 1 < w->notes.links.count; i += 2) {
        _cleanup_close_ int fd = -1;

        fd = pathfd_open_in_root(w->rootfd, w->notes.links.items[i],
                                 O_PATH | O_NOFOLLOW, 0, err);
        if (fd >= 0)
            continue;
        error_clear(err);
        strv_add(&links, w->notes.links.items[i]);
        strv_add(&links, w->notes.links.items[i + 1]);
    }
    if (strv_check(&links, err) < 0)
        return -1;
    strv_release(&w->notes.links);
    w->notes.links = links;
    links = (struct strv)STRV_INIT;
    return 0;
}

int treewriter_finish(struct treewriter *w, struct error *err)
{
    size_t i;

    forget_parent(w);
    for (i = 0; i < w->n_dirs; i++) {
        const struct treewriter_dir *d = &w->dirs[i];
        struct timespec times[2] = {d->mtime, d->mtime};
        _cleanup_close_ int fd = -1;

        fd = pathfd_open_in_root(w->rootfd, d->name[0] ? d->name : ".",
                                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, err);
        if (fd >= 0)
            futimens(fd, times);
        else
            error_clear(err); /* a later entry has replaced the directory */
    }
    return drop_declared(w, err) < 0 ? -1 : drop_replaced_links(w, err);
}
