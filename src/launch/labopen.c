#include "launch/labopen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/digest.h"
#include "launch/meter.h"
#include "sys/trust.h"

static int digest_hex(int fd, char *hex, struct error *err)
{
    struct digest d;

    if (digest_of_fd(fd, &d, err) < 0)
        return -1;
    memcpy(hex, d.hex, sizeof(d.hex));
    return 0;
}

static int digest_data(const void *data, size_t len, char *hex, struct error *err)
{
    struct digest d;

    if (digest_of(data, len, &d, err) < 0)
        return -1;
    memcpy(hex, d.hex, sizeof(d.hex));
    return 0;
}

/* Where the node keeps what it knows of labs; -1 when it cannot keep it safely, which
 * only costs time. */
static int open_index(const struct session *s, bool build)
{
    _cleanup_free_ char *path = str_printf("%s/repx/labs-v1", session_store_root(s));
    struct error why = ERROR_INIT;
    int fd;

    if (!path || (!build && access(path, F_OK) < 0))
        return -1;
    fd = trust_private_dir(path, &why);
    if (fd < 0)
        log_debug("labs are not indexed: %s", why.text);
    return fd;
}

/* A packed lab has one top-level directory (FACTS-REPX section 1). */
static char *only_directory(const char *tree, const char *tar, struct error *err)
{
    _cleanup_closedir_ DIR *dir = opendir(tree);
    _cleanup_free_ char *name = NULL;
    struct dirent *e;
    struct stat st;
    char *path;

    if (!dir) {
        error_sys(err, errno, "cannot list %s", tree);
        return NULL;
    }
    while ((e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (name || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISDIR(st.st_mode)) {
            error_fail(err, "lab archive %s is not one directory with the lab in it",
                       tar);
            return NULL;
        }
        name = strdup(e->d_name);
        if (!name) {
            error_oom(err);
            return NULL;
        }
    }
    if (!name) {
        error_fail(err, "lab archive %s is empty", tar);
        return NULL;
    }
    path = str_printf("%s/%s", tree, name);
    if (!path)
        error_oom(err);
    return path;
}

static int open_packed(struct opened_lab *o, struct session *s, const char *path,
                       const struct lab_options *opts, struct error *err)
{
    _cleanup_free_ char *dir = NULL;
    struct meter meter;
    int r;

    if (session_open_store(s, err) < 0)
        return -1;
    if (image_open_cached(&o->tar, path, &s->store, err) < 0)
        return error_context(err, "lab %s", path);
    if (o->tar.kind != IMAGE_ROOTFS_TAR)
        return error_fail(err, "%s is an image (%s), not a lab", path,
                          image_kind_name(o->tar.kind));
    meter_init(&meter, path, s->watch);
    r = image_prepare(&o->tar, &s->store, &meter.hooks, &o->tree, err);
    meter_finish(&meter);
    if (r < 0)
        return error_context(err, "lab %s", path);
    dir = only_directory(o->tree.path, path, err);
    return dir ? lab_open(&o->lab, dir, opts, err) : -1;
}

static int open_lab(struct opened_lab *o, struct session *s, const struct strv *names,
                    struct error *err)
{
    const char *path = s->request->lab ? s->request->lab : "./result";
    _cleanup_close_ int dir = open_index(s, names != NULL);
    const struct lab_index_place place = {
        .dirfd = dir, .build = names != NULL, .digest = digest_data};
    const struct lab_options opts = {.verify = !s->request->trust_lab,
                                     .digest_fd = digest_hex,
                                     .index = dir >= 0 ? &place : NULL,
                                     .names = names};
    struct stat st;

    *o = (struct opened_lab)OPENED_LAB_INIT;
    if (stat(path, &st) < 0) {
        error_sys(err, errno, "cannot open the lab %s", path);
        return error_hint(err, "name it with --lab LAB");
    }
    if (S_ISREG(st.st_mode))
        return open_packed(o, s, path, &opts, err);
    return lab_open(&o->lab, path, &opts, err);
}

int opened_lab_init(struct opened_lab *o, struct session *s, struct error *err)
{
    return open_lab(o, s, NULL, err);
}

int opened_lab_init_for(struct opened_lab *o, struct session *s,
                        const struct strv *names, struct error *err)
{
    return open_lab(o, s, names, err);
}

void opened_lab_release(struct opened_lab *o)
{
    lab_release(&o->lab);
    image_rootfs_release(&o->tree);
    image_release(&o->tar);
}
