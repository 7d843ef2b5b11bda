/* Removal of trees that somebody hostile may have made: thousands of levels deep, with
 * directories that deny everything, with links and mounts inside. One descriptor is
 * open at a time and the way back up is kept on the heap, so that neither the stack nor
 * the descriptor table limits the depth. */
#include "sys/pathfd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"

/* How often a directory is read again that filled up while it was being emptied. */
#define REFILL_RETRIES 3

struct identity {
    dev_t dev;
    ino_t ino;
    uint64_t mount;
    mode_t mode;
};

struct level {
    struct strv subdirs; /* still to be removed from here */
    size_t next;
    unsigned refills;
    struct identity id;
};

struct walk {
    int cur; /* the directory of the deepest level */
    struct level *levels;
    size_t depth, cap;
};

static void walk_release(struct walk *w)
{
    for (size_t i = 0; i < w->depth; i++)
        strv_release(&w->levels[i].subdirs);
    free(w->levels);
    if (w->cur >= 0)
        close(w->cur);
}

/* Says what failed on which path, as far as the path can be told. */
static int walk_error(const struct walk *w, struct error *err, int errnum,
                      const char *what, const char *name)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *dir = w->cur < 0 ? NULL : pathfd_name(w->cur, &ignored);

    error_sys(err, errnum, "cannot remove '%s%s%s': %s", dir ? dir : "", dir ? "/" : "",
              name, what);
    if (errnum == EACCES || errnum == EPERM)
        error_hint(err, "it or its directory belongs to somebody else, or is marked "
                        "immutable");
    return -1;
}

static int identify(int fd, struct identity *id)
{
    struct statx sx;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID, &sx) < 0)
        return -1;
    id->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
    id->ino = sx.stx_ino;
    id->mode = sx.stx_mode;
    /* without mount ids the device tells mounts apart, except binds of the same one */
    id->mount = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : (uint64_t)id->dev;
    return 0;
}

static struct level *push_level(struct walk *w, const struct identity *id)
{
    if (w->depth == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 32;
        struct level *p = reallocarray(w->levels, cap, sizeof(*p));

        if (!p)
            return NULL;
        w->levels = p;
        w->cap = cap;
    }
    w->levels[w->depth] = (struct level){.subdirs = STRV_INIT, .id = *id};
    return &w->levels[w->depth++];
}

/* Makes the directory behind an O_PATH descriptor usable for us and opens it for
 * reading. The chmod goes through /proc because fchmod refuses O_PATH, and a directory
 * of mode 0000 opens in no other way. -1 with errno. */
static int open_readable(int pathfd, mode_t mode)
{
    char proc[64];

    if ((mode & S_IRWXU) != S_IRWXU) {
        snprintf(proc, sizeof(proc), "/proc/self/fd/%d", pathfd);
        /* of no consequence when it fails: root, or an owner's file system that maps
         * ids, needs none, and whoever needs it learns so from the next line */
        if (chmod(proc, (mode & 07777) | S_IRWXU) < 0)
            errno = 0;
    }
    return openat(pathfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Unlinks everything in the directory w->cur but its directories, which go to l. */
static int scan(struct walk *w, struct level *l, struct error *err)
{
    int dup_fd = openat(w->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 0;
    DIR *dir = dup_fd < 0 ? NULL : fdopendir(dup_fd);
    struct dirent *e;

    if (!dir) {
        ret = walk_error(w, err, errno, "it cannot be read", "");
        if (dup_fd >= 0)
            close(dup_fd);
        return ret;
    }
    for (;;) {
        errno = 0;
        e = readdir(dir);
        if (!e)
            break;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type != DT_DIR &&
            (unlinkat(w->cur, e->d_name, 0) == 0 || errno == ENOENT))
            continue;
        if (e->d_type == DT_DIR || errno == EISDIR) {
            strv_add(&l->subdirs, e->d_name);
            continue;
        }
        ret = walk_error(w, err, errno, "it cannot be unlinked", e->d_name);
        break;
    }
    if (ret == 0 && errno != 0)
        ret = walk_error(w, err, errno, "it cannot be read", "");
    closedir(dir);
    return ret < 0 ? -1 : strv_check(&l->subdirs, err);
}

/* Goes into name. 0, 1 when it is gone, -1 with err. */
static int descend(struct walk *w, const char *name, struct error *err)
{
    const struct identity *up = &w->levels[w->depth - 1].id;
    _cleanup_close_ int probe = -1;
    struct identity id;
    struct level *l;
    int fd;

    probe = openat(w->cur, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (probe < 0 && errno == ENOENT)
        return 1;
    if (probe < 0 || identify(probe, &id) < 0)
        return walk_error(w, err, errno, "it cannot be opened", name);
    if (id.mount != up->mount) {
        walk_error(w, err, EXDEV, "something is mounted there", name);
        return error_hint(err, "unmount it first");
    }
    fd = open_readable(probe, id.mode);
    if (fd < 0)
        return walk_error(w, err, errno, "it cannot be opened", name);
    l = push_level(w, &id);
    if (!l) {
        close(fd);
        return error_oom(err);
    }
    close(w->cur);
    w->cur = fd;
    return scan(w, l, err);
}

/* Goes to the parent, if ".." is still the directory we came from. */
static int ascend(struct walk *w, struct error *err)
{
    const struct identity *up;
    struct identity id;
    int fd;

    strv_release(&w->levels[--w->depth].subdirs);
    up = &w->levels[w->depth - 1].id;
    fd = openat(w->cur, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return walk_error(w, err, errno, "its parent cannot be opened", "");
    if (identify(fd, &id) < 0 || id.dev != up->dev || id.ino != up->ino ||
        id.mount != up->mount) {
        close(fd);
        return walk_error(w, err, 0,
                          "it was moved while it was being removed; try again", "");
    }
    close(w->cur);
    w->cur = fd;
    return 0;
}

/* Removes the directory that was just emptied from the level above. */
static int remove_emptied(struct walk *w, struct error *err)
{
    struct level *l = &w->levels[w->depth - 1];
    const char *name = l->subdirs.items[l->next];

    if (unlinkat(w->cur, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        if (errno == ENOTEMPTY && l->refills++ < REFILL_RETRIES)
            return 0; /* l->next stays: it is emptied once more */
        return walk_error(w, err, errno, "the directory cannot be removed", name);
    }
    l->next++;
    return 0;
}

static int walk_run(struct walk *w, struct error *err)
{
    for (;;) {
        struct level *l = &w->levels[w->depth - 1];

        if (l->next < l->subdirs.count) {
            int r = descend(w, l->subdirs.items[l->next], err);

            if (r < 0)
                return -1;
            if (r > 0)
                l->next++;
            continue;
        }
        if (w->depth == 1)
            return 0;
        if (ascend(w, err) < 0 || remove_emptied(w, err) < 0)
            return -1;
    }
}

#define _cleanup_walk_ __attribute__((cleanup(walk_release)))

static struct level *walk_start(struct walk *w, int dirfd, struct error *err)
{
    struct identity id;
    struct level *base;

    w->cur = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->cur < 0 || identify(w->cur, &id) < 0) {
        error_sys(err, errno, "cannot open the directory to remove from");
        return NULL;
    }
    base = push_level(w, &id);
    if (!base)
        error_oom(err);
    return base;
}

int pathfd_remove_tree(int dirfd, const char *name, struct error *err)
{
    _cleanup_walk_ struct walk w = {.cur = -1};
    struct level *base;

    if (!is_path_component(name))
        return error_fail(err, "cannot remove '%s': it is not a single name", name);
    base = walk_start(&w, dirfd, err);
    if (!base)
        return -1;
    if (unlinkat(w.cur, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return walk_error(&w, err, errno, "it cannot be unlinked", name);
    strv_add(&base->subdirs, name);
    if (strv_check(&base->subdirs, err) < 0)
        return -1;
    return walk_run(&w, err);
}

int pathfd_empty_dir(int dirfd, struct error *err)
{
    _cleanup_walk_ struct walk w = {.cur = -1};
    struct level *base = walk_start(&w, dirfd, err);
    int fd;

    if (!base)
        return -1;
    fd = open_readable(w.cur, base->id.mode);
    if (fd < 0)
        return walk_error(&w, err, errno, "it cannot be read", "");
    close(w.cur);
    w.cur = fd;
    if (scan(&w, base, err) < 0)
        return -1;
    return walk_run(&w, err);
}
