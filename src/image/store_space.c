/* Free space, in numbers that a person can act on. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/store_private.h"

/* A tree's directories and inodes, which tar sizes do not count. */
#define SPACE_MARGIN ((uint64_t)16 * 1024 * 1024)

static const char *human(char *out, size_t size, uint64_t bytes)
{
    if (bytes >= (uint64_t)1 << 30)
        snprintf(out, size, "%.1f GiB", (double)bytes / (double)((uint64_t)1 << 30));
    else
        snprintf(out, size, "%.1f MiB", (double)bytes / (double)((uint64_t)1 << 20));
    return out;
}

int store_space_free(struct store *s, uint64_t *bytes, uint64_t *inodes)
{
    struct statvfs v;

    if (fstatvfs(s->fd, &v) < 0)
        return -1;
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    /* file systems without a fixed number of inodes report 0 of 0 */
    *inodes = v.f_files ? (uint64_t)v.f_favail : UINT64_MAX;
    return 0;
}

static int check_free(struct store *s, uint64_t needed, struct error *err)
{
    uint64_t bytes, inodes, wanted = needed ? needed + SPACE_MARGIN : 0;
    char a[32], b[32], c[32];

    if (store_space_free(s, &bytes, &inodes) < 0)
        return error_sys(err, errno, "cannot ask for the free space of \"%s\"",
                         s->path);
    if (bytes >= wanted + s->limits.min_free)
        return 0;
    /* errnum stays 0: the numbers are told, store_space_explain has nothing to add. */
    if (s->limits.min_free)
        return error_fail(
            err,
            "not enough space for the image in the store \"%s\": about %s are "
            "needed, %s are free and cache_min_free keeps %s of them, and no unused "
            "image is left to remove; free some, or set node_local_path to a larger "
            "disk",
            s->path, human(a, sizeof(a), wanted), human(b, sizeof(b), bytes),
            human(c, sizeof(c), s->limits.min_free));
    return error_fail(
        err,
        "not enough space for the image in the store \"%s\": about %s are needed and "
        "%s are free, and no unused image is left to remove; free some, or set "
        "node_local_path to a larger disk",
        s->path, human(a, sizeof(a), wanted), human(b, sizeof(b), bytes));
}

static int check_size(struct store *s, const struct store_pruned *p, uint64_t needed,
                      struct error *err)
{
    char a[32], b[32], c[32], d[32];

    if (p->left + needed <= s->limits.max_size)
        return 0;
    return error_fail(
        err,
        "the image does not fit into the store \"%s\": about %s more are needed, "
        "cache_max_size is %s, and of the %s that are kept images in use have %s; "
        "raise cache_max_size, or start when they are no longer in use",
        s->path, human(a, sizeof(a), needed), human(b, sizeof(b), s->limits.max_size),
        human(c, sizeof(c), p->left), human(d, sizeof(d), p->in_use));
}

/* written: bytes of `needed` that are on the disk already, but in no layer of the store
 * yet. */
static int evict_for(struct store *s, const struct image *keep, uint64_t needed,
                     uint64_t written, struct error *err)
{
    _cleanup_(store_pruned_release) struct store_pruned done = STORE_PRUNED_INIT;
    struct store_prune goal = STORE_PRUNE_INIT;
    uint64_t max = s->limits.max_size;

    if (max)
        goal.max_size = max > needed ? max - needed : 0;
    goal.min_free = s->limits.min_free + (needed ? needed - written + SPACE_MARGIN : 0);
    if (store_evict(s, &goal, keep, &done, err) < 0)
        return -1;
    if (done.n)
        log_info("removed %zu unused images from the store \"%s\" to make room", done.n,
                 s->path);
    return max ? check_size(s, &done, needed, err) : 0;
}

int store_space_more(struct store *s, const struct image *keep, uint64_t written,
                     uint64_t more, struct error *err)
{
    uint64_t needed = written + more;
    struct error tight = ERROR_INIT;
    char a[32], b[32];

    if (s->limits.max_size && needed > s->limits.max_size)
        return error_fail(err,
                          "the image needs about %s and cache_max_size of the store "
                          "\"%s\" is %s; raise it",
                          human(a, sizeof(a), needed), s->path,
                          human(b, sizeof(b), s->limits.max_size));
    if (!s->limits.max_size && check_free(s, more, &tight) == 0)
        return 0;
    return evict_for(s, keep, needed, written, err) < 0 ? -1 : check_free(s, more, err);
}

int store_space_make(struct store *s, const struct image *keep, uint64_t needed,
                     struct error *err)
{
    return store_space_more(s, keep, 0, needed, err);
}

int store_space_rescue(struct store *s, uint64_t needed)
{
    _cleanup_(store_pruned_release) struct store_pruned done = STORE_PRUNED_INIT;
    struct store_prune goal = STORE_PRUNE_INIT;
    struct error ignored = ERROR_INIT;

    goal.min_freed = needed + SPACE_MARGIN;
    if (store_evict(s, &goal, NULL, &done, &ignored) < 0 || done.n + done.layers == 0)
        return 0;
    log_info("the disk was full; removed %zu unused images from the store \"%s\" and "
             "try again",
             done.n, s->path);
    return 1;
}

int store_space_explain(struct store *s, uint64_t needed, struct error *err)
{
    uint64_t bytes, inodes;
    char a[32], b[32];

    if ((err->errnum != ENOSPC && err->errnum != EDQUOT) ||
        store_space_free(s, &bytes, &inodes) < 0)
        return -1;
    if (err->errnum == EDQUOT)
        return error_hint(err,
                          "your quota on \"%s\" is used up; the image needs about %s; "
                          "free some, or set node_local_path to another disk",
                          s->path, human(a, sizeof(a), needed));
    return error_hint(
        err,
        "the store \"%s\" has %s and %llu inodes free now that the partial "
        "image is removed; the image needs about %s; free some, or set "
        "node_local_path to a larger disk",
        s->path, human(b, sizeof(b), bytes), (unsigned long long)inodes,
        human(a, sizeof(a), needed));
}
