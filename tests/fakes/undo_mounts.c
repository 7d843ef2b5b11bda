/* undo-mounts [--nested] PLACE PATH...: a job that wants more of its mounts than it was
 * given. Tries to make each writable or less restricted, to get at it in a copy, to
 * move it to PLACE and to take it away; with --nested as the owner of a user and mount
 * namespace of its own, with every capability there. Prints what has worked, a line
 * each. */
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UMOUNT_DETACH 2
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

static void tell(const char *what, const char *path, long rc)
{
    if (rc >= 0)
        printf("%s %s\n", what, path);
}

static long clear(int fd, const char *path, uint64_t attr, unsigned flags)
{
    struct mount_attr a = {.attr_clr = attr};

    return syscall(SYS_mount_setattr, fd, path, flags, &a, sizeof(a));
}

static void loosen(int fd, const char *path, unsigned flags, const char *name)
{
    tell("writable", name, clear(fd, path, MOUNT_ATTR_RDONLY, flags));
    tell("suid", name, clear(fd, path, MOUNT_ATTR_NOSUID, flags));
    tell("dev", name, clear(fd, path, MOUNT_ATTR_NODEV, flags));
    tell("all writable", name,
         clear(fd, path, MOUNT_ATTR_RDONLY, flags | AT_RECURSIVE));
}

static long make_file(int dirfd)
{
    char name[32];
    int fd;

    snprintf(name, sizeof(name), "undone-%d", (int)getpid());
    fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    unlinkat(dirfd, name, 0);
    close(fd);
    return 0;
}

/* A copy is allowed where mounts are, but is no less restricted. */
static void undo_copy(const char *path)
{
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

    if (fd < 0)
        return;
    loosen(fd, "", AT_EMPTY_PATH, "copy");
    tell("written", "copy", make_file(fd));
    close(fd);
}

static void undo(const char *place, const char *path)
{
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLOEXEC);
    long moved;

    loosen(AT_FDCWD, path, 0, path);
    tell("written", path, make_file(tree));
    tell("remounted", path,
         syscall(SYS_mount, NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL));
    undo_copy(path);
    moved = syscall(SYS_move_mount, tree, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH);
    tell("moved", path, moved);
    close(tree);
    tell("unmounted", path,
         syscall(SYS_umount2, moved < 0 ? path : place, UMOUNT_DETACH));
}

int main(int argc, char **argv)
{
    int first = 1;

    if (argc > 1 && strcmp(argv[1], "--nested") == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
            perror("unshare");
            return 1;
        }
        first = 2;
    }
    for (int i = first + 1; i < argc; i++)
        undo(argv[first], argv[i]);
    return 0;
}
