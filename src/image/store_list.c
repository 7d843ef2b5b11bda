/* What is in the store, for `cache list`. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/store_private.h"

void store_entries_free(struct store_entry *entries, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        free(entries[i].name);
    free(entries);
}

/* 1 when a launch holds the shared lock of the tree now. */
static int in_use(struct store *s, const char *hex, struct error *err)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.use", hex);
    struct lockfile l = LOCKFILE_INIT;
    int rc;

    if (!name)
        return error_oom(err);
    rc = lockfile_try(&l, s->locks_fd, name, true, err);
    lockfile_release(&l);
    return rc;
}

static int fill(struct store *s, const char *hex, struct store_entry *e,
                struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    int rc;

    memset(e, 0, sizeof(*e));
    memcpy(e->id.hex, hex, DIGEST_HEX_LEN + 1);
    fd = openat(s->rootfs_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 1;
    rc = store_record_read_rootfs(fd, e, err);
    if (rc != 0)
        return rc;
    e->used = e->created;
    if (fstatat(fd, STORE_USED, &st, AT_SYMLINK_NOFOLLOW) == 0)
        e->used = st.st_mtim.tv_sec;
    e->in_use = in_use(s, hex, err);
    if (e->in_use >= 0)
        return 0;
    free(e->name);
    return -1;
}

static int by_use(const void *a, const void *b)
{
    const struct store_entry *x = a, *y = b;

    if (x->used != y->used)
        return x->used < y->used ? 1 : -1;
    return strcmp(x->id.hex, y->id.hex);
}

static int list(struct store *s, DIR *dir, struct store_entry **entries, size_t *n,
                struct error *err)
{
    struct store_entry *more, e;
    struct dirent *d;
    size_t cap = 0;
    int rc;

    while ((d = readdir(dir))) {
        if (!is_lower_hex(d->d_name, DIGEST_HEX_LEN))
            continue;
        rc = fill(s, d->d_name, &e, err);
        if (rc < 0)
            return -1;
        if (rc == 1)
            continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 16;
            more = realloc(*entries, cap * sizeof(e));
            if (!more) {
                free(e.name);
                return error_oom(err);
            }
            *entries = more;
        }
        (*entries)[(*n)++] = e;
    }
    return 0;
}

int store_list(struct store *s, struct store_entry **entries, size_t *n,
               struct error *err)
{
    int fd = openat(s->rootfs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    *entries = NULL;
    *n = 0;
    if (!dir) {
        cleanup_closep(&fd);
        return error_sys(err, errno, "cannot read \"%s/rootfs\"", s->path);
    }
    rc = list(s, dir, entries, n, err);
    closedir(dir);
    if (rc < 0) {
        store_entries_free(*entries, *n);
        *entries = NULL;
        *n = 0;
        return -1;
    }
    if (*n)
        qsort(*entries, *n, sizeof(**entries), by_use);
    return 0;
}
