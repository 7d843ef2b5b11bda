/* The root of a sandbox: the image's tree bound, a directory of our own, or the image's
 * layers merged by overlay, with the mount points of the plan in a layer above them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/stage_internal.h"
#include "sys/mountfd.h"
#include "sys/pathfd.h"

#define ROOT "root"
#define LAYERS "layers"
#define SKELETON "skeleton"

/* mount(2) takes a page, its NUL included. */
#define OVERLAY_OPTIONS_MAX 4095

/* So many mount points are worth a mount more. */
#define GAP_LEAST 16

static int make_dir_at(int dirfd, const char *name, struct error *err)
{
    int fd;

    if (mkdirat(dirfd, name, 0755) < 0)
        return error_sys(err, errno, "cannot make the directory '%s'", name);
    fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? error_sys(err, errno, "cannot open '%s'", name) : fd;
}

/* The mount of root/, once something is attached there. */
static int open_root(struct assembly *a, struct error *err)
{
    a->root = openat(a->base, ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    a->way.root = a->root;
    return a->root < 0 ? error_sys(err, errno, "cannot open the sandbox's root") : 0;
}

static int attach_root(struct assembly *a, int mount, struct error *err)
{
    _cleanup_close_ int target = make_dir_at(a->base, ROOT, err);

    if (target < 0 || mountfd_attach(mount, target, err) < 0)
        return -1;
    return open_root(a, err);
}

static int own_root(struct assembly *a, struct error *err)
{
    const char *const options[] = {"mode", "0755", NULL};
    _cleanup_close_ int fd =
        mountfd_new("tmpfs", options, MOUNTFD_NOSUID | MOUNTFD_NODEV, err);

    return fd < 0 ? -1 : attach_root(a, fd, err);
}

/* Everything that the plan needs a place for in the root itself. */
static int fill_skeleton(const struct assembly *a, struct stage_way *w,
                         struct error *err)
{
    const struct plan *p = a->plan;

    for (size_t i = 0; i < p->n_mounts; i++) {
        const struct plan_mount *m = &p->mounts[i];

        if (!a->on_root[i])
            continue;
        if (m->kind == PLAN_MOUNT_SYMLINK) {
            if (stage_symlink(w, m->source, m->dest, err) < 0)
                return -1;
            continue;
        }
        if (stage_make_point(w, m->dest, stage_point_of(a, i), err) < 0)
            return -1;
    }
    return 0;
}

/* Overlay shows a merged directory with the attributes of the topmost one, which is
 * ours: it gets those that the image's has. */
static int set_attributes(const struct assembly *a, struct stage_way *w,
                          struct error *err)
{
    /* children first: making them changed their parents' times */
    for (size_t i = a->plan->n_dirs; i-- > 0;) {
        const struct plan_dir *d = &a->plan->dirs[i];
        const struct timespec t = {(time_t)d->mtime_s, d->mtime_ns}, times[] = {t, t};
        int point = stage_point(w, d->path, STAGE_POINT_DIR, err);
        _cleanup_close_ int fd = -1;

        if (point < 0)
            return -1;
        fd = openat(point, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(point);
        if (fd < 0 || futimens(fd, times) < 0 || fchmod(fd, d->mode) < 0)
            return error_sys(err, errno, "cannot set mode and time of '%s'", d->path);
    }
    return 0;
}

/* The options name the layers by number, through links: that is short, and no character
 * of a path means anything to overlay. Topmost first. */
static int link_layers(const struct assembly *a, int layers, struct buf *options,
                       struct error *err)
{
    buf_adds(options, "userxattr,lowerdir=../" SKELETON);
    for (size_t i = a->plan->lowers.count; i-- > 0;) {
        char name[32];

        snprintf(name, sizeof(name), "%zu", i);
        if (symlinkat(a->plan->lowers.items[i], layers, name) < 0)
            return error_sys(err, errno, "cannot link layer %zu", i + 1);
        buf_addf(options, ":%s", name);
    }
    if (options->len > OVERLAY_OPTIONS_MAX)
        return error_fail(err, "%zu layers are more than overlay takes",
                          a->plan->lowers.count);
    return buf_check(options, err);
}

static int mount_overlay(int layers, const char *options, struct error *err)
{
    _cleanup_close_ int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int rc;

    if (fchdir(layers) < 0)
        return error_sys(err, errno, "cannot enter the list of layers");
    rc = mountfd_mount("overlay", "../" ROOT, options,
                       MOUNTFD_RO | MOUNTFD_NOSUID | MOUNTFD_NODEV, err);
    /* bwrap goes to the root anyway; a directory that is gone is nothing new */
    if (cwd < 0 || fchdir(cwd) < 0)
        return rc < 0 || chdir("/") == 0 ? rc : error_sys(err, errno, "cannot leave");
    return rc;
}

static int overlay_root(struct assembly *a, struct error *err)
{
    _cleanup_close_ int root = make_dir_at(a->base, ROOT, err);
    _cleanup_close_ int layers = root < 0 ? -1 : make_dir_at(a->base, LAYERS, err);
    _cleanup_close_ int skeleton =
        layers < 0 ? -1 : make_dir_at(a->base, SKELETON, err);
    _cleanup_(stage_way_release) struct stage_way way = STAGE_WAY_INIT(-1);
    _cleanup_buf_ struct buf options = BUF_INIT;
    _cleanup_free_ char *gap = NULL;

    if (skeleton < 0 || stage_find_gap(a->plan, a->on_root, GAP_LEAST, &gap, err) < 0)
        return -1;
    way.root = skeleton;
    if (fill_skeleton(a, &way, err) < 0 || set_attributes(a, &way, err) < 0 ||
        link_layers(a, layers, &options, err) < 0 ||
        mount_overlay(layers, buf_str(&options), err) < 0)
        return error_context(err, "merging the image's %zu layers",
                             a->plan->lowers.count);
    if (open_root(a, err) < 0)
        return -1;
    return gap ? stage_show_gap(a, skeleton, gap, err) : 0;
}

int stage_make_root(struct assembly *a, struct error *err)
{
    const struct plan *p = a->plan;

    if (p->n_mounts == 0 || strcmp(p->mounts[0].dest, "/") != 0)
        return own_root(a, err);
    if (p->mounts[0].kind == PLAN_MOUNT_OVERLAY)
        return overlay_root(a, err);
    return attach_root(a, a->sources[0], err);
}
