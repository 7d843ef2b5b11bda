/* The directory that most mounts lie below, kept out of what bwrap sees: bwrap reads
 * all mounts for each bind that it makes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/init_protocol.h"
#include "runtime/stage_internal.h"
#include "sys/mountfd.h"
#include "sys/pathfd.h"

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Does it add to the list of mounts that bwrap reads? */
static bool is_mount(const struct plan_mount *m)
{
    return m->kind != PLAN_MOUNT_DIR && m->kind != PLAN_MOUNT_SYMLINK &&
           m->kind != PLAN_MOUNT_REMOUNT_RO && stage_makes(m);
}

static size_t count_below(const char *const *dests, size_t n, const char *dir)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += path_is_below(dests[i], dir);
    return count;
}

/* The deepest directory with more than half of the sorted paths: they stand together,
 * so that the one in the middle is among them. dir begins as that one. */
static bool cut_to_majority(const char *const *dests, size_t n, char *dir)
{
    for (char *slash; (slash = strrchr(dir, '/')) && slash != dir;) {
        *slash = '\0';
        if (count_below(dests, n, dir) > n / 2)
            return true;
    }
    return false;
}

/* What is mounted at dir or above after the first mount below it covers that, as long
 * as the plan's order holds. */
static bool is_covered(const struct plan *plan, const char *dir)
{
    bool begun = false;

    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        bool above = path_is_below(dir, m->dest);

        begun = begun || path_is_below(m->dest, dir);
        if (begun &&
            (strcmp(m->dest, dir) == 0 || (above && m->kind != PLAN_MOUNT_REMOUNT_RO)))
            return true;
    }
    return false;
}

int stage_find_apart(const struct plan *plan, size_t least, char **out,
                     struct error *err)
{
    _cleanup_free_ const char **dests = calloc(plan->n_mounts + 1, sizeof(*dests));
    _cleanup_free_ char *dir = NULL;
    size_t n = 0;

    *out = NULL;
    if (!dests)
        return error_oom(err);
    for (size_t i = 0; i < plan->n_mounts; i++)
        if (is_mount(&plan->mounts[i]))
            dests[n++] = plan->mounts[i].dest;
    if (n < least)
        return 0;
    qsort(dests, n, sizeof(*dests), compare);
    dir = strdup(dests[n / 2]);
    if (!dir)
        return error_oom(err);
    if (cut_to_majority(dests, n, dir) && count_below(dests, n, dir) >= least &&
        !is_covered(plan, dir))
        *out = steal_ptr(dir);
    return 0;
}

void stage_attach_words(const struct stage *s, struct strv *argv)
{
    if (!s->apart)
        return;
    strv_add(argv, INIT_ATTACH_ARG);
    strv_addf(argv, "%d", s->apart_fd);
    strv_add(argv, s->apart);
}

int stage_explain_attach(const struct stage *s, int errnum, struct error *err)
{
    const char *dir = s && s->apart ? s->apart : "";

    error_sys(err, errnum, "cannot attach what is mounted below '%s' in the sandbox",
              dir);
    return error_hint(err, "with 'staging = \"off\"' in the configuration bwrap makes "
                           "each mount itself");
}

int stage_begin_apart(struct assembly *a, struct error *err)
{
    _cleanup_close_ int dir = stage_point(&a->way, a->apart, STAGE_POINT_DIR, err);

    if (dir < 0)
        return -1;
    a->apart_mount = mountfd_clone(dir, "", err);
    if (a->apart_mount < 0 || mountfd_attach(a->apart_mount, dir, err) < 0)
        return -1;
    stage_way_mounted(&a->way, a->apart);
    return 0;
}

/* The directory itself must be as writable as it would be without us, which is known
 * now that the root is sealed. */
static int take_over_seal(const struct assembly *a, int tree, struct error *err)
{
    _cleanup_close_ int below =
        pathfd_open_in_root(a->root, a->apart, O_PATH | O_DIRECTORY, 0, err);
    struct stat x, y;
    struct statvfs vfs;

    if (below < 0)
        return -1;
    if (fstat(below, &x) < 0 || fstat(tree, &y) < 0 || fstatvfs(below, &vfs) < 0)
        return error_sys(err, errno, "cannot look at '%s' in the sandbox", a->apart);
    if (x.st_dev != y.st_dev || x.st_ino != y.st_ino)
        return error_fail(err, "'%s' in the sandbox was replaced while it was made",
                          a->apart);
    return vfs.f_flag & ST_RDONLY ? mountfd_restrict(tree, MOUNTFD_RO, false, err) : 0;
}

/* Init looks the directory up without the right to pass by modes. */
static bool may_pass(const struct stat *st)
{
    if (st->st_mode & S_IXOTH)
        return true;
    return (st->st_uid == geteuid() && (st->st_mode & S_IXUSR)) ||
           (st->st_gid == getegid() && (st->st_mode & S_IXGRP));
}

static bool passes_to(const struct assembly *a)
{
    _cleanup_free_ char *dir = strdup(a->apart);
    struct error ignored = ERROR_INIT;
    struct stat st;

    for (char *slash; dir && (slash = strrchr(dir, '/')) && slash != dir;) {
        _cleanup_close_ int fd = -1;

        *slash = '\0';
        fd = pathfd_open_in_root(a->root, dir, O_PATH | O_DIRECTORY, 0, &ignored);
        if (fd < 0 || fstat(fd, &st) < 0 || !may_pass(&st))
            return false;
    }
    return dir != NULL;
}

/* Links of what is mounted are known only now: a later mount may cover it. */
static bool is_on_top(const struct assembly *a)
{
    const unsigned what = STATX_BASIC_STATS | STATX_MNT_ID;
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd =
        pathfd_open_in_root(a->root, a->apart, O_PATH | O_DIRECTORY, 0, &ignored);
    struct statx x, y;

    return fd >= 0 && statx(fd, "", AT_EMPTY_PATH, what, &x) == 0 &&
           statx(a->apart_mount, "", AT_EMPTY_PATH, what, &y) == 0 &&
           (x.stx_mask & y.stx_mask & STATX_MNT_ID) && x.stx_mnt_id == y.stx_mnt_id &&
           x.stx_ino == y.stx_ino;
}

int stage_end_apart(struct assembly *a, int slot, struct error *err)
{
    _cleanup_close_ int tree = -1;

    /* Then it stays where it is, and init finds no mount in the slot. */
    if (!is_on_top(a) || !passes_to(a))
        return 0;
    tree = mountfd_clone(a->apart_mount, "", err);
    if (tree < 0 || mountfd_detach(a->apart_mount, err) < 0 ||
        take_over_seal(a, tree, err) < 0)
        return error_context(err, "'%s' in the sandbox", a->apart);
    /* inherited from here on, as the number that init is told */
    if (dup2(tree, slot) < 0)
        return error_sys(err, errno, "cannot hand the mounts to the sandbox's init");
    return 0;
}
