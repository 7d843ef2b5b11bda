#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"

void plan_release(struct plan *p)
{
    for (size_t i = 0; i < p->n_mounts; i++) {
        free(p->mounts[i].source);
        free(p->mounts[i].dest);
    }
    free(p->mounts);
    free(p->runtime);
    free(p->rootfs);
    free(p->image_ref);
    free(p->cwd);
    free(p->hostname);
    for (size_t i = 0; i < p->n_dirs; i++)
        free(p->dirs[i].path);
    free(p->dirs);
    strv_release(&p->lowers);
    strv_release(&p->gpus);
    strv_release(&p->env);
    strv_release(&p->argv);
    *p = (struct plan)PLAN_INIT;
}

/* Absolute, and no empty, "." or ".." component: what it names does not depend on links
 * that somebody else controls. */
static bool is_absolute_normal(const char *path)
{
    return path[0] == '/' && (path[1] == '\0' || is_relative_path(path + 1));
}

static int plan_grow(struct plan *p, struct error *err)
{
    size_t cap = p->cap_mounts ? p->cap_mounts * 2 : 32;
    struct plan_mount *m;

    if (p->n_mounts < p->cap_mounts)
        return 0;
    m = reallocarray(p->mounts, cap, sizeof(*m));
    if (!m)
        return error_oom(err);
    p->mounts = m;
    p->cap_mounts = cap;
    return 0;
}

static bool needs_source(enum plan_mount_kind kind)
{
    return kind == PLAN_MOUNT_BIND_RO || kind == PLAN_MOUNT_BIND_RW ||
           kind == PLAN_MOUNT_BIND_DEV || kind == PLAN_MOUNT_SYMLINK ||
           kind == PLAN_MOUNT_DATA || kind == PLAN_MOUNT_OVERLAY;
}

int plan_add_mount(struct plan *p, enum plan_mount_kind kind, enum plan_role role,
                   const char *source, const char *dest, struct error *err)
{
    _cleanup_free_ char *s = source ? strdup(source) : NULL;
    _cleanup_free_ char *d = strdup(dest);

    if ((source && !s) || !d)
        return error_oom(err);
    if (!source && needs_source(kind))
        return error_fail(err, "the %s mount at '%s' has no source",
                          plan_mount_kind_name(kind), dest);
    if (!is_absolute_normal(dest))
        return error_fail(
            err,
            "cannot mount at '%s': a destination must be an absolute path "
            "without '.', '..' and '//'",
            dest);
    if (plan_grow(p, err) < 0)
        return -1;
    p->mounts[p->n_mounts++] = (struct plan_mount){
        .kind = kind,
        .role = role,
        .source = steal_ptr(s),
        .dest = steal_ptr(d),
    };
    return 0;
}

const char *plan_mount_kind_name(enum plan_mount_kind kind)
{
    switch (kind) {
    case PLAN_MOUNT_BIND_RO:
        return "bind-ro";
    case PLAN_MOUNT_BIND_RW:
        return "bind-rw";
    case PLAN_MOUNT_BIND_DEV:
        return "bind-dev";
    case PLAN_MOUNT_TMPFS:
        return "tmpfs";
    case PLAN_MOUNT_DIR:
        return "dir";
    case PLAN_MOUNT_SYMLINK:
        return "symlink";
    case PLAN_MOUNT_DATA:
        return "data";
    case PLAN_MOUNT_PROC:
        return "proc";
    case PLAN_MOUNT_DEV:
        return "dev";
    case PLAN_MOUNT_REMOUNT_RO:
        return "remount-ro";
    case PLAN_MOUNT_OVERLAY:
        return "overlay";
    }
    return "unknown";
}

const char *plan_role_name(enum plan_role role)
{
    switch (role) {
    case PLAN_ROLE_ROOT:
        return "root";
    case PLAN_ROLE_SYSTEM:
        return "system";
    case PLAN_ROLE_LAB:
        return "lab";
    case PLAN_ROLE_INPUT:
        return "input";
    case PLAN_ROLE_OUT:
        return "out";
    case PLAN_ROLE_GPU:
        return "gpu";
    case PLAN_ROLE_USER:
        return "user";
    }
    return "unknown";
}
