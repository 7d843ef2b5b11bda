#include "sys/cpus.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "sys/pathfd.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
#define FILE_MAX ((size_t)64 * 1024)
/* The quota's period when the kernel's file does not say (cgroup-v2.rst). */
#define PERIOD_DEFAULT 100000

/* The first line of a small file; owned, NULL when it cannot be read. */
static char *read_line(int dirfd, const char *path)
{
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || pathfd_read_all(fd, FILE_MAX, &text, &ignored) < 0 || text.len == 0)
        return NULL;
    text.data[strcspn(text.data, "\n")] = '\0';
    return strdup(text.data);
}

static char *read_below(int mountfd, const char *dir, const char *file)
{
    _cleanup_free_ char *path = str_printf("%s/%s", dir, file);

    return path ? read_line(mountfd, path) : NULL;
}

static unsigned lower(unsigned a, unsigned b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static unsigned quota(const char *micros, const char *period)
{
    uint64_t q, p = PERIOD_DEFAULT, n;

    /* "max" (v2) and -1 (v1) are no numbers: no limit */
    if (!micros || !parse_u64(micros, &q))
        return 0;
    if (period && !parse_u64(period, &p))
        return 0;
    if (p == 0)
        return 0;
    n = (q + p - 1) / p;
    return n == 0 ? 1 : n > UINT_MAX ? UINT_MAX : (unsigned)n;
}

static unsigned limit_v2(int mountfd, const char *dir)
{
    _cleanup_free_ char *line = read_below(mountfd, dir, "cpu.max");
    char *period = line;

    if (!line)
        return 0;
    strsep(&period, " ");
    return quota(line, period);
}

static unsigned limit_v1(int mountfd, const char *dir)
{
    _cleanup_free_ char *micros = read_below(mountfd, dir, "cpu.cfs_quota_us");
    _cleanup_free_ char *period = read_below(mountfd, dir, "cpu.cfs_period_us");

    return quota(micros, period);
}

/* The group and those it is in: each limits what is in it. */
static unsigned limit_up(int mountfd, const char *base, const char *group,
                         unsigned (*limit)(int mountfd, const char *dir))
{
    _cleanup_free_ char *dir = str_printf("%s%s", base, group);
    unsigned least = 0;
    char *slash;

    if (!dir)
        return 0;
    do {
        least = lower(least, limit(mountfd, dir));
        slash = strrchr(dir, '/');
        if (slash)
            *slash = '\0';
    } while (slash && slash >= dir + strlen(base));
    return least;
}

static bool has_controller(const char *list, const char *name)
{
    size_t n = strlen(name);

    while (list && *list) {
        size_t len = strcspn(list, ",");

        if (len == n && memcmp(list, name, n) == 0)
            return true;
        list += len + (list[len] == ',');
    }
    return false;
}

/* One line: "HIERARCHY:CONTROLLERS:/GROUP", "0::/GROUP" for v2 (cgroups(7)). */
static unsigned limit_of_line(int mountfd, char *line)
{
    char *group = line, *number, *controllers;
    unsigned n;

    number = strsep(&group, ":");
    controllers = strsep(&group, ":");
    if (!group || group[0] != '/')
        return 0;
    if (strcmp(number, "0") == 0 && controllers[0] == '\0') {
        n = limit_up(mountfd, ".", group, limit_v2);
        /* hybrid: v2 is mounted beside the others */
        return lower(n, limit_up(mountfd, "unified", group, limit_v2));
    }
    if (!has_controller(controllers, "cpu"))
        return 0;
    n = limit_up(mountfd, "cpu", group, limit_v1);
    return lower(n, limit_up(mountfd, "cpu,cpuacct", group, limit_v1));
}

unsigned cpus_of_cgroups(int mountfd, const char *proc_cgroup)
{
    _cleanup_free_ char *text = strdup(proc_cgroup);
    char *rest = text, *line;
    unsigned least = 0;

    while (rest && (line = strsep(&rest, "\n")))
        least = lower(least, limit_of_line(mountfd, line));
    return least;
}

/* glibc's set has room for 1024; the kernel says when it has more. */
static unsigned affinity(void)
{
    size_t cpus, size;

    for (cpus = CPU_SETSIZE; cpus <= (size_t)1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        int n = 0;

        if (!set)
            return 1;
        size = CPU_ALLOC_SIZE(cpus);
        if (sched_getaffinity(0, size, set) == 0)
            n = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (n > 0)
            return (unsigned)n;
    }
    return 1;
}

unsigned cpus_usable(void)
{
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int mount = -1, fd = -1;
    unsigned n = affinity();

    mount = open(CGROUP_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (mount >= 0 && fd >= 0 && pathfd_read_all(fd, FILE_MAX, &text, &ignored) == 0)
        n = lower(n, cpus_of_cgroups(mount, buf_str(&text)));
    return n > 0 ? n : 1;
}
