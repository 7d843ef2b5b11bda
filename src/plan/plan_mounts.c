/* The ordered mounts of a sandbox: root, system, what the caller binds, read-only last.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/pathset.h"
#include "plan/plan_internal.h"

struct system_file {
    const char *dest;
    const char *content;
};

#define N_SYSTEM_FILES 5

static void system_files(const struct plan_input *in, struct system_file *out)
{
    out[0] = (struct system_file){"/etc/passwd", in->passwd};
    out[1] = (struct system_file){"/etc/group", in->group};
    out[2] = (struct system_file){"/etc/resolv.conf", in->resolv_conf};
    out[3] = (struct system_file){"/etc/hosts", in->hosts};
    out[4] = (struct system_file){"/etc/hostname", in->hostname};
}

bool plan_dest_provided(const char *dest)
{
    return path_is_within(dest, "/tmp") || path_is_within(dest, "/dev") ||
           path_is_within(dest, "/proc");
}

static bool is_bind(enum plan_mount_kind kind)
{
    return kind == PLAN_MOUNT_BIND_RO || kind == PLAN_MOUNT_BIND_RW ||
           kind == PLAN_MOUNT_BIND_DEV;
}

int plan_wanted_points(const struct plan_input *in, const bool *bind_is_file,
                       const char ***dests, bool **is_file, size_t *n,
                       struct error *err)
{
    struct system_file files[N_SYSTEM_FILES];
    const size_t most = 1 + N_SYSTEM_FILES + in->n_binds; /* 1: "/" */
    _cleanup_free_ const char **d = calloc(most, sizeof(*d));
    _cleanup_free_ bool *f = calloc(most, sizeof(*f));
    struct pathset earlier = PATHSET_INIT;
    size_t count = 0;
    bool failed;

    if (!d || !f)
        return error_oom(err);
    if (in->open_root && in->isolated && !in->host_root)
        d[count++] = "/";
    system_files(in, files);
    for (size_t i = 0; in->isolated && !in->host_root && i < N_SYSTEM_FILES; i++)
        if (files[i].content) {
            d[count] = files[i].dest;
            f[count++] = true;
        }
    /* what lies below an earlier bind needs its mount point there, not in the image */
    for (size_t i = 0; in->isolated && !in->host_root && i < in->n_binds; i++) {
        const char *dest = in->binds[i].dest;

        if (!plan_dest_provided(dest) && !pathset_cover(&earlier, dest)) {
            d[count] = dest;
            f[count++] = bind_is_file[i];
        }
        if (is_bind(in->binds[i].kind))
            pathset_add(&earlier, dest, i);
    }
    failed = earlier.failed;
    pathset_release(&earlier);
    if (failed)
        return error_oom(err);
    *dests = steal_ptr(d);
    *is_file = steal_ptr(f);
    *n = count;
    return 0;
}

/* The wanted points of a view by their path. */
static int index_dests(const struct rootview *view, struct pathset *wanted,
                       struct error *err)
{
    for (size_t i = 0; view && i < view->n_dests; i++)
        pathset_add(wanted, view->dests[i].wanted, i);
    return wanted->failed ? error_oom(err) : 0;
}

/* Where dest is once the image's links are followed: the longest wanted point that dest
 * is at or below tells. Owned by the caller. */
static char *resolve_dest(const struct rootview *view, const struct pathset *wanted,
                          const char *dest)
{
    const struct pathset_item *best = pathset_cover(wanted, dest);

    if (!best)
        return strdup(dest);
    return str_printf("%s%s", view->dests[best->value].resolved,
                      dest + strlen(best->path));
}

static bool is_opened(const struct rootview *view, const char *path)
{
    for (size_t i = 0; i < view->n_dirs; i++)
        if (strcmp(view->dirs[i].path, path) == 0)
            return true;
    return false;
}

/* The entry gives way to a mount point: something is mounted right on it, or it is no
 * directory and something is mounted below it. */
static bool is_replaced(const struct rootview *view, const struct rootview_entry *e,
                        const char *path)
{
    for (size_t i = 0; i < view->n_dests; i++) {
        const char *dest = view->dests[i].resolved;

        if (strcmp(dest, path) == 0)
            return true;
        if (e->type != ROOTVIEW_DIR && path_is_within(dest, path))
            return true;
    }
    return false;
}

static int add_root_entry(struct plan *out, const struct plan_input *in,
                          const char *dir, const struct rootview_entry *e,
                          struct error *err)
{
    bool top = strcmp(dir, "/") == 0;
    _cleanup_free_ char *path = str_printf("%s/%s", top ? "" : dir, e->name);
    _cleanup_free_ char *source = path ? str_printf("%s%s", in->rootfs, path) : NULL;

    if (!source)
        return error_oom(err);
    if (top && plan_dest_provided(path))
        return 0;
    if (is_opened(in->view, path) || is_replaced(in->view, e, path))
        return 0;
    if (e->type == ROOTVIEW_SYMLINK)
        return plan_add_mount(out, PLAN_MOUNT_SYMLINK, PLAN_ROLE_ROOT, e->target, path,
                              err);
    return plan_add_mount(out, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, source, path, err);
}

/* The directories of the image that lack a mount point are made anew and hold the
 * image's entries one by one (rootview.h). */
static int add_opened_root(struct plan *out, const struct plan_input *in,
                           struct error *err)
{
    for (size_t i = 0; i < in->view->n_dirs; i++) {
        const struct rootview_dir *d = &in->view->dirs[i];

        if (strcmp(d->path, "/") != 0 &&
            plan_add_mount(out, PLAN_MOUNT_DIR, PLAN_ROLE_ROOT, NULL, d->path, err) < 0)
            return -1;
        for (size_t j = 0; j < d->n_entries; j++)
            if (add_root_entry(out, in, d->path, &d->entries[j], err) < 0)
                return -1;
    }
    return 0;
}

/* Overlay refuses a directory that is named twice. Where an image has a layer again, as
 * the empty one of docker's, the topmost counts: it covers all that the others have. */
static int add_lowers(struct plan *out, const struct strv *lowers, struct error *err)
{
    _cleanup_free_ bool *again = calloc(lowers->count + 1, sizeof(*again));
    _cleanup_(pathset_release) struct pathset seen = PATHSET_INIT;

    if (!again)
        return error_oom(err);
    for (size_t i = lowers->count; i-- > 0;)
        again[i] = !pathset_add(&seen, lowers->items[i], i);
    for (size_t i = 0; i < lowers->count; i++)
        if (!again[i])
            strv_add(&out->lowers, lowers->items[i]);
    return seen.failed ? error_oom(err) : strv_check(&out->lowers, err);
}

/* The layers, and what of the image's directories a layer with mount points hides. */
static int add_merged_root(struct plan *out, const struct plan_input *in,
                           struct error *err)
{
    if (add_lowers(out, in->lowers, err) < 0)
        return -1;
    out->dirs = calloc(in->view->n_attrs + 1, sizeof(*out->dirs));
    if (!out->dirs)
        return error_oom(err);
    for (size_t i = 0; i < in->view->n_attrs; i++) {
        const struct rootview_attr *a = &in->view->attrs[i];
        struct plan_dir *d = &out->dirs[out->n_dirs++];

        *d = (struct plan_dir){strdup(a->path), a->mode, a->mtime_s, a->mtime_ns};
        if (!d->path)
            return error_oom(err);
    }
    return plan_add_mount(out, PLAN_MOUNT_OVERLAY, PLAN_ROLE_ROOT, in->rootfs, "/",
                          err);
}

static bool has_own_root(const struct plan_input *in)
{
    return in->host_root || (in->view && in->view->n_dirs > 0);
}

static int add_root(struct plan *out, const struct plan_input *in, struct error *err)
{
    if (in->host_root) {
        for (size_t i = 0; i < in->n_root_binds; i++) {
            const struct plan_bind *b = &in->root_binds[i];

            if (plan_add_mount(out, b->kind, b->role, b->source, b->dest, err) < 0)
                return -1;
        }
        return 0;
    }
    if (!in->rootfs)
        return error_fail(err,
                          "a sandbox needs an image or the host's file system as its "
                          "root; give --image");
    if (in->lowers)
        return add_merged_root(out, in, err);
    if (has_own_root(in))
        return add_opened_root(out, in, err);
    return plan_add_mount(out, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, in->rootfs, "/",
                          err);
}

/* sysctl lets root write by uid alone, and most settings are the whole machine's:
 * core_pattern names a program that the kernel runs on the host. bwrap seals /proc/sys
 * when access(2) calls the directory writable, which it never does. Others keep a /proc
 * without mounts in it: with one, the kernel refuses a proc of their own to nested
 * sandboxes. */
static int add_proc(struct plan *out, const struct plan_input *in, struct error *err)
{
    const enum plan_role role = PLAN_ROLE_SYSTEM;

    if (plan_add_mount(out, PLAN_MOUNT_PROC, role, NULL, "/proc", err) < 0)
        return -1;
    if (!in->caller_is_root)
        return 0;
    return plan_add_mount(out, PLAN_MOUNT_BIND_RO, role, "/proc/sys", "/proc/sys", err);
}

/* With the host's file system its own /dev and /tmp belong to it. /dev/shm is a tmpfs
 * of its own, because /dev becomes read-only and POSIX shared memory must work. */
static int add_system(struct plan *out, const struct plan_input *in, struct error *err)
{
    const enum plan_role role = PLAN_ROLE_SYSTEM;

    if (add_proc(out, in, err) < 0)
        return -1;
    if (in->host_root)
        return plan_add_mount(out, PLAN_MOUNT_BIND_DEV, role, "/dev", "/dev", err);
    if (plan_add_mount(out, PLAN_MOUNT_DEV, role, NULL, "/dev", err) < 0 ||
        plan_add_mount(out, PLAN_MOUNT_TMPFS, role, NULL, "/dev/shm", err) < 0)
        return -1;
    return plan_add_mount(out, PLAN_MOUNT_TMPFS, role, NULL, "/tmp", err);
}

static int add_system_files(struct plan *out, const struct plan_input *in,
                            const struct pathset *wanted, struct error *err)
{
    struct system_file files[N_SYSTEM_FILES];

    system_files(in, files);
    for (size_t i = 0; i < N_SYSTEM_FILES; i++) {
        _cleanup_free_ char *dest = resolve_dest(in->view, wanted, files[i].dest);

        if (!dest)
            return error_oom(err);
        if (files[i].content && plan_add_mount(out, PLAN_MOUNT_DATA, PLAN_ROLE_SYSTEM,
                                               files[i].content, dest, err) < 0)
            return -1;
    }
    return 0;
}

static int add_binds(struct plan *out, const struct plan_input *in,
                     const struct pathset *wanted, struct error *err)
{
    for (size_t i = 0; i < in->n_binds; i++) {
        const struct plan_bind *b = &in->binds[i];
        _cleanup_free_ char *dest = resolve_dest(in->view, wanted, b->dest);

        if (!dest)
            return error_oom(err);
        if (strcmp(dest, "/") == 0 || strcmp(dest, "/dev") == 0 ||
            path_is_within(dest, "/proc"))
            return error_fail(
                err,
                "cannot mount '%s' at '%s': the sandbox has its own there; "
                "choose another destination",
                b->source ? b->source : "", b->dest);
        if (plan_add_mount(out, b->kind, b->role, b->source, dest, err) < 0)
            return -1;
    }
    return 0;
}

/* Read-only comes last, when every mount point has been made. */
static int add_seals(struct plan *out, const struct plan_input *in, struct error *err)
{
    const enum plan_mount_kind kind = PLAN_MOUNT_REMOUNT_RO;

    if (!in->host_root &&
        plan_add_mount(out, kind, PLAN_ROLE_SYSTEM, NULL, "/dev", err) < 0)
        return -1;
    if (has_own_root(in))
        return plan_add_mount(out, kind, PLAN_ROLE_ROOT, NULL, "/", err);
    return 0;
}

int plan_build_mounts(struct plan *out, const struct plan_input *in, struct error *err)
{
    struct pathset wanted = PATHSET_INIT;
    int r = index_dests(in->view, &wanted, err);

    if (r == 0)
        r = add_root(out, in, err);
    if (r == 0)
        r = add_system(out, in, err);
    if (r == 0)
        r = add_system_files(out, in, &wanted, err);
    if (r == 0)
        r = add_binds(out, in, &wanted, err);
    pathset_release(&wanted);
    return r < 0 ? -1 : add_seals(out, in, err);
}
