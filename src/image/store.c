#include "image/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/store_private.h"
#include "sys/pathfd.h"
#include "sys/trust.h"

#define STORE_SUBDIR "repx/store-v1"

static int open_part(struct store *s, const char *name, int *fd, struct error *err)
{
    struct stat st;

    *fd = pathfd_make_dirs(s->fd, name, 0700, err);
    if (*fd < 0)
        return -1;
    if (fstat(*fd, &st) < 0)
        return error_sys(err, errno, "cannot stat \"%s/%s\"", s->path, name);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_fail(err, "\"%s/%s\" does not belong to you alone; remove it",
                          s->path, name);
    return 0;
}

int store_open(struct store *s, const char *root, struct error *err)
{
    struct error sweep = ERROR_INIT;

    *s = (struct store)STORE_INIT;
    s->path = str_printf("%s/" STORE_SUBDIR, root);
    if (!s->path)
        return error_oom(err);
    s->fd = trust_private_dir(s->path, err);
    if (s->fd < 0 || open_part(s, "layers", &s->layers_fd, err) < 0 ||
        open_part(s, "rootfs", &s->rootfs_fd, err) < 0 ||
        open_part(s, "locks", &s->locks_fd, err) < 0 ||
        open_part(s, "refs", &s->refs_fd, err) < 0 ||
        open_part(s, "tmp", &s->tmp_fd, err) < 0) {
        store_release(s);
        return error_context(err, "the node-local store");
    }
    /* Leftovers cost space and nothing else: a launch must not fail because of them. */
    if (store_tmp_sweep(s, &sweep) < 0)
        log_warn("cannot remove leftovers of an interrupted extraction in \"%s\": %s",
                 s->path, sweep.text);
    return 0;
}

void store_set_limits(struct store *s, uint64_t max_size, uint64_t min_free)
{
    s->limits = (struct store_limits){max_size, min_free};
}

void store_release(struct store *s)
{
    cleanup_closep(&s->tmp_fd);
    cleanup_closep(&s->refs_fd);
    cleanup_closep(&s->locks_fd);
    cleanup_closep(&s->rootfs_fd);
    cleanup_closep(&s->layers_fd);
    cleanup_closep(&s->fd);
    free(s->path);
    *s = (struct store)STORE_INIT;
}
