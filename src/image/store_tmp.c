/* tmp/: what is being written. A writer holds an flock on tmp/NAME.owner for as long as
 * it lives, on whatever host: a sweep that gets that lock knows that the writer is
 * dead, also after SIGKILL or a crash of its node. Names are never used again. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/store_private.h"
#include "sys/pathfd.h"
#include "sys/process.h"

#define OWNER_SUFFIX ".owner"
#define NEW_RETRIES 16

static char *owner_name(const char *name, struct error *err)
{
    char *owner = str_printf("%s" OWNER_SUFFIX, name);

    if (!owner)
        error_oom(err);
    return owner;
}

static int fresh_name(struct store_tmp *t, struct error *err)
{
    _cleanup_free_ char *host = process_hostname();
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_sys(err, errno, "cannot get random bytes");
    snprintf(t->name, sizeof(t->name), "%.64s-%ld-%016llx",
             host && host[0] && !strchr(host, '/') ? host : "host", (long)getpid(),
             (unsigned long long)random);
    return 0;
}

static int make(struct store *s, struct store_tmp *t, struct error *err)
{
    _cleanup_free_ char *owner = NULL;
    int rc;

    if (fresh_name(t, err) < 0)
        return -1;
    owner = owner_name(t->name, err);
    if (!owner)
        return -1;
    rc = lockfile_try(&t->owner, s->tmp_fd, owner, true, err);
    if (rc < 0)
        return -1;
    if (rc == 1) {
        lockfile_release(&t->owner);
        return 1;
    }
    if (mkdirat(s->tmp_fd, t->name, 0700) < 0)
        return error_sys(err, errno, "cannot make a directory in \"%s/tmp\"", s->path);
    t->fd = openat(s->tmp_fd, t->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (t->fd < 0)
        return error_sys(err, errno, "cannot open \"%s/tmp/%s\"", s->path, t->name);
    return 0;
}

int store_tmp_new(struct store *s, struct store_tmp *t, struct error *err)
{
    int i, rc = 1;

    *t = (struct store_tmp)STORE_TMP_INIT;
    for (i = 0; rc == 1 && i < NEW_RETRIES; i++)
        rc = make(s, t, err);
    if (rc == 1)
        rc =
            error_fail(err, "cannot get a directory of our own in \"%s/tmp\"", s->path);
    if (rc < 0)
        store_tmp_discard(s, t);
    return rc;
}

static void let_go(struct store *s, struct store_tmp *t)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *owner = owner_name(t->name, &ignored);

    if (owner && t->owner.fd >= 0)
        unlinkat(s->tmp_fd, owner, 0);
    lockfile_release(&t->owner);
    cleanup_closep(&t->fd);
    t->fd = -1;
    t->name[0] = '\0';
}

void store_tmp_discard(struct store *s, struct store_tmp *t)
{
    struct error ignored = ERROR_INIT;

    if (!t->name[0])
        return;
    /* The owner file stays when the tree does: the next sweep finds both. */
    if (t->owner.fd >= 0 && pathfd_remove_tree(s->tmp_fd, t->name, &ignored) < 0) {
        lockfile_release(&t->owner);
        cleanup_closep(&t->fd);
        *t = (struct store_tmp)STORE_TMP_INIT;
        return;
    }
    let_go(s, t);
}

int store_tmp_publish(struct store *s, struct store_tmp *t, int dirfd, const char *hex,
                      struct error *err)
{
    /* Only something without a valid record can be there: the caller has the lock and
     * has looked. rename would refuse to replace a directory that is not empty. */
    if (pathfd_remove_tree(dirfd, hex, err) < 0)
        return error_context(err, "cannot remove a damaged entry of the store");
    if (s->shared && fchmod(t->fd, 0755) < 0)
        return error_sys(err, errno, "cannot open \"%s\" to all users", hex);
    if (renameat(s->tmp_fd, t->name, dirfd, hex) < 0)
        return error_sys(err, errno, "cannot publish \"%s\" in the store \"%s\"", hex,
                         s->path);
    /* No fsync: a crash that undoes the rename only makes the entry absent. */
    let_go(s, t);
    return 0;
}

/* base: the directory's name. */
static int sweep_one(struct store *s, const char *base, struct error *err)
{
    struct lockfile l = LOCKFILE_INIT;
    _cleanup_free_ char *owner = owner_name(base, err);
    int rc;

    if (!owner)
        return -1;
    rc = lockfile_try(&l, s->tmp_fd, owner, true, err);
    if (rc == 0)
        rc = pathfd_remove_tree(s->tmp_fd, base, err);
    if (rc == 0 && unlinkat(s->tmp_fd, owner, 0) < 0 && errno != ENOENT)
        rc = error_sys(err, errno, "cannot unlink \"%s\"", owner);
    lockfile_release(&l);
    return rc < 0 ? -1 : 0;
}

int store_tmp_sweep(struct store *s, struct error *err)
{
    const size_t suffix = strlen(OWNER_SUFFIX);
    int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir) {
        cleanup_closep(&fd);
        return error_sys(err, errno, "cannot read \"%s/tmp\"", s->path);
    }
    while ((e = readdir(dir))) {
        size_t n = strlen(e->d_name);
        _cleanup_free_ char *base = NULL;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (n > suffix && strcmp(e->d_name + n - suffix, OWNER_SUFFIX) == 0)
            n -= suffix;
        base = strndup(e->d_name, n);
        if (!base)
            rc = error_oom(err);
        else if (sweep_one(s, base, err) < 0)
            rc = -1;
    }
    closedir(dir);
    return rc;
}
