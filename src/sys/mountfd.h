/* mountfd: mounts as descriptors: made or copied detached, given their attributes, then
 * attached at a descriptor, so that no path is looked up twice (open_tree, move_mount,
 * fsopen: Linux 5.2; mount_setattr: 5.12). All need CAP_SYS_ADMIN in the user namespace
 * that owns the mount namespace (sys/namespaces). Descriptors are close-on-exec.
 */
#ifndef REPX_SYS_MOUNTFD_H
#define REPX_SYS_MOUNTFD_H

#include <stdbool.h>

struct error;

/* Attributes that restrict a mount. A user namespace below ours cannot take them away
 * again. */
enum mountfd_attr {
    MOUNTFD_RO = 1 << 0,
    MOUNTFD_NOSUID = 1 << 1,
    MOUNTFD_NODEV = 1 << 2,
    MOUNTFD_NOEXEC = 1 << 3,
};

/* A detached copy of what is at path, with all that is mounted below it. path is
 * relative to dirfd (AT_FDCWD: the cwd) and may be "" for dirfd itself; links are
 * followed. Returns its descriptor. */
int mountfd_clone(int dirfd, const char *path, struct error *err);

/* A detached, new file system. options: NULL-terminated pairs of key and value; may be
 * NULL. attrs: of enum mountfd_attr. */
int mountfd_new(const char *type, const char *const *options, unsigned attrs,
                struct error *err);

/* Adds restrictions to the mount, and to all below it when recursive. fd: a descriptor
 * of the mount's root. */
int mountfd_restrict(int fd, unsigned attrs, bool recursive, struct error *err);

/* Attaches a detached mount at a descriptor of the caller's mount namespace. */
int mountfd_attach(int fd, int target, struct error *err);

/* Takes the mount, with all that is mounted below it, out of the caller's namespace.
 * fd: a descriptor of its root, which stays usable. */
int mountfd_detach(int fd, struct error *err);

/* mount(2), for file systems whose options are longer than fsconfig(2) takes (256
 * bytes); data is at most a page. target is relative to the cwd. */
int mountfd_mount(const char *type, const char *target, const char *data,
                  unsigned attrs, struct error *err);

#endif
