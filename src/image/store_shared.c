/* The site's store: filled by root, read by everybody.
 *
 * Users can do three things to it: read, take a shared flock on a .use file, and hold
 * that for as long as they like, which keeps root from evicting the image and nothing
 * else. So root's own work never waits for a .use lock, and a user who finds one taken
 * exclusively (by an eviction, or by somebody who means ill) goes to his own store. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/store_private.h"
#include "sys/netfs.h"
#include "sys/pathfd.h"
#include "sys/trust.h"

#define BUSY_RETRIES 8
#define BUSY_PAUSE_NS 2000000L
#define NOT_LOCAL                                                                      \
    "\"%s\" is on %s: the locks by which users keep an image from being removed may "  \
    "not "                                                                             \
    "reach from node to node there; use a local directory on each node"

static char *shared_path(const char *root, struct error *err)
{
    char *path = str_printf("%s/repx/" STORE_NAME, root);

    if (!path)
        error_oom(err);
    return path;
}

/* Made for everybody to enter; then looked at as strictly as users will. */
static int make_and_trust(const char *path, struct error *err)
{
    int fd = pathfd_make_dirs_user(path, 0755, err);

    if (fd < 0)
        return -1;
    close(fd);
    return trust_site_dir(path, err);
}

int store_open_shared(struct store *s, const char *root, struct error *err)
{
    *s = (struct store)STORE_INIT;
    if (geteuid() != 0)
        return error_fail(err, "the site's store \"%s\" is filled by root only", root);
    s->shared = true;
    s->path = shared_path(root, err);
    s->fd = s->path ? make_and_trust(s->path, err) : -1;
    s->network = s->fd >= 0 ? netfs_name(s->fd) : NULL;
    if (s->network)
        error_fail(err, NOT_LOCAL, s->path, s->network);
    if (s->fd < 0 || s->network || store_open_parts(s, 0755, err) < 0) {
        store_release(s);
        return error_context(err, "the site's store");
    }
    return 0;
}

/* Root's, and nobody else can write to it. */
static bool is_sites(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022);
}

static int open_site_part(const struct store *s, const char *name, int *fd,
                          struct error *err)
{
    *fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return error_sys(err, errno, "cannot open \"%s/%s\"", s->path, name);
    if (!is_sites(*fd))
        return error_fail(err, "\"%s/%s\" does not belong to root alone", s->path,
                          name);
    return 0;
}

static int open_site(struct store *s, const char *root, struct error *err)
{
    s->path = shared_path(root, err);
    s->fd = s->path ? trust_site_dir(s->path, err) : -1;
    if (s->fd < 0)
        return -1;
    s->network = netfs_name(s->fd);
    if (s->network)
        return error_fail(err, NOT_LOCAL, s->path, s->network);
    if (open_site_part(s, "rootfs", &s->rootfs_fd, err) < 0 ||
        open_site_part(s, "layers", &s->layers_fd, err) < 0 ||
        open_site_part(s, "locks", &s->locks_fd, err) < 0 ||
        open_site_part(s, "refs", &s->refs_fd, err) < 0)
        return -1;
    return 0;
}

int store_attach_site(struct store *s, const char *root, struct error *err)
{
    struct store *site = malloc(sizeof(*site));

    if (!site)
        return error_oom(err);
    *site = (struct store)STORE_INIT;
    if (open_site(site, root, err) < 0) {
        store_release(site);
        free(site);
        if (err->errnum != ENOENT)
            return error_context(err, "the site's store is not used");
        error_clear(err);
        return 1;
    }
    s->site = site;
    return 0;
}

/* The lock of an image that root has made for its users: 0 held, 1 not, -1. */
static int hold(struct store *site, const char *name, struct lockfile *use,
                struct error *err)
{
    const struct timespec pause = {0, BUSY_PAUSE_NS};
    int i, rc = 1;

    for (i = 0; rc == 1 && i < BUSY_RETRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        lockfile_release(use);
        rc = lockfile_try_existing(use, site->locks_fd, name, false, err);
    }
    return rc == 0 && !is_sites(use->fd) ? 1 : rc;
}

int store_site_find(struct store *s, const struct digest *id, struct image_rootfs *out)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.use", id->hex);
    struct lockfile use = LOCKFILE_INIT;
    struct error why = ERROR_INIT;
    int rc = 1;

    if (s->site && name && id->hex[0])
        rc = hold(s->site, name, &use, &why);
    if (rc == 0)
        rc = store_find(s->site, id, out, &why);
    if (rc == 0 && !is_sites(out->dirfd)) {
        image_rootfs_release(out);
        rc = 1;
    }
    if (rc < 0 && why.errnum != ENOENT)
        log_debug("image not taken from the site's store \"%s\": %s", s->site->path,
                  why.text);
    if (rc != 0) {
        lockfile_release(&use);
        return 1;
    }
    out->lockfd = use.fd;
    out->shared = true;
    return 0;
}

int store_shared_offer(struct store *s, const struct digest *id, struct error *err)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.use", id->hex);
    _cleanup_close_ int fd = -1;

    if (!name)
        return error_oom(err);
    fd = openat(s->locks_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || fchmod(fd, 0644) < 0)
        return error_sys(err, errno, "cannot make the lock file \"%s\"", name);
    return 0;
}
