/* The lines of a tree on the disk: what cache verify compares, and what an extraction
 * falls back on when it cannot tell from the layer alone. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "image/progress.h"
#include "image/treesum.h"
#include "sys/pathfd.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

struct walk {
    struct treesum *t;
    struct treesum_options *o;
    struct contentsum_ctx *sum;
    struct strv todo; /* directories, a list instead of recursion */
};

void treesum_inodes_release(struct treesum_inodes *i)
{
    free(i->items);
    *i = (struct treesum_inodes){0};
}

static int by_number(const void *a, const void *b)
{
    const struct treesum_inode *x = a, *y = b;

    return x->ino < y->ino ? -1 : x->ino > y->ino;
}

void treesum_inodes_sort(struct treesum_inodes *i)
{
    if (i->n > 0)
        qsort(i->items, i->n, sizeof(*i->items), by_number);
}

static const struct treesum_inode *find_known(const struct treesum_inodes *i,
                                              uint64_t ino)
{
    const struct treesum_inode key = {.ino = ino};

    return i && i->n > 0 ? bsearch(&key, i->items, i->n, sizeof(*i->items), by_number)
                         : NULL;
}

static int learn(struct treesum_inodes *i, uint64_t ino, const char *sum,
                 struct error *err)
{
    if (i->n == i->cap) {
        size_t cap = i->cap ? 2 * i->cap : 256;
        struct treesum_inode *more = realloc(i->items, cap * sizeof(*more));

        if (!more)
            return error_oom(err);
        i->items = more;
        i->cap = cap;
    }
    i->items[i->n].ino = ino;
    memcpy(i->items[i->n++].sum, sum, CONTENTSUM_HEX_LEN + 1);
    return 0;
}

static int sum_file(struct walk *w, int dirfd, const char *name, const struct stat *st,
                    char *sum, struct error *err)
{
    _cleanup_close_ int fd = -1;
    uint64_t bytes = 0;

    fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open \"%s\" to check it", name);
    if (contentsum_of_fd(w->sum, fd, sum, &bytes, err) < 0)
        return -1;
    w->o->bytes += bytes;
    return w->o->learn ? learn(w->o->learn, st->st_ino, sum, err) : 0;
}

static char *describe_file(struct walk *w, int dirfd, const char *name,
                           const struct stat *st, struct error *err)
{
    const struct treesum_inode *known = find_known(w->o->known, st->st_ino);
    char sum[CONTENTSUM_HEX_LEN + 1] = "";

    if (st->st_size > 0 && !known && sum_file(w, dirfd, name, st, sum, err) < 0)
        return NULL;
    return treesum_file(st->st_mode & 07777, (uint64_t)st->st_size,
                        known ? known->sum : sum);
}

static char *describe_link(int dirfd, const char *name, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

    if (n < 0) {
        error_sys(err, errno, "cannot read the link \"%s\"", name);
        return NULL;
    }
    target[n] = '\0';
    return treesum_link(target);
}

static char *describe(struct walk *w, int dirfd, const char *name,
                      const struct stat *st, struct error *err)
{
    struct error why = ERROR_INIT;
    char *what;

    if (S_ISDIR(st->st_mode))
        what = treesum_dir(st->st_mode & 07777);
    else if (S_ISREG(st->st_mode))
        what = describe_file(w, dirfd, name, st, &why);
    else if (S_ISLNK(st->st_mode))
        what = describe_link(dirfd, name, &why);
    else
        what = str_printf("? %o", st->st_mode);
    if (!what && w->o->tolerant && why.class != ERROR_NONE)
        return str_printf("! %s", why.text);
    if (!what && why.class == ERROR_NONE)
        error_oom(&why);
    if (!what)
        *err = why;
    return what;
}

static int walk_entry(struct walk *w, int dirfd, const char *dir, const char *name,
                      struct error *err)
{
    _cleanup_free_ char *path = dir[0] ? str_printf("%s/%s", dir, name) : strdup(name);
    struct stat st;
    char *what;

    if (!path)
        return error_oom(err);
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot stat \"%s\"", name);
    what = describe(w, dirfd, name, &st, err);
    if (!what)
        return -1;
    if (S_ISDIR(st.st_mode))
        strv_add(&w->todo, path);
    return treesum_add(w->t, steal_ptr(path), what, err);
}

static int walk_dir(struct walk *w, int rootfd, const char *path, struct error *err)
{
    struct dirent *d;
    int fd, rc = 0;
    DIR *dir;

    fd = pathfd_open_nofollow(rootfd, path[0] ? path : ".", DIR_FLAGS, 0, err);
    if (fd < 0)
        return -1;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return error_sys(err, errno, "cannot read a directory");
    }
    while (rc == 0 && (errno = 0, d = readdir(dir)))
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            rc = walk_entry(w, dirfd(dir), path, d->d_name, err);
    if (rc == 0 && errno)
        rc = error_sys(err, errno, "cannot read a directory");
    closedir(dir);
    return rc;
}

/* A directory that cannot be read has its line already; a line more tells why. */
static int note_unreadable(struct treesum *t, const char *path, struct error *why,
                           struct error *err)
{
    int rc =
        treesum_add(t, str_printf("%s/", path), str_printf("! %s", why->text), err);

    if (rc == 0)
        error_clear(why);
    return rc;
}

static int walk_all(struct walk *w, int rootfd, struct error *err)
{
    while (w->todo.count > 0) {
        _cleanup_free_ char *path = NULL;
        struct error why = ERROR_INIT;

        if (strv_check(&w->todo, err) < 0 || progress_check(w->o->progress, err) < 0)
            return -1;
        if (w->o->total > 0)
            progress_update(w->o->progress, "confirm", w->o->bytes, w->o->total);
        path = steal_ptr(w->todo.items[w->todo.count - 1]);
        w->todo.count--;
        if (walk_dir(w, rootfd, path, &why) == 0)
            continue;
        if (w->o->tolerant && note_unreadable(w->t, path, &why, err) == 0)
            continue;
        *err = why;
        return error_context(err, "\"/%.300s\"", path);
    }
    treesum_sort(w->t);
    return 0;
}

int treesum_walk(struct treesum *t, int rootfd, struct treesum_options *options,
                 struct error *err)
{
    struct walk w = {.t = t, .o = options, .todo = STRV_INIT};
    struct stat st;
    int rc;

    if (fstat(rootfd, &st) < 0)
        return error_sys(err, errno, "cannot stat the tree");
    if (treesum_add(t, strdup(""), treesum_dir(st.st_mode & 07777), err) < 0)
        return -1;
    w.sum = contentsum_new(err);
    if (!w.sum)
        return -1;
    strv_add(&w.todo, "");
    rc = walk_all(&w, rootfd, err);
    contentsum_free(&w.sum);
    strv_release(&w.todo);
    return rc;
}
