#include "sys/lockholders.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

/* A busy node has thousands of locks, not millions. */
#define LOCKS_MAX ((size_t)16 * 1024 * 1024)
#define ENVIRON_MAX ((size_t)4 * 1024 * 1024)

/* A file of /proc, which has no size. */
static int read_proc(const char *path, size_t max, struct buf *out, struct error *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char part[16384];
    ssize_t n = 0;

    if (fd < 0)
        return error_sys(err, errno, "cannot open '%s'", path);
    while (out->len < max && (n = read(fd, part, sizeof(part))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read '%s'", path);
        buf_add(out, part, (size_t)n);
    }
    return buf_check(out, err);
}

/* "7: FLOCK  ADVISORY  READ  4711 08:01:123456 0 EOF"; a waiter has "->" behind the
 * number. The device is the file system's own, which stat(2) does not tell on btrfs and
 * overlayfs: any_device. */
static bool is_holder(const char *line, const struct stat *st, bool any_device,
                      pid_t *pid)
{
    unsigned major, minor;
    unsigned long ino;
    long number;

    if (sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%lu", &number, &major, &minor,
               &ino) != 4)
        return false;
    *pid = (pid_t)number;
    return ino == st->st_ino &&
           (any_device || (major == major(st->st_dev) && minor == minor(st->st_dev)));
}

static uid_t uid_of(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
    return pid > 0 && stat(path, &st) == 0 ? st.st_uid : (uid_t)-1;
}

static int add(struct lockholder **holders, size_t *n, pid_t pid, struct error *err)
{
    struct lockholder *more;
    size_t i;

    for (i = 0; i < *n; i++)
        if ((*holders)[i].pid == pid)
            return 0;
    more = realloc(*holders, (*n + 1) * sizeof(*more));
    if (!more)
        return error_oom(err);
    *holders = more;
    more[(*n)++] = (struct lockholder){pid, uid_of(pid)};
    return 0;
}

static int collect(const char *text, const struct stat *st, bool any_device,
                   struct lockholder **holders, size_t *n, struct error *err)
{
    const char *line;
    pid_t pid;

    for (line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
        if (is_holder(line, st, any_device, &pid) && add(holders, n, pid, err) < 0)
            return -1;
    return 0;
}

int lockholders_find(int fd, struct lockholder **holders, size_t *n, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct stat st;
    int rc;

    *holders = NULL;
    *n = 0;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot examine a lock file");
    if (read_proc("/proc/locks", LOCKS_MAX, &text, err) < 0)
        return -1;
    rc = collect(buf_str(&text), &st, false, holders, n, err);
    if (rc == 0 && *n == 0)
        rc = collect(buf_str(&text), &st, true, holders, n, err);
    if (rc < 0) {
        free(*holders);
        *holders = NULL;
        *n = 0;
    }
    return rc;
}

char *lockholders_env(pid_t pid, const char *name)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error ignored = ERROR_INIT;
    size_t len = strlen(name);
    const char *p, *end;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/environ", (long)pid);
    if (read_proc(path, ENVIRON_MAX, &text, &ignored) < 0 || text.len == 0)
        return NULL;
    /* buf_str ends it with NUL, also when the process wrote over its environment */
    p = buf_str(&text);
    end = p + text.len;
    for (; p < end; p += strlen(p) + 1)
        if (strncmp(p, name, len) == 0 && p[len] == '=')
            return strdup(p + len + 1);
    return NULL;
}
