/* The skeleton of a container's root and the mounts on it, from a plan. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "runtime/engine.h"
#include "sys/pathfd.h"

#define COVERS ENGINE_TREE "/covers"
#define DATA ENGINE_TREE "/data"

struct build {
    struct engine *e;
    const struct plan *plan;
    struct engine_mounts *out;
    int skeleton; /* ENGINE_ROOTFS */
    int covers; /* the same for what lies below a tmpfs: the skeleton's own directory is
                 * hidden by then, also as a source */
    unsigned n_data;
};

void engine_mounts_release(struct engine_mounts *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].source);
        free(m->items[i].dest);
    }
    free(m->items);
    *m = (struct engine_mounts)ENGINE_MOUNTS_INIT;
}

int engine_mounts_add(struct engine_mounts *m, enum engine_mount_kind kind,
                      const char *source, const char *dest, struct error *err)
{
    struct engine_mount *item;

    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 32;

        item = reallocarray(m->items, cap, sizeof(*item));
        if (!item)
            return error_oom(err);
        m->items = item;
        m->cap = cap;
    }
    item = &m->items[m->n++];
    *item = (struct engine_mount){.kind = kind};
    item->source = source ? strdup(source) : NULL;
    item->dest = strdup(dest);
    return item->dest && (item->source || !source) ? 0 : error_oom(err);
}

bool engine_mounts_has(const struct engine_mounts *m, const char *dest)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->items[i].dest, dest) == 0)
            return true;
    return false;
}

static bool is_bind(enum plan_mount_kind kind)
{
    return kind == PLAN_MOUNT_BIND_RO || kind == PLAN_MOUNT_BIND_RW ||
           kind == PLAN_MOUNT_BIND_DEV;
}

static bool is_sealed_proc(const struct plan_mount *m)
{
    return is_bind(m->kind) && path_is_below(m->dest, "/proc");
}

bool engine_seals_proc(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_mounts; i++)
        if (is_sealed_proc(&plan->mounts[i]))
            return true;
    return false;
}

/* The mount that the i-th lies on: the last one before it around its place; NULL: the
 * skeleton. */
static const struct plan_mount *mount_around(const struct plan *plan, size_t i)
{
    const struct plan_mount *best = NULL;

    for (size_t k = 0; k < i; k++) {
        const struct plan_mount *m = &plan->mounts[k];

        if ((is_bind(m->kind) || m->kind == PLAN_MOUNT_TMPFS ||
             m->kind == PLAN_MOUNT_DEV) &&
            path_is_below(plan->mounts[i].dest, m->dest))
            best = m;
    }
    return best;
}

/* Opens the directory that path is in, made when it is missing; *name points into path.
 */
static int open_parent(int root, const char *path, const char **name, struct error *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = NULL;

    *name = slash + 1;
    if (slash == path)
        return pathfd_open_nofollow(root, ".", O_RDONLY | O_DIRECTORY, 0, err);
    dir = strndup(path + 1, (size_t)(slash - path) - 1);
    return dir ? pathfd_make_dirs(root, dir, 0755, err) : error_oom(err);
}

/* An empty directory or file at path, which begins with "/" and is beneath root. */
static int make_point(int root, const char *path, bool file, struct error *err)
{
    const char *name;
    _cleanup_close_ int dir = open_parent(root, path, &name, err);
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (dir < 0)
        return -1;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode) != file && !S_ISLNK(st.st_mode))
            return 0;
        return error_fail(err, "there is something of another type at it already");
    }
    if (!file)
        return mkdirat(dir, name, 0755) == 0
                   ? 0
                   : error_sys(err, errno, "cannot make a directory");
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
    return fd >= 0 ? 0 : error_sys(err, errno, "cannot make a file");
}

/* A mount point on what another mount shows. The engine would make it with rights that
 * are not the user's, and through a read-only mount: it has to be there already. */
static int point_on_bind(const struct plan_mount *around, const struct plan_mount *m,
                         bool file, struct error *err)
{
    size_t n = strlen(around->dest);
    const char *rest = m->dest + (n == 1 ? 0 : n);
    _cleanup_close_ int dir =
        pathfd_open_user(around->source, O_RDONLY | O_DIRECTORY, err);
    struct stat st;

    if (dir < 0)
        return -1;
    if (fstatat(dir, rest + 1, &st, 0) == 0)
        return 0;
    if (around->kind == PLAN_MOUNT_BIND_RW)
        return make_point(dir, rest, file, err);
    error_fail(err, "%s has no %s, and it is mounted read-only", around->source,
               rest + 1);
    return error_hint(err, "make it there, or choose another destination");
}

static int make_link(int root, const struct plan_mount *m, struct error *err)
{
    const char *name;
    _cleanup_close_ int dir = open_parent(root, m->dest, &name, err);

    if (dir < 0)
        return -1;
    return symlinkat(m->source, dir, name) == 0
               ? 0
               : error_sys(err, errno, "cannot make the link");
}

static bool is_file_mount(const struct plan_mount *m)
{
    struct stat st;

    return m->kind == PLAN_MOUNT_DATA ||
           (is_bind(m->kind) && stat(m->source, &st) == 0 && !S_ISDIR(st.st_mode));
}

static int make_one_point(const struct build *b, size_t i, struct error *err)
{
    const struct plan_mount *m = &b->plan->mounts[i];
    const struct plan_mount *around = mount_around(b->plan, i);
    bool file = is_file_mount(m);

    if (m->kind == PLAN_MOUNT_REMOUNT_RO || is_sealed_proc(m))
        return 0;
    if (around && around->kind == PLAN_MOUNT_DEV)
        return 0; /* a tmpfs of the engine's own */
    if (around && is_bind(around->kind) && m->kind != PLAN_MOUNT_SYMLINK &&
        m->kind != PLAN_MOUNT_DIR)
        return point_on_bind(around, m, file, err);
    if (around && is_bind(around->kind))
        return error_fail(err, "it lies in the directory %s of the host",
                          around->source);
    if (m->kind == PLAN_MOUNT_SYMLINK)
        return make_link(around ? b->covers : b->skeleton, m, err);
    return make_point(around ? b->covers : b->skeleton, m->dest, file, err);
}

static bool is_mounted_at(const struct plan *plan, const char *dest)
{
    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *m = &plan->mounts[i];

        if (m->kind != PLAN_MOUNT_DIR && m->kind != PLAN_MOUNT_REMOUNT_RO &&
            strcmp(m->dest, dest) == 0)
            return true;
    }
    return false;
}

static int cover_entry(struct build *b, int dir, const char *path, const char *name,
                       struct error *err)
{
    const char *top = path[1] ? COVERS : ENGINE_ROOTFS;
    _cleanup_free_ char *dest = str_printf("%s/%s", path[1] ? path : "", name);
    _cleanup_free_ char *inside = dest ? str_printf("%s%s", top, dest) : NULL;
    _cleanup_free_ char *source = NULL;
    struct stat st;

    if (!inside)
        return error_oom(err);
    if (is_mounted_at(b->plan, dest) || strcmp(dest, ENGINE_POINT) == 0)
        return 0;
    source = engine_path(b->e, inside, err);
    if (!source)
        return -1;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot look at %s", source);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (engine_mounts_add(b->out, ENGINE_BIND, source, dest, err) < 0)
        return -1;
    /* what lies on a tmpfs is a part of it, as it is where that can be made on it */
    b->out->items[b->out->n - 1].writable = path[1] != '\0';
    return 0;
}

/* The directories below path, where something else than the skeleton is mounted ("/" is
 * an engine's own root): they hold the mount points that come later. */
static int cover(struct build *b, const char *path, struct error *err)
{
    _cleanup_close_ int dir =
        path[1]
            ? pathfd_make_dirs(b->covers, path + 1, 0755, err)
            : pathfd_open_nofollow(b->skeleton, ".", O_RDONLY | O_DIRECTORY, 0, err);
    _cleanup_strv_ struct strv names = STRV_INIT;

    if (dir < 0 || pathfd_names(dir, &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.count; i++)
        if (cover_entry(b, dir, path, names.items[i], err) < 0)
            return -1;
    return 0;
}

static int add_data(struct build *b, const struct plan_mount *m, struct error *err)
{
    _cleanup_free_ char *name = str_printf(DATA "/%u", b->n_data++);
    _cleanup_free_ char *path = name ? engine_path(b->e, name, err) : NULL;

    if (!path)
        return name ? -1 : error_oom(err);
    if (engine_write(b->e, name, m->source, strlen(m->source), err) < 0)
        return -1;
    if (chmod(path, 0444) < 0)
        return error_sys(err, errno, "cannot prepare %s", path);
    if (engine_mounts_add(b->out, ENGINE_BIND, path, m->dest, err) < 0)
        return -1;
    b->out->items[b->out->n - 1].file = true;
    return 0;
}

/* What init must find there. The descriptor is opened with the user's rights. Where the
 * engine has these and no others, another file is one that the user has put there
 * meanwhile: the launcher of the same step on another node writes a job's files, too.
 */
static int add_check(struct build *b, const struct plan_mount *m, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_user(m->source, O_PATH, err);
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot look at %s", m->source);
    if (S_ISREG(st.st_mode) && !b->e->backend->daemon)
        st.st_dev = st.st_ino = 0;
    strv_addf(&b->e->checks, "%llu %llu %s %s", (unsigned long long)st.st_dev,
              (unsigned long long)st.st_ino,
              m->kind == PLAN_MOUNT_BIND_RO ? "ro" : "rw", m->dest);
    return 0;
}

static int add_bind(struct build *b, const struct plan_mount *m, struct error *err)
{
    struct engine_mount *item;

    if (engine_mounts_add(b->out, ENGINE_BIND, m->source, m->dest, err) < 0)
        return -1;
    item = &b->out->items[b->out->n - 1];
    item->writable = m->kind != PLAN_MOUNT_BIND_RO;
    item->devices = m->kind == PLAN_MOUNT_BIND_DEV;
    item->file = is_file_mount(m);
    return add_check(b, m, err);
}

static int add_one(struct build *b, const struct plan_mount *m, struct error *err)
{
    switch (m->kind) {
    case PLAN_MOUNT_BIND_RO:
    case PLAN_MOUNT_BIND_RW:
    case PLAN_MOUNT_BIND_DEV:
        return is_sealed_proc(m) ? 0 : add_bind(b, m, err);
    case PLAN_MOUNT_DATA:
        return add_data(b, m, err);
    case PLAN_MOUNT_TMPFS:
        if (engine_mounts_add(b->out, ENGINE_TMPFS, NULL, m->dest, err) < 0)
            return -1;
        return path_is_below(m->dest, "/dev") ? 0 : cover(b, m->dest, err);
    case PLAN_MOUNT_PROC:
        return engine_mounts_add(b->out, ENGINE_PROC, NULL, m->dest, err);
    case PLAN_MOUNT_DEV:
        return engine_mounts_add(b->out, ENGINE_DEV, NULL, m->dest, err);
    case PLAN_MOUNT_DIR:
    case PLAN_MOUNT_SYMLINK:
    case PLAN_MOUNT_REMOUNT_RO:
        return 0; /* the skeleton has them, the engine's options say it */
    case PLAN_MOUNT_OVERLAY:
        break;
    }
    return error_fail(err, "a mount of a kind that %s does not have",
                      b->e->backend->name);
}

static int mount_error(const struct build *b, const struct plan_mount *m,
                       struct error *err)
{
    return error_context(err, "cannot mount %s at %s in %s",
                         is_bind(m->kind) ? m->source : plan_mount_kind_name(m->kind),
                         m->dest, b->e->backend->name);
}

static int build_all(struct build *b, bool cover_root, struct error *err)
{
    const struct plan *plan = b->plan;

    for (size_t i = 0; i < plan->n_mounts; i++)
        if (make_one_point(b, i, err) < 0)
            return mount_error(b, &plan->mounts[i], err);
    if (make_point(b->skeleton, ENGINE_POINT, false, err) < 0)
        return error_context(err, "the image has a file " ENGINE_POINT
                                  ", a name that this launcher needs");
    if (cover_root && cover(b, "/", err) < 0)
        return -1;
    for (size_t i = 0; i < plan->n_mounts; i++)
        if (add_one(b, &plan->mounts[i], err) < 0)
            return mount_error(b, &plan->mounts[i], err);
    return 0;
}

int engine_build(struct engine *e, const struct plan *plan, bool cover_root,
                 struct engine_mounts *out, struct error *err)
{
    _cleanup_close_ int skeleton = pathfd_make_dirs(e->dirfd, ENGINE_ROOTFS, 0755, err);
    _cleanup_close_ int covers =
        skeleton < 0 ? -1 : pathfd_make_dirs(e->dirfd, COVERS, 0755, err);
    _cleanup_free_ char *channel = covers < 0 ? NULL : engine_path(e, "channel", err);
    struct build b = {
        .e = e, .plan = plan, .out = out, .skeleton = skeleton, .covers = covers};

    if (!channel)
        return -1;
    if (build_all(&b, cover_root, err) < 0)
        return -1;
    if (engine_mounts_add(out, ENGINE_BIND, channel, ENGINE_POINT, err) < 0)
        return -1;
    return strv_check(&e->checks, err);
}
