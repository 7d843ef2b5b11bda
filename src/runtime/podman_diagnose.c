/* What podman needs on this node, one finding each, for doctor. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/podman.h"
#include "runtime/runtime_internal.h"
#include "sys/pathfd.h"
#include "sys/process.h"

#define IDS_MAX ((size_t)4 << 20)
#define RANGE_MIN UINT64_C(65536) /* what images and keep-id count on */

/* subuid(5): "NAME:START:COUNT", where NAME may be a number. */
static uint64_t range_of(const char *path, const struct process_user *user)
{
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = pathfd_open_user(path, O_RDONLY, &ignored);
    uint64_t most = 0;

    if (fd < 0 || pathfd_read_all(fd, IDS_MAX, &text, &ignored) < 0)
        return 0;
    for (const char *line = buf_str(&text); *line;) {
        size_t n = strcspn(line, "\n"), name = strcspn(line, ":\n");
        const char *count =
            name < n ? memchr(line + name + 1, ':', n - name - 1) : NULL;
        char *end;
        bool mine = (strlen(user->name) == name && memcmp(line, user->name, name) == 0);

        mine |= strtoul(line, &end, 10) == user->uid && end == line + name && name > 0;
        if (mine && count && strtoull(count + 1, NULL, 10) > most)
            most = strtoull(count + 1, NULL, 10);
        line += n + (line[n] == '\n');
    }
    return most;
}

static void check_ids(runtime_report report, void *arg)
{
    static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
    struct process_user user;
    struct error err = ERROR_INIT;

    if (geteuid() == 0) {
        report(arg, "podman-ids", true, "not needed by root");
        return;
    }
    if (process_user_init(&user, &err) < 0) {
        report(arg, "podman-ids", false, err.text);
        return;
    }
    for (size_t i = 0; i < array_size(files); i++)
        if (range_of(files[i], &user) < RANGE_MIN) {
            error_fail(&err, "%s has no range of 65536 ids for %s", files[i],
                       user.name);
            error_hint(&err,
                       "as root: usermod --add-subuids 100000-165535 --add-subgids "
                       "100000-165535 %s, with a range that nobody else has",
                       user.name);
            break;
        }
    report(arg, "podman-ids", err.class == ERROR_NONE,
           err.class == ERROR_NONE ? "ranges in /etc/subuid and /etc/subgid"
                                   : err.text);
    process_user_release(&user);
}

/* It maps the ids with privileges of its own: set-user-ID or a file capability. */
static void check_newuidmap(runtime_report report, void *arg)
{
    _cleanup_free_ char *path = process_find_program(
        "newuidmap", "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:"
                     "/run/wrappers/bin");
    struct stat st;

    if (geteuid() == 0)
        report(arg, "podman-map", true, "not needed by root");
    else if (!path)
        report(arg, "podman-map", false,
               "newuidmap is not installed; install the package 'uidmap'");
    else if (stat(path, &st) == 0 && !(st.st_mode & S_ISUID) &&
             getxattr(path, "security.capability", NULL, 0) <= 0)
        report(
            arg, "podman-map", false,
            "newuidmap has neither the set-user-ID bit nor a capability; install the "
            "package 'uidmap' again");
    else
        report(arg, "podman-map", true, path);
}

static void check_cgroup(runtime_report report, void *arg)
{
    struct statfs fs;

    if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
        report(arg, "podman-cgroup", true, "pure cgroup v2");
    else
        report(arg, "podman-cgroup", false,
               "crun needs the pure cgroup v2 layout; boot with "
               "systemd.unified_cgroup_hierarchy=1");
}

/* Subordinate ids mean nothing to a file server. */
static void check_storage(const struct runtime_tools *tools, runtime_report report,
                          void *arg)
{
    _cleanup_free_ char *text = NULL;
    struct statfs fs;
    bool local;

    if (!tools->state_dir || statfs(tools->state_dir, &fs) < 0) {
        report(arg, "podman-dirs", false, "there is no directory on this node for it");
        return;
    }
    local = fs.f_type != NFS_SUPER_MAGIC &&
            (unsigned)fs.f_type != 0x0BD00BD0u /* Lustre */ &&
            fs.f_type != 0x47504653 /* GPFS */;
    text = local
               ? str_printf("storage (vfs) in %s, runtime directory in " ENGINE_SHORT
                            ", both of the launch alone",
                            tools->state_dir)
               : str_printf("%s is on a network file system; set node_local_path to a "
                            "directory of this node",
                            tools->state_dir);
    report(arg, "podman-dirs", local, text ? text : "");
}

void podman_diagnose(const struct runtime_tools *tools, runtime_report report,
                     void *arg)
{
    if (!tools->podman)
        return;
    check_ids(report, arg);
    check_newuidmap(report, arg);
    check_cgroup(report, arg);
    check_storage(tools, report, arg);
}
