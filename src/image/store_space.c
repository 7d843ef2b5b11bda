/* Free space, in numbers that a person can act on. */
#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/error.h"
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

static int free_space(struct store *s, uint64_t *bytes, uint64_t *inodes)
{
    struct statvfs v;

    if (fstatvfs(s->fd, &v) < 0)
        return -1;
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    /* file systems without a fixed number of inodes report 0 of 0 */
    *inodes = v.f_files ? (uint64_t)v.f_favail : UINT64_MAX;
    return 0;
}

int store_space_check(struct store *s, uint64_t needed, struct error *err)
{
    uint64_t bytes, inodes;
    char a[32], b[32];

    if (free_space(s, &bytes, &inodes) < 0)
        return error_sys(err, errno, "cannot ask for the free space of \"%s\"",
                         s->path);
    if (bytes >= needed + SPACE_MARGIN)
        return 0;
    /* errnum stays 0: the numbers are told, store_space_explain has nothing to add. */
    return error_fail(
        err,
        "not enough space for the image in the store \"%s\": about %s are needed and "
        "%s are free; free some, or set node_local_path to a larger disk",
        s->path, human(a, sizeof(a), needed + SPACE_MARGIN),
        human(b, sizeof(b), bytes));
}

int store_space_explain(struct store *s, uint64_t needed, struct error *err)
{
    uint64_t bytes, inodes;
    char a[32], b[32];

    if ((err->errnum != ENOSPC && err->errnum != EDQUOT) ||
        free_space(s, &bytes, &inodes) < 0)
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
