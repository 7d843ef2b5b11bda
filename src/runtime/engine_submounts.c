/* What is mounted below a directory, from /proc/self/mountinfo (proc(5)). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "runtime/engine.h"
#include "sys/pathfd.h"

#define MOUNTINFO_MAX ((size_t)64 << 20)

static bool is_octal(const char *p)
{
    return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' && p[2] >= '0' &&
           p[2] <= '7';
}

/* The fifth field of a line, with \040 and the like undone. NULL: out of memory, or no
 * such line. */
static char *mount_point(const char *line, size_t len)
{
    const char *p = line, *end = line + len;
    struct buf b = BUF_INIT;

    for (int field = 0; field < 4 && p; field++) {
        p = memchr(p, ' ', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    for (; p && p < end && *p != ' '; p++) {
        if (*p == '\\' && end - p > 3 && is_octal(p + 1)) {
            buf_addc(&b, (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0')));
            p += 3;
        } else {
            buf_addc(&b, *p);
        }
    }
    return buf_steal(&b);
}

static int list_mounts(struct strv *points, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd =
        pathfd_open_user("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC, err);

    if (fd < 0 || pathfd_read_all(fd, MOUNTINFO_MAX, &text, err) < 0)
        return -1;
    for (const char *line = buf_str(&text); *line;) {
        size_t n = strcspn(line, "\n");

        strv_take(points, mount_point(line, n));
        line += n + (line[n] == '\n');
    }
    return strv_check(points, err);
}

/* One of the first n mounts is there, or on the way from dest. */
static bool is_covered(const struct engine_mounts *m, size_t n, const char *dest,
                       const char *inside)
{
    for (size_t i = 0; i < n; i++) {
        const char *other = m->items[i].dest;

        if (path_is_below(other, dest) &&
            (strcmp(inside, other) == 0 || path_is_below(inside, other)))
            return true;
    }
    return false;
}

/* Of one bind: source is canonical. A mount whose directory was removed since has no
 * path any more. */
static int add_below(struct engine_mounts *m, const char *source, const char *dest,
                     const struct strv *points, struct error *err)
{
    size_t n = strcmp(source, "/") == 0 ? 0 : strlen(source);
    size_t before = m->n;

    for (size_t i = 0; i < points->count; i++) {
        const char *point = points->items[i];
        _cleanup_free_ char *inside = NULL;

        if (!path_is_below(point, source) ||
            (access(point, F_OK) < 0 && errno == ENOENT))
            continue;
        inside = str_printf("%s%s", strcmp(dest, "/") == 0 ? "" : dest, point + n);
        if (!inside)
            return error_oom(err);
        if (!is_covered(m, before, dest, inside) && !engine_mounts_has(m, inside) &&
            engine_mounts_add(m, ENGINE_BIND, point, inside, err) < 0)
            return -1;
    }
    return 0;
}

int engine_add_submounts(struct engine_mounts *m, struct error *err)
{
    _cleanup_strv_ struct strv points = STRV_INIT;
    size_t n = m->n;

    if (list_mounts(&points, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *source = NULL, *dest = NULL;

        if (m->items[i].kind != ENGINE_BIND || m->items[i].writable || m->items[i].file)
            continue;
        source = pathfd_canonical(m->items[i].source, err);
        dest = source ? strdup(m->items[i].dest) : NULL;
        if (!dest)
            return source ? error_oom(err) : -1;
        if (add_below(m, source, dest, &points, err) < 0)
            return -1;
    }
    return 0;
}
