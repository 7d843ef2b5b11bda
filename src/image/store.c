#include "image/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/store_private.h"
#include "sys/netfs.h"
#include "sys/pathfd.h"
#include "sys/process.h"
#include "sys/trust.h"

/* <root>/repx/store-v1, and on a file system that other nodes use too a part of it for
 * this node alone (decision 13). */
static char *store_place(struct store *s, const char *root, struct error *err)
{
    _cleanup_free_ char *top = str_printf("%s/repx", root);
    _cleanup_free_ char *host = process_hostname();
    _cleanup_close_ int fd = top ? trust_private_dir(top, err) : error_oom(err);
    char *path;

    if (fd < 0)
        return NULL;
    s->network = netfs_name(fd);
    if (s->network && (!host || !host[0] || host[0] == '.' || strchr(host, '/'))) {
        error_fail(
            err,
            "\"%s\" is on %s, where each node needs a store of its own, and this "
            "node has no usable host name; set node_local_path to a local disk",
            top, s->network);
        return NULL;
    }
    path = s->network ? str_printf("%s/nodes/%s/" STORE_NAME, top, host)
                      : str_printf("%s/" STORE_NAME, top);
    if (!path)
        error_oom(err);
    return path;
}

/* 0700 also where the directory was there before, made by hand or copied. */
static int close_to_others(int fd, const char *path, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot stat \"%s\"", path);
    if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
        return error_sys(err, errno, "cannot close \"%s\" to other users", path);
    return 0;
}

static int open_part(struct store *s, const char *name, mode_t mode, int *fd,
                     struct error *err)
{
    struct stat st;

    *fd = pathfd_make_dirs(s->fd, name, mode, err);
    if (*fd < 0)
        return error_context(err, "\"%s/%s\"", s->path, name);
    if (fstat(*fd, &st) < 0)
        return error_sys(err, errno, "cannot stat \"%s/%s\"", s->path, name);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_fail(err, "\"%s/%s\" does not belong to you alone; remove it",
                          s->path, name);
    return 0;
}

int store_open_parts(struct store *s, mode_t mode, struct error *err)
{
    struct error sweep = ERROR_INIT;

    if (open_part(s, "layers", mode, &s->layers_fd, err) < 0 ||
        open_part(s, "rootfs", mode, &s->rootfs_fd, err) < 0 ||
        open_part(s, "locks", mode, &s->locks_fd, err) < 0 ||
        open_part(s, "refs", mode, &s->refs_fd, err) < 0 ||
        open_part(s, "tmp", 0700, &s->tmp_fd, err) < 0)
        return -1;
    /* Leftovers cost space and nothing else: a launch must not fail because of them. */
    if (store_tmp_sweep(s, &sweep) < 0)
        log_warn("cannot remove leftovers of an interrupted extraction in \"%s\": %s",
                 s->path, sweep.text);
    return 0;
}

int store_open(struct store *s, const char *root, struct error *err)
{
    *s = (struct store)STORE_INIT;
    s->path = store_place(s, root, err);
    s->fd = s->path ? trust_private_dir(s->path, err) : -1;
    if (s->fd < 0 || close_to_others(s->fd, s->path, err) < 0 ||
        store_open_parts(s, 0700, err) < 0) {
        store_release(s);
        return error_context(err, "the node-local store");
    }
    return 0;
}

void store_set_limits(struct store *s, uint64_t max_size, uint64_t min_free)
{
    s->limits = (struct store_limits){max_size, min_free};
}

void store_set_overlay(struct store *s, bool can)
{
    s->overlay = can;
}

void store_release(struct store *s)
{
    cleanup_closep(&s->tmp_fd);
    cleanup_closep(&s->refs_fd);
    cleanup_closep(&s->locks_fd);
    cleanup_closep(&s->rootfs_fd);
    cleanup_closep(&s->layers_fd);
    cleanup_closep(&s->fd);
    if (s->site)
        store_release(s->site);
    free(s->site);
    free(s->path);
    *s = (struct store)STORE_INIT;
}
