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
#include "sys/lockholders.h"
#include "sys/process.h"

static void entry_release(struct store_entry *e)
{
    size_t i;

    for (i = 0; i < e->n_users; i++) {
        free(e->users[i].name);
        free(e->users[i].job);
    }
    free(e->users);
    free(e->name);
}

void store_entries_free(struct store_entry *entries, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        entry_release(&entries[i]);
    free(entries);
}

static int add_users(struct store_entry *e, int lockfd, struct error *err)
{
    _cleanup_free_ struct lockholder *holders = NULL;
    struct error ignored = ERROR_INIT;
    size_t i, n;

    /* A courtesy: /proc may be hidden. */
    if (lockholders_find(lockfd, &holders, &n, &ignored) < 0 || n == 0)
        return 0;
    e->users = calloc(n, sizeof(*e->users));
    if (!e->users)
        return error_oom(err);
    for (i = 0; i < n; i++)
        e->users[e->n_users++] = (struct store_user){
            .pid = holders[i].pid,
            .uid = holders[i].uid,
            .name = process_user_name(holders[i].uid),
            .job = lockholders_env(holders[i].pid, "SLURM_JOB_ID"),
        };
    return 0;
}

/* Sets in_use: does a launch hold the shared lock of the tree now? */
static int look_for_users(struct store *s, const char *hex, struct store_entry *e,
                          struct error *err)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.use", hex);
    struct lockfile l = LOCKFILE_INIT;
    int rc;

    if (!name)
        return error_oom(err);
    rc = lockfile_try(&l, s->locks_fd, name, true, err);
    e->in_use = rc == 1;
    if (rc == 1)
        rc = add_users(e, l.fd, err);
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
    rc = look_for_users(s, hex, e, err);
    if (rc < 0)
        entry_release(e);
    return rc;
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
                entry_release(&e);
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
