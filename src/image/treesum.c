#include "image/treesum.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define SUMS_FILE "sums"
#define SUMS_MAX ((size_t)4 << 30)

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

static int reserve(struct treesum *t, size_t n, struct error *err)
{
    size_t cap = t->cap ? t->cap : 256;
    struct treesum_line *more;

    if (t->n + n <= t->cap)
        return 0;
    while (cap < t->n + n)
        cap *= 2;
    more = realloc(t->lines, cap * sizeof(*more));
    if (!more)
        return error_oom(err);
    t->lines = more;
    t->cap = cap;
    return 0;
}

int treesum_add(struct treesum *t, char *path, char *what, struct error *err)
{
    int rc = path && what ? reserve(t, 1, err) : error_oom(err);

    if (rc < 0) {
        free(path);
        free(what);
        return -1;
    }
    t->lines[t->n++] = (struct treesum_line){path, what};
    return 0;
}

int treesum_append(struct treesum *t, struct treesum *other, struct error *err)
{
    if (other->n == 0)
        return 0;
    if (reserve(t, other->n, err) < 0)
        return -1;
    memcpy(t->lines + t->n, other->lines, other->n * sizeof(*other->lines));
    t->n += other->n;
    other->n = 0;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct treesum_line *)a)->path,
                  ((const struct treesum_line *)b)->path);
}

void treesum_sort(struct treesum *t)
{
    if (t->n > 0)
        qsort(t->lines, t->n, sizeof(*t->lines), by_path);
}

const struct treesum_line *treesum_find(const struct treesum *t, const char *path)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(path, t->lines[mid].path);

        if (order == 0)
            return &t->lines[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

char *treesum_dir(mode_t mode)
{
    return str_printf("d %o", (unsigned)mode);
}

char *treesum_file(mode_t mode, uint64_t size, const char *sum)
{
    return str_printf("f %o %llu %s", (unsigned)mode, (unsigned long long)size,
                      size == 0 ? "-" : sum);
}

char *treesum_link(const char *target)
{
    return str_printf("l %s", target);
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

    fd = openat(dirfd, SUMS_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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
        if (treesum_add(t, strdup(p), strdup(what), err) < 0)
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
        differs(arg, how,
                order > 0 ? found->lines[k - 1].path : expected->lines[i - 1].path);
    }
    return n;
}
