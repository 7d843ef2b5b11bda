#include "sys/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

static int write_proc(const char *path, const char *text, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t n = strlen(text);

    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        return error_sys(err, errno, "cannot write '%s' to %s", text, path);
    return 0;
}

static int map_ids(uid_t uid, gid_t gid, struct error *err)
{
    char text[64];

    snprintf(text, sizeof(text), "%u %u 1", uid, uid);
    if (write_proc("/proc/self/uid_map", text, err) < 0)
        return -1;
    /* gid_map is only open to those who cannot shed a group any more (CVE-2014-8989) */
    if (write_proc("/proc/self/setgroups", "deny", err) < 0)
        return -1;
    snprintf(text, sizeof(text), "%u %u 1", gid, gid);
    return write_proc("/proc/self/gid_map", text, err);
}

int namespaces_own_mounts(struct error *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();

    if (uid != 0 || unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            return error_sys(err, errno, "cannot make a user and mount namespace");
        if (map_ids(uid, gid, err) < 0)
            return -1;
    }
    if (syscall(SYS_mount, NULL, "/", NULL, MS_SILENT | MS_SLAVE | MS_REC, NULL) < 0)
        return error_sys(err, errno, "cannot separate the mounts from the host's");
    return 0;
}

int namespaces_drop_rights(struct error *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];

    if (geteuid() == 0)
        return 0;
    memset(none, 0, sizeof(none));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        return error_sys(err, errno, "cannot drop the capabilities");
    return 0;
}
