/* The root of an impure sandbox: the host's top-level directories and one /nix/store.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "launch/bindlist.h"
#include "sys/pathfd.h"

/* Where the host's store is inside the sandbox when it has to share /nix/store. */
#define HOST_STORE "/nix/.host-store"

/* Names in a directory, sorted; a missing directory has none. */
static int list_names(const char *path, struct strv *names, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : error_sys(err, errno, "cannot list %s", path);
    return pathfd_names(fd, names, err) < 0 ? error_context(err, "%s", path) : 0;
}

/* Host directories that users work in are writable, as RepX has it. */
static enum plan_mount_kind kind_of_host_dir(const char *name)
{
    static const char *const writable[] = {"home", "tmp",     "var", "opt",
                                           "srv",  "mnt",     "run", "media",
                                           "root", "scratch", "data"};

    for (size_t i = 0; i < array_size(writable); i++)
        if (strcmp(name, writable[i]) == 0)
            return PLAN_MOUNT_BIND_RW;
    return PLAN_MOUNT_BIND_RO;
}

/* One entry of the host's root: a link (merged /usr) is made again, a directory bound.
 */
static int add_host_entry(struct bindlist *l, const char *name, struct error *err)
{
    static const char *const own[] = {"dev", "proc", "nix"};
    _cleanup_free_ char *path = str_printf("/%s", name);
    char target[4096];
    struct stat st;
    ssize_t n;

    if (!path)
        return error_oom(err);
    for (size_t i = 0; i < array_size(own); i++)
        if (strcmp(name, own[i]) == 0)
            return 0;
    if (lstat(path, &st) < 0)
        return 0;
    if (S_ISLNK(st.st_mode)) {
        n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0)
            return 0;
        target[n] = '\0';
        return bindlist_add(l, PLAN_MOUNT_SYMLINK, PLAN_ROLE_ROOT, target, path, true,
                            err);
    }
    if (!S_ISDIR(st.st_mode) || access(path, X_OK) < 0)
        return 0;
    return bindlist_add(l, kind_of_host_dir(name), PLAN_ROLE_ROOT, path, path, false,
                        err);
}

/* One path of the image's store: a mount point in the farm and a bind onto it; a link
 * is made again. */
static int add_image_path(struct bindlist *l, const struct store_tmp *farm,
                          const char *image_store, const char *name, struct error *err)
{
    _cleanup_free_ char *source = str_printf("%s/%s", image_store, name);
    _cleanup_free_ char *dest = str_printf("/nix/store/%s", name);
    char target[4096];
    struct stat st;
    ssize_t n;
    int fd;

    if (!source || !dest)
        return error_oom(err);
    if (lstat(source, &st) < 0)
        return error_sys(err, errno, "cannot look at %s", source);
    if (S_ISLNK(st.st_mode)) {
        n = readlink(source, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = '\0';
        return n > 0 && symlinkat(target, farm->fd, name) == 0
                   ? 0
                   : error_sys(err, errno, "cannot make the link %s", dest);
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdirat(farm->fd, name, 0755) < 0)
            return error_sys(err, errno, "cannot make a mount point for %s", dest);
    } else {
        fd = openat(farm->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
        if (fd < 0)
            return error_sys(err, errno, "cannot make a mount point for %s", dest);
        close(fd);
    }
    return bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, source, dest,
                        !S_ISDIR(st.st_mode), err);
}

static int add_host_links(const struct store_tmp *farm, const struct strv *image_names,
                          const struct strv *host_names, struct error *err)
{
    for (size_t i = 0; i < host_names->count; i++) {
        const char *name = host_names->items[i];
        _cleanup_free_ char *target = str_printf(HOST_STORE "/%s", name);

        if (!target)
            return error_oom(err);
        /* the image's path wins; both have the same content, as the name has a hash */
        if (!strv_contains(image_names, name) && symlinkat(target, farm->fd, name) < 0)
            return error_sys(err, errno, "cannot make a link for /nix/store/%s", name);
    }
    return 0;
}

/* Host and image both have a store: a farm of this launch alone (a shared one was
 * emptied under running jobs, FACTS-REPX B11), with links to the host's paths, which
 * are bound beside it as a whole, and the image's paths bound over it. A host store can
 * have more paths than bwrap takes arguments. */
static int add_union_store(struct bindlist *l, const char *image_store,
                           const struct strv *image_names,
                           const struct strv *host_names, struct store *store,
                           struct store_tmp *farm, struct error *err)
{
    _cleanup_free_ char *path = NULL;

    if (store_tmp_new(store, farm, err) < 0)
        return -1;
    path = str_printf("%s/tmp/%s", store->path, farm->name);
    if (!path)
        return error_oom(err);
    if (add_host_links(farm, image_names, host_names, err) < 0)
        return -1;
    if (bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, path, "/nix/store", false,
                     err) < 0 ||
        bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "/nix/store", HOST_STORE,
                     false, err) < 0)
        return -1;
    for (size_t i = 0; i < image_names->count; i++)
        if (add_image_path(l, farm, image_store, image_names->items[i], err) < 0)
            return -1;
    return 0;
}

/* Never through a link of the image: that would leave its tree. */
static bool image_has_store(const char *rootfs)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int store = -1;

    if (root < 0)
        return false;
    store = pathfd_open_nofollow(root, "nix/store", O_PATH | O_DIRECTORY, 0, &ignored);
    return store >= 0;
}

static int add_nix(struct bindlist *l, const char *rootfs, struct store *store,
                   struct store_tmp *farm, struct error *err)
{
    _cleanup_strv_ struct strv host = STRV_INIT, image = STRV_INIT;
    _cleanup_free_ char *image_store = str_printf("%s/nix/store", rootfs ? rootfs : "");

    if (!image_store)
        return error_oom(err);
    if (list_names("/nix/store", &host, err) < 0)
        return -1;
    if (rootfs && image_has_store(rootfs) && list_names(image_store, &image, err) < 0)
        return -1;
    if (image.count == 0 && host.count == 0)
        return 0;
    if (image.count == 0)
        return bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "/nix", "/nix",
                            false, err);
    if (host.count == 0)
        return bindlist_add(l, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, image_store,
                            "/nix/store", false, err);
    return add_union_store(l, image_store, &image, &host, store, farm, err);
}

int bindlist_add_host_root(struct bindlist *l, const char *rootfs, struct store *store,
                           struct store_tmp *farm, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;

    if (list_names("/", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.count; i++)
        if (add_host_entry(l, names.items[i], err) < 0)
            return -1;
    return add_nix(l, rootfs, store, farm, err);
}
