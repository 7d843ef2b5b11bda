#include "sys/mountfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Raw system calls: libc has wrappers only since glibc 2.36, and its <sys/mount.h>
 * clashes with the kernel's header in some versions. */

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* MNT_DETACH, which only libc's <sys/mount.h> has. */
#define UMOUNT_DETACH 2

/* How /proc/mounts would know us: shown as the source of new file systems. */
#define SOURCE "repx"

static uint64_t kernel_attrs(unsigned attrs)
{
    uint64_t set = 0;

    if (attrs & MOUNTFD_RO)
        set |= MOUNT_ATTR_RDONLY;
    if (attrs & MOUNTFD_NOSUID)
        set |= MOUNT_ATTR_NOSUID;
    if (attrs & MOUNTFD_NODEV)
        set |= MOUNT_ATTR_NODEV;
    if (attrs & MOUNTFD_NOEXEC)
        set |= MOUNT_ATTR_NOEXEC;
    return set;
}

int mountfd_clone(int dirfd, const char *path, struct error *err)
{
    const unsigned flags =
        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH;
    int fd = (int)syscall(SYS_open_tree, dirfd, path, flags);

    return fd < 0 ? error_sys(err, errno, "cannot bind '%s'", path) : fd;
}

int mountfd_new(const char *type, const char *const *options, unsigned attrs,
                struct error *err)
{
    _cleanup_close_ int fs = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
    int fd;

    if (fs < 0)
        return error_sys(err, errno, "cannot make a file system of type %s", type);
    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "source", SOURCE, 0);
    for (; options && options[0]; options += 2)
        if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[0], options[1], 0) <
            0)
            return error_sys(err, errno, "cannot give %s the option %s=%s", type,
                             options[0], options[1]);
    if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_sys(err, errno, "cannot make a file system of type %s", type);
    fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, kernel_attrs(attrs));
    return fd < 0 ? error_sys(err, errno, "cannot mount %s", type) : fd;
}

int mountfd_restrict(int fd, unsigned attrs, bool recursive, struct error *err)
{
    struct mount_attr a = {.attr_set = kernel_attrs(attrs)};
    unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u);

    if (syscall(SYS_mount_setattr, fd, "", flags, &a, sizeof(a)) < 0)
        return error_sys(err, errno, "cannot restrict a mount");
    return 0;
}

int mountfd_attach(int fd, int target, struct error *err)
{
    const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

    if (syscall(SYS_move_mount, fd, "", target, "", flags) < 0)
        return error_sys(err, errno, "cannot attach a mount");
    return 0;
}

int mountfd_detach(int fd, struct error *err)
{
    char path[64];

    /* umount2(2) takes no descriptor */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (syscall(SYS_umount2, path, UMOUNT_DETACH) < 0)
        return error_sys(err, errno, "cannot take a mount away");
    return 0;
}

int mountfd_mount(const char *type, const char *target, const char *data,
                  unsigned attrs, struct error *err)
{
    unsigned long flags = MS_SILENT;

    if (attrs & MOUNTFD_RO)
        flags |= MS_RDONLY;
    if (attrs & MOUNTFD_NOSUID)
        flags |= MS_NOSUID;
    if (attrs & MOUNTFD_NODEV)
        flags |= MS_NODEV;
    if (attrs & MOUNTFD_NOEXEC)
        flags |= MS_NOEXEC;
    if (syscall(SYS_mount, SOURCE, target, type, flags, data) < 0)
        return error_sys(err, errno, "cannot mount a file system of type %s", type);
    return 0;
}
