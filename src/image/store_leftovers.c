/* What images leave behind when they are gone: lock files and what was remembered of
 * archives. The caller holds evict.lock. A lock file goes only under its own exclusive
 * lock and when what it protects is not there; whoever waits for it sees that it was
 * unlinked (lockfile.h) and opens a new one. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/refs.h"
#include "image/store_private.h"

/* The directory that has the entry which a lock file is for, and its name there: -1 for
 * files that are no entry's. "ref-<hex>.lock": refs/<hex>, which is removed first. */
static int entry_of(const struct store *s, const char *name, char *hex)
{
    const struct {
        const char *prefix;
        int dirfd;
    } kinds[] = {
        {"layer-", s->layers_fd}, {"rootfs-", s->rootfs_fd}, {"ref-", s->refs_fd}};
    size_t i;

    for (i = 0; i < array_size(kinds); i++) {
        size_t n = strlen(kinds[i].prefix);
        const char *end = name + n + DIGEST_HEX_LEN;

        if (strncmp(name, kinds[i].prefix, n) != 0 ||
            strlen(name) < n + DIGEST_HEX_LEN ||
            (strcmp(end, ".lock") != 0 && strcmp(end, ".use") != 0))
            continue;
        memcpy(hex, name + n, DIGEST_HEX_LEN);
        hex[DIGEST_HEX_LEN] = '\0';
        return is_lower_hex(hex, DIGEST_HEX_LEN) ? kinds[i].dirfd : -1;
    }
    return -1;
}

static bool is_there(int dirfd, const char *hex)
{
    struct stat st;

    return fstatat(dirfd, hex, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

static int remove_lock(struct store *s, const char *name, uint64_t *removed,
                       struct error *err)
{
    struct lockfile l = LOCKFILE_INIT;
    char hex[DIGEST_HEX_LEN + 1];
    int dirfd = entry_of(s, name, hex), rc;

    if (dirfd < 0 || is_there(dirfd, hex))
        return 0;
    rc = lockfile_try(&l, s->locks_fd, name, true, err);
    /* Again: it may have been made while nobody had the lock. */
    if (rc == 0 && !is_there(dirfd, hex)) {
        rc = lockfile_unlink(&l, s->locks_fd, name, err);
        *removed += rc == 0;
    }
    lockfile_release(&l);
    return rc < 0 ? -1 : 0;
}

/* An archive whose image is not in the store has to be read again anyway. A tree's tar
 * has one layer, of the image's own digest, which is there before the image is. */
static int remove_ref(struct store *s, const char *name, uint64_t *removed,
                      struct error *err)
{
    struct digest id;

    if (!is_lower_hex(name, DIGEST_HEX_LEN))
        return 0;
    if (refs_image(s, name, &id) &&
        (is_there(s->rootfs_fd, id.hex) || is_there(s->layers_fd, id.hex)))
        return 0;
    if (unlinkat(s->refs_fd, name, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove \"%s/refs/%s\"", s->path, name);
    ++*removed;
    return 0;
}

static int each(struct store *s, int dirfd,
                int (*one)(struct store *s, const char *name, uint64_t *removed,
                           struct error *err),
                uint64_t *removed, struct error *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!dir) {
        cleanup_closep(&fd);
        return error_sys(err, errno, "cannot read the store \"%s\"", s->path);
    }
    while ((e = readdir(dir)))
        if (one(s, e->d_name, removed, err) < 0)
            return -1;
    return 0;
}

int store_leftovers_remove(struct store *s, uint64_t *removed, struct error *err)
{
    if (each(s, s->refs_fd, remove_ref, removed, err) < 0)
        return -1;
    return each(s, s->locks_fd, remove_lock, removed, err);
}
