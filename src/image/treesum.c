#include "image/treesum.h"

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
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define SUMS_FILE "sums"
#define SUMS_MAX ((size_t)4 << 30)
#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

void treesum_release(struct treesum *t)
{
    size_t i;

    for (i = 0; i < t->n; i++) {
        free(t->lines[i].path);
        free(t->lines[i].what);
    }
    free(t->lines);
    *t = (struct treesum)TREESUM_INIT;
}

/* Takes both, also on failure. */
static int add(struct treesum *t, char *path, char *what, struct error *err)
{
    struct treesum_line *more;

    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;

        more = realloc(t->lines, cap * sizeof(*more));
        if (more) {
            t->lines = more;
            t->cap = cap;
        }
    }
    if (!path || !what || t->n == t->cap) {
        free(path);
        free(what);
        return error_oom(err);
    }
    t->lines[t->n++] = (struct treesum_line){path, what};
    return 0;
}

static int by_number(const void *a, const void *b)
{
    const struct treesum_known *x = a, *y = b;

    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The last one with this number: a file that an earlier entry made and a later one
 * replaced may have had it before. */
static const struct treesum_known *find_known(const struct treesum_options *o,
                                              uint64_t ino)
{
    size_t low = 0, high = o->n_known;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (o->known[mid].ino <= ino)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && o->known[low - 1].ino == ino ? &o->known[low - 1] : NULL;
}

static int hash_file(int dirfd, const char *name, struct digest *out, struct error *err)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open \"%s\" to check it", name);
    return digest_of_fd(fd, out, err);
}

static char *describe_file(int dirfd, const char *name, const struct stat *st,
                           struct treesum_options *o, struct error *err)
{
    const struct treesum_known *known = find_known(o, st->st_ino);
    unsigned long long size = (unsigned long long)st->st_size;
    unsigned mode = st->st_mode & 07777;
    struct digest content;

    if (st->st_size == 0)
        return str_printf("f %o 0 -", mode);
    if (o->linked && st->st_nlink > 1)
        return str_printf("f %o %llu i%llu", mode, size,
                          (unsigned long long)st->st_ino);
    if (known)
        return str_printf("f %o %llu %s", mode, size, known->content.hex);
    if (hash_file(dirfd, name, &content, err) < 0)
        return NULL;
    o->bytes += size;
    return str_printf("f %o %llu %s", mode, size, content.hex);
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
    return str_printf("l %s", target);
}

static char *describe(int dirfd, const char *name, const struct stat *st,
                      struct treesum_options *o, struct error *err)
{
    struct error why = ERROR_INIT;
    char *what;

    if (S_ISDIR(st->st_mode))
        what = str_printf("d %o", st->st_mode & 07777);
    else if (S_ISREG(st->st_mode))
        what = describe_file(dirfd, name, st, o, &why);
    else if (S_ISLNK(st->st_mode))
        what = describe_link(dirfd, name, &why);
    else
        what = str_printf("? %o", st->st_mode);
    if (!what && o->tolerant && why.class != ERROR_NONE)
        return str_printf("! %s", why.text);
    if (!what && why.class == ERROR_NONE)
        error_oom(&why);
    if (!what)
        *err = why;
    return what;
}

static int walk_entry(struct treesum *t, int dirfd, const char *dir, const char *name,
                      struct strv *todo, struct treesum_options *o, struct error *err)
{
    _cleanup_free_ char *path = dir[0] ? str_printf("%s/%s", dir, name) : strdup(name);
    struct stat st;
    char *what;

    if (!path)
        return error_oom(err);
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot stat \"%s\"", name);
    what = describe(dirfd, name, &st, o, err);
    if (!what)
        return -1;
    if (S_ISDIR(st.st_mode))
        strv_add(todo, path);
    return add(t, steal_ptr(path), what, err);
}

static int walk_dir(struct treesum *t, int rootfd, const char *path, struct strv *todo,
                    struct treesum_options *o, struct error *err)
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
            rc = walk_entry(t, dirfd(dir), path, d->d_name, todo, o, err);
    if (rc == 0 && errno)
        rc = error_sys(err, errno, "cannot read a directory");
    closedir(dir);
    return rc;
}

/* A directory that cannot be read has its line already; a line more tells why. */
static int note_unreadable(struct treesum *t, const char *path, struct error *why,
                           struct error *err)
{
    int rc = add(t, str_printf("%s/", path), str_printf("! %s", why->text), err);

    if (rc == 0)
        error_clear(why);
    return rc;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct treesum_line *)a)->path,
                  ((const struct treesum_line *)b)->path);
}

int treesum_walk(struct treesum *t, int rootfd, struct treesum_options *options,
                 struct error *err)
{
    _cleanup_strv_ struct strv todo = STRV_INIT;
    struct stat st;

    if (options->n_known)
        qsort(options->known, options->n_known, sizeof(*options->known), by_number);
    if (fstat(rootfd, &st) < 0)
        return error_sys(err, errno, "cannot stat the tree");
    if (add(t, strdup(""), str_printf("d %o", st.st_mode & 07777), err) < 0)
        return -1;
    strv_add(&todo, "");
    while (todo.count > 0) {
        _cleanup_free_ char *path = NULL;
        struct error why = ERROR_INIT;

        if (strv_check(&todo, err) < 0 || progress_check(options->progress, err) < 0)
            return -1;
        path = steal_ptr(todo.items[todo.count - 1]);
        todo.count--;
        if (walk_dir(t, rootfd, path, &todo, options, &why) == 0)
            continue;
        if (options->tolerant && note_unreadable(t, path, &why, err) == 0)
            continue;
        *err = why;
        return error_context(err, "\"/%.300s\"", path);
    }
    qsort(t->lines, t->n, sizeof(*t->lines), by_path);
    return 0;
}

int treesum_write(const struct treesum *t, int dirfd, struct digest *sum,
                  struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    size_t i;

    for (i = 0; i < t->n; i++) {
        buf_add(&text, t->lines[i].path, strlen(t->lines[i].path) + 1);
        buf_add(&text, t->lines[i].what, strlen(t->lines[i].what) + 1);
    }
    if (buf_check(&text, err) < 0 || digest_of(text.data, text.len, sum, err) < 0)
        return -1;
    return atomicfile_write(dirfd, SUMS_FILE, text.data, text.len, 0600, false, err);
}

int treesum_read(struct treesum *t, int dirfd, const struct digest *sum,
                 struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = -1;
    struct error damaged = ERROR_INIT;
    struct digest found;
    const char *p, *end;

    fd = openat(dirfd, SUMS_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || pathfd_read_all(fd, SUMS_MAX, &text, &damaged) < 0 || text.len == 0)
        return 1;
    if (digest_of(text.data, text.len, &found, err) < 0)
        return -1;
    if (!digest_equal(&found, sum) || text.data[text.len - 1] != '\0')
        return 1;
    for (p = text.data, end = p + text.len; p < end;) {
        const char *what = p + strlen(p) + 1;

        if (what >= end)
            return 1;
        if (add(t, strdup(p), strdup(what), err) < 0)
            return -1;
        p = what + strlen(what) + 1;
    }
    return 0;
}

size_t treesum_compare(const struct treesum *expected, const struct treesum *found,
                       void (*differs)(void *arg, const char *how, const char *path),
                       void *arg)
{
    size_t i = 0, k = 0, n = 0;

    while (i < expected->n || k < found->n) {
        const struct treesum_line *a = i < expected->n ? &expected->lines[i] : NULL;
        const struct treesum_line *b = k < found->n ? &found->lines[k] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);
        const char *how = order < 0 ? "missing" : order > 0 ? "added" : "changed";

        i += order <= 0;
        k += order >= 0;
        if (order == 0 && strcmp(a->what, b->what) == 0)
            continue;
        n++;
        differs(arg, how, order > 0 ? b->path : a->path);
    }
    return n;
}
