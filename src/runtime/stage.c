#include "runtime/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "runtime/stage_internal.h"
#include "sys/fdio.h"
#include "sys/mountfd.h"
#include "sys/namespaces.h"
#include "sys/pathfd.h"

/* Descriptors beside those of the sources: the launcher's, and a few under way. */
#define SPARE_FDS 128

struct stage *stage_new(const struct plan *plan, const struct runtime_tools *tools,
                        struct error *err)
{
    struct stage *s = calloc(1, sizeof(*s));

    if (s && tools->state_dir) {
        s->plan = plan;
        s->dir = str_printf("%s/stage", tools->state_dir);
        s->root = str_printf("%s/stage/root", tools->state_dir);
    }
    if (!s || !s->dir || !s->root) {
        stage_free(s);
        error_oom(err);
        return NULL;
    }
    /* the state directory is private (sys/trust), so it is ours if it is there */
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
        error_sys(err, errno, "cannot make '%s'", s->dir);
        stage_free(s);
        return NULL;
    }
    return s;
}

void stage_free(struct stage *s)
{
    if (!s)
        return;
    free(s->dir);
    free(s->root);
    free(s->apart);
    free(s);
}

bool stage_makes(const struct plan_mount *m)
{
    return strcmp(m->dest, "/proc") != 0 && strncmp(m->dest, "/proc/", 6) != 0;
}

static bool is_bind(const struct plan_mount *m)
{
    return m->kind == PLAN_MOUNT_BIND_RO || m->kind == PLAN_MOUNT_BIND_RW ||
           m->kind == PLAN_MOUNT_BIND_DEV;
}

/* A detached mount for each bind takes a descriptor each, for a moment. */
static int raise_limit(size_t n_mounts, struct rlimit *saved, struct error *err)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, saved) < 0)
        return error_sys(err, errno, "cannot read the limit of open files");
    limit = *saved;
    if (limit.rlim_cur >= n_mounts + SPARE_FDS)
        return 0;
    limit.rlim_cur = n_mounts + SPARE_FDS;
    if (limit.rlim_cur > limit.rlim_max) {
        error_fail(err,
                   "this sandbox needs %zu mounts, and only %llu files may be open",
                   n_mounts, (unsigned long long)limit.rlim_max);
        return error_hint(err, "give fewer inputs or mounts, or raise 'ulimit -n'");
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_sys(err, errno, "cannot raise the limit of open files");
    return 0;
}

static int clone_source(const struct plan_mount *m, int *fd, struct error *err)
{
    unsigned attrs = MOUNTFD_NOSUID;

    *fd = mountfd_clone(AT_FDCWD, m->source, err);
    if (*fd < 0)
        return -1;
    if (m->kind != PLAN_MOUNT_BIND_DEV)
        attrs |= MOUNTFD_NODEV;
    if (m->kind == PLAN_MOUNT_BIND_RO)
        attrs |= MOUNTFD_RO;
    if (mountfd_restrict(*fd, attrs, true, err) < 0)
        return error_context(err, "'%s'", m->source);
    return 0;
}

/* All sources, before anything of ours is in the tree that they are taken from. */
static int clone_sources(struct assembly *a, struct error *err)
{
    for (size_t i = 0; i < a->plan->n_mounts; i++)
        a->sources[i] = -1;
    for (size_t i = 0; i < a->plan->n_mounts; i++) {
        const struct plan_mount *m = &a->plan->mounts[i];

        if (is_bind(m) && stage_makes(m) && clone_source(m, &a->sources[i], err) < 0)
            return -1;
    }
    return 0;
}

/* Our own tmpfs at the stage's directory, which only this namespace sees. */
static int make_base(struct assembly *a, const char *dir, struct error *err)
{
    const char *const options[] = {"mode", "0755", NULL};
    _cleanup_close_ int target = -1;

    a->base = mountfd_new("tmpfs", options, MOUNTFD_NOSUID | MOUNTFD_NODEV, err);
    if (a->base < 0)
        return -1;
    target = pathfd_open_user(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW, err);
    return target < 0 ? -1 : mountfd_attach(a->base, target, err);
}

/* A file with the text of mount i, read-only, as a detached mount. */
static int make_data(const struct assembly *a, size_t i, struct error *err)
{
    const struct plan_mount *m = &a->plan->mounts[i];
    _cleanup_close_ int file = -1, mount = -1;
    char name[32];

    snprintf(name, sizeof(name), "data-%zu", i);
    file = openat(a->base, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0444);
    if (file < 0)
        return error_sys(err, errno, "cannot make a file for '%s'", m->dest);
    if (fdio_write_all(file, m->source, strlen(m->source), err) < 0)
        return -1;
    mount = mountfd_clone(a->base, name, err);
    if (mount < 0 ||
        mountfd_restrict(mount, MOUNTFD_RO | MOUNTFD_NOSUID | MOUNTFD_NODEV, false,
                         err) < 0)
        return -1;
    return steal_fd(&mount);
}

static int make_tmpfs(struct error *err)
{
    const char *const options[] = {"mode", "1777", NULL};

    return mountfd_new("tmpfs", options, MOUNTFD_NOSUID | MOUNTFD_NODEV, err);
}

#define ATTACH_TRIES 16

static int attach_at(struct assembly *a, size_t i, int mount, struct error *err)
{
    const struct plan_mount *m = &a->plan->mounts[i];

    if (mount < 0)
        return -1;
    /* Another unit of the job may put a file of the same text in the place of the one
     * that was found (parameters.json), as what is mounted or where it is: the kernel
     * attaches nothing that has no name any more, and nothing to such a file. */
    for (int tries = ATTACH_TRIES; tries > 0; tries--) {
        _cleanup_close_ int target =
            stage_point(&a->way, m->dest, stage_point_of(a, i), err);

        if (target < 0)
            return -1;
        if (mountfd_attach(mount, target, err) == 0) {
            stage_way_mounted(&a->way, m->dest);
            return 0;
        }
        if (err->errnum != ENOENT || tries == 1)
            return -1;
        error_clear(err);
        if (is_bind(m)) {
            close(steal_fd(&a->sources[i]));
            if (clone_source(m, &a->sources[i], err) < 0)
                return -1;
            mount = a->sources[i];
        }
    }
    return -1;
}

/* Attaches mount i, owned, at its destination. */
static int attach_new(struct assembly *a, size_t i, int mount, struct error *err)
{
    int rc = attach_at(a, i, mount, err);

    if (mount >= 0)
        close(mount);
    return rc;
}

static int attach_dev(struct assembly *a, const char *dest, struct error *err)
{
    _cleanup_close_ int target = stage_point(&a->way, dest, STAGE_POINT_DIR, err);

    if (target < 0 || stage_make_dev(target, err) < 0)
        return -1;
    stage_way_mounted(&a->way, dest);
    return 0;
}

static int make_dir(struct assembly *a, const char *dest, struct error *err)
{
    _cleanup_close_ int fd = stage_point(&a->way, dest, STAGE_POINT_DIR, err);

    return fd < 0 ? -1 : 0;
}

static int seal(const struct assembly *a, const char *dest, struct error *err)
{
    _cleanup_close_ int fd =
        pathfd_open_in_root(a->root, dest, O_PATH | O_DIRECTORY, 0, err);

    return fd < 0 ? -1 : mountfd_restrict(fd, MOUNTFD_RO, false, err);
}

static int place(struct assembly *a, size_t i, struct error *err)
{
    const struct plan_mount *m = &a->plan->mounts[i];
    bool overlay = a->plan->lowers.count > 0;

    switch (m->kind) {
    case PLAN_MOUNT_BIND_RO:
    case PLAN_MOUNT_BIND_RW:
    case PLAN_MOUNT_BIND_DEV:
        return attach_at(a, i, a->sources[i], err);
    case PLAN_MOUNT_TMPFS:
        return attach_new(a, i, make_tmpfs(err), err);
    case PLAN_MOUNT_DATA:
        return attach_new(a, i, make_data(a, i, err), err);
    case PLAN_MOUNT_DEV:
        return attach_dev(a, m->dest, err);
    case PLAN_MOUNT_REMOUNT_RO:
        return seal(a, m->dest, err);
    case PLAN_MOUNT_DIR:
        return make_dir(a, m->dest, err);
    case PLAN_MOUNT_SYMLINK:
        /* in the root it is part of the skeleton */
        return overlay && a->on_root[i]
                   ? 0
                   : stage_symlink(&a->way, m->source, m->dest, err);
    case PLAN_MOUNT_PROC:
    case PLAN_MOUNT_OVERLAY:
        break;
    }
    return 0;
}

/* bwrap finds a place for its /proc, whatever the root is. */
static int place_all(struct assembly *a, struct error *err)
{
    for (size_t i = 0; i < a->plan->n_mounts; i++) {
        const struct plan_mount *m = &a->plan->mounts[i];

        if (strcmp(m->dest, "/") == 0 && m->kind != PLAN_MOUNT_REMOUNT_RO)
            continue;
        if (a->apart && a->apart_mount < 0 && path_is_below(m->dest, a->apart) &&
            stage_begin_apart(a, err) < 0)
            return error_context(err, "'%s' in the sandbox", a->apart);
        if (m->kind == PLAN_MOUNT_PROC ? make_dir(a, m->dest, err) < 0
                                       : stage_makes(m) && place(a, i, err) < 0)
            return error_context(err, "'%s' in the sandbox", m->dest);
    }
    return 0;
}

static int assemble(struct assembly *a, const struct stage *s, struct error *err)
{
    if (namespaces_own_mounts(err) < 0 || clone_sources(a, err) < 0 ||
        make_base(a, s->dir, err) < 0 || stage_make_root(a, err) < 0 ||
        place_all(a, err) < 0 || (a->apart && stage_end_apart(a, s->apart_fd, err) < 0))
        return error_context(err, "could not make the sandbox");
    return namespaces_drop_rights(err);
}

int stage_assemble(void *arg, struct error *err)
{
    const struct stage *s = arg;
    struct assembly a = {.plan = s->plan,
                         .base = -1,
                         .root = -1,
                         .way = STAGE_WAY_INIT(-1),
                         .apart = s->apart,
                         .apart_mount = -1};
    mode_t mask = umask(0);
    struct rlimit saved;
    int rc;

    a.sources = calloc(s->plan->n_mounts + 1, sizeof(*a.sources));
    a.on_root = calloc(s->plan->n_mounts + 1, sizeof(*a.on_root));
    if (!a.sources || !a.on_root || stage_on_root(s->plan, a.on_root, err) < 0)
        return error_oom(err);
    rc = raise_limit(s->plan->n_mounts, &saved, err);
    if (rc == 0)
        rc = assemble(&a, s, err);
    for (size_t i = 0; rc == 0 && i < s->plan->n_mounts; i++)
        cleanup_closep(&a.sources[i]);
    stage_way_release(&a.way);
    cleanup_closep(&a.base);
    cleanup_closep(&a.root);
    cleanup_closep(&a.apart_mount);
    free(a.sources);
    free(a.on_root);
    setrlimit(RLIMIT_NOFILE, &saved);
    umask(mask);
    return rc;
}
