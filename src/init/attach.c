#include "init/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/privileges.h"
#include "runtime/init_protocol.h"

/* The image and earlier mounts are on the way: no link of theirs leads out. */
static int open_in_root(const char *dir)
{
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;

    if (root < 0)
        return -1;
    fd = (int)syscall(SYS_openat2, root, dir, &how, sizeof(how));
    close(root);
    return fd;
}

static int attach(int mount, const char *dir)
{
    const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    struct stat x, y;
    int target;

    if (fstat(mount, &y) < 0)
        return errno;
    /* what the launcher has put aside for it: bwrap has got the mounts */
    if (S_ISREG(y.st_mode)) {
        close(mount);
        return 0;
    }
    target = open_in_root(dir);
    if (target < 0 || fstat(target, &x) < 0)
        return errno;
    /* it is a bind of the directory on itself: nothing else is hidden by it */
    if (x.st_dev != y.st_dev || x.st_ino != y.st_ino)
        return ESTALE;
    if (syscall(SYS_move_mount, mount, "", target, "", flags) < 0)
        return errno;
    close(target);
    close(mount);
    return 0;
}

bool attach_parse_fd(const char *s, int *fd)
{
    char *end;
    long v;

    errno = 0;
    v = strtol(s, &end, 10);
    if (errno || end == s || *end || v < 3 || v > 1 << 20)
        return false;
    *fd = (int)v;
    return true;
}

int attach_given(int *argc, char ***argv)
{
    char **words = *argv;
    int mount, failed;

    if (*argc <= INIT_ATTACH_ARGS || strcmp(words[1], INIT_ATTACH_ARG) != 0)
        return 0;
    failed = attach_parse_fd(words[2], &mount) ? attach(mount, words[3]) : EINVAL;
    *argc -= INIT_ATTACH_ARGS;
    *argv += INIT_ATTACH_ARGS;
    return privileges_drop() != 0 && !failed ? errno : failed;
}
