#include "launch/bindlist.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/request.h"
#include "sys/pathfd.h"

void bindlist_release(struct bindlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free((void *)(uintptr_t)l->items[i].source);
        free((void *)(uintptr_t)l->items[i].dest);
    }
    free(l->items);
    free(l->is_file);
    pathset_release(&l->dests);
    *l = (struct bindlist)BINDLIST_INIT;
}

static int bindlist_grow(struct bindlist *l, struct error *err)
{
    size_t cap = l->cap ? l->cap * 2 : 16;
    struct plan_bind *items;
    bool *is_file;

    if (l->n < l->cap)
        return 0;
    items = reallocarray(l->items, cap, sizeof(*items));
    if (!items)
        return error_oom(err);
    l->items = items;
    is_file = reallocarray(l->is_file, cap, sizeof(*is_file));
    if (!is_file)
        return error_oom(err);
    l->is_file = is_file;
    l->cap = cap;
    return 0;
}

bool bindlist_has(const struct bindlist *l, const char *dest)
{
    return pathset_find(&l->dests, dest) != NULL;
}

int bindlist_add(struct bindlist *l, enum plan_mount_kind kind, enum plan_role role,
                 const char *source, const char *dest, bool is_file, struct error *err)
{
    char *s, *d;

    if (bindlist_has(l, dest))
        return 0;
    if (bindlist_grow(l, err) < 0)
        return -1;
    s = source ? strdup(source) : NULL;
    d = strdup(dest);
    if ((source && !s) || !d) {
        free(s);
        free(d);
        return error_oom(err);
    }
    l->items[l->n] =
        (struct plan_bind){.kind = kind, .role = role, .source = s, .dest = d};
    l->is_file[l->n] = is_file;
    pathset_add(&l->dests, d, l->n);
    l->n++;
    return l->dests.failed ? error_oom(err) : 0;
}

/* A relative source is relative to the working directory; without DST it has the same
 * place inside. */
static int mount_complete(struct request_mount *m, struct error *err)
{
    if (m->source[0] != '/') {
        char *path = pathfd_absolute(m->source, err);

        if (!path)
            return -1;
        free(m->source);
        m->source = path;
    }
    if (!m->dest)
        m->dest = strdup(m->source);
    return m->dest ? 0 : error_oom(err);
}

int bindlist_add_mount(struct bindlist *l, const char *text, struct error *err)
{
    struct request_mount m = {0};
    enum plan_mount_kind kind;
    struct stat st;
    int r = -1;

    if (request_mount_parse(text, &m, err) < 0)
        return -1;
    if (mount_complete(&m, err) < 0)
        goto out;
    if (stat(m.source, &st) < 0) {
        error_sys(err, errno, "cannot mount %s into the sandbox", m.source);
        error_hint(err, "correct --mount-path or mount_paths");
        goto out;
    }
    kind = m.writable ? PLAN_MOUNT_BIND_RW : PLAN_MOUNT_BIND_RO;
    if (strncmp(m.source, "/dev/", 5) == 0)
        kind = PLAN_MOUNT_BIND_DEV;
    r = bindlist_add(l, kind, PLAN_ROLE_USER, m.source, m.dest, !S_ISDIR(st.st_mode),
                     err);
out:
    request_mount_release(&m);
    return r;
}

bool bindlist_shows(const struct bindlist *l, const char *path)
{
    for (size_t i = 0; i < l->n; i++) {
        size_t n = strlen(l->items[i].dest);

        if (!l->is_file[i] && strncmp(path, l->items[i].dest, n) == 0 && path[n] == '/')
            return true;
    }
    return false;
}

/* The part of rest that exists must stay beneath the directory. */
static int check_way(const char *directory, const char *rest, struct error *err)
{
    _cleanup_close_ int dir = pathfd_open_user(directory, O_PATH | O_DIRECTORY, err);
    _cleanup_free_ char *way = strdup(rest);
    char *slash;

    if (dir < 0)
        return -1;
    while (way && *way) {
        _cleanup_close_ int fd = pathfd_open_beneath(dir, way, O_PATH, 0, err);

        if (fd >= 0)
            return 0;
        if (err->errnum != ENOENT && err->errnum != ENOTDIR)
            return -1;
        error_clear(err);
        slash = strrchr(way, '/');
        *(slash ? slash : way) = '\0';
    }
    return way ? 0 : error_oom(err);
}

int bindlist_check_nested(const struct bindlist *l, struct error *err)
{
    struct pathset earlier = PATHSET_INIT; /* binds of directories */
    int r = 0;

    for (size_t i = 0; r == 0 && i < l->n; i++) {
        const struct plan_bind *b = &l->items[i];
        const struct pathset_item *around = pathset_cover(&earlier, b->dest);

        if (around) {
            const char *source = l->items[around->value].source;
            const char *rest = b->dest + strlen(around->path);

            r = check_way(source, rest + strspn(rest, "/"), err);
            if (r < 0)
                error_context(err, "mount point %s in %s", b->dest, source);
        }
        if (!l->is_file[i] && b->source)
            pathset_add(&earlier, b->dest, i);
    }
    if (earlier.failed && r == 0)
        r = error_oom(err);
    pathset_release(&earlier);
    return r;
}
