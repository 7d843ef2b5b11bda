#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/blocks.h"
#include "image/layerstream.h"
#include "image/tarstream.h"
#include "image/treewriter.h"
#include "sys/workpool.h"

/* What a job could at most read sensibly; also keeps offsets far from overflow. */
#define FILE_SIZE_MAX ((uint64_t)1 << 50)

/* So many tasks may wait for a thread before the reader helps: their data should still
 * be in the cache when it is written. */
#define TASKS_AHEAD 8

struct unpacking {
    struct layerstream *ls;
    struct treewriter *w;
    struct archive *a;
    struct block *block;  /* that libarchive is reading in */
    bool inside;          /* a file's content is being read */
    struct error failure; /* of the stream below libarchive */
};

/* libarchive is done with the block before. Small files of it that are still collected
 * go to the threads, so that the reader never holds more than the blocks of one file.
 */
static la_ssize_t plain_read(struct archive *a, void *arg, const void **data)
{
    struct unpacking *u = arg;
    struct workpool *pool = u->w->files.pool;
    int rc;

    block_unref(u->block);
    u->block = NULL;
    if (!u->inside)
        treefiles_flush(&u->w->files);
    if (pool)
        workpool_keep_below(pool, TASKS_AHEAD);
    rc = layerstream_next(u->ls, &u->block, &u->failure);
    if (rc < 0) {
        archive_set_error(a, EIO, "read failed");
        return ARCHIVE_FATAL;
    }
    if (rc == 0)
        return 0;
    *data = u->block->data;
    return (la_ssize_t)u->block->len;
}

/* Prefers the reason from below: libarchive only knows that a read failed. */
static int read_error(struct unpacking *u, struct error *err)
{
    const char *text = archive_error_string(u->a);

    if (u->failure.class != ERROR_NONE) {
        *err = u->failure;
        return -1;
    }
    return error_fail(err, "damaged tar archive: %s", text ? text : "unknown error");
}

/* The block that this data lies in; NULL when libarchive has made a copy. */
static struct block *block_of(const struct unpacking *u, const char *data, size_t len)
{
    struct block *b = u->block;

    return b && data >= b->data && data + len <= b->data + b->len ? b : NULL;
}

/* Blocks come with their offsets, so that sparse files stay sparse. */
static int copy_data(struct unpacking *u, uint64_t size, struct error *err)
{
    const void *data;
    la_int64_t offset, end = 0;
    size_t n;
    int rc;

    while ((rc = archive_read_data_block(u->a, &data, &n, &offset)) == ARCHIVE_OK) {
        if (offset < end || (uint64_t)offset > size || n > size - (uint64_t)offset)
            return error_fail(err, "its data goes beyond its size");
        end = offset + (la_int64_t)n;
        if (n > 0 && treewriter_file_data(u->w, block_of(u, data, n), data, n,
                                          (uint64_t)offset, err) < 0)
            return -1;
    }
    return rc == ARCHIVE_EOF ? 0 : read_error(u, err);
}

static int unpack_file(struct unpacking *u, struct archive_entry *entry,
                       const char *name, const struct treewriter_attr *attr,
                       struct error *err)
{
    la_int64_t size = archive_entry_size(entry);
    int rc = 0;

    if (size < 0 || (uint64_t)size > FILE_SIZE_MAX)
        return error_fail(err, "its size of %lld bytes is impossible", (long long)size);
    if (treewriter_file(u->w, name, (uint64_t)size, attr, err) < 0)
        return -1;
    if (size > 0) {
        u->inside = true;
        rc = copy_data(u, (uint64_t)size, err);
        u->inside = false;
    }
    return rc < 0 ? -1 : treewriter_file_end(u->w, err);
}

static int unpack_hardlink(struct unpacking *u, const char *name, const char *target,
                           struct error *err)
{
    char plain[PATH_MAX];

    if (tarstream_plain_name(target, plain, err) < 0)
        return error_context(err, "hard link to \"%.200s\"", target);
    return treewriter_hardlink(u->w, name, plain, err);
}

/* In the site's store a file that others could write would be theirs to change. */
static mode_t mode_for(const struct treewriter *w, mode_t mode, bool is_dir)
{
    if (!w->for_everybody)
        return mode;
    mode = (mode & ~(mode_t)022) | 0444;
    return is_dir || (mode & 0100) ? mode | 0111 : mode;
}

static int unpack_entry(struct unpacking *u, struct archive_entry *entry,
                        const char *name, struct error *err)
{
    struct treewriter_attr attr = {
        .mode = mode_for(u->w, archive_entry_perm(entry),
                         archive_entry_filetype(entry) == AE_IFDIR)};
    const char *target = archive_entry_hardlink(entry);
    int rc;

    attr.mtime.tv_sec = archive_entry_mtime(entry);
    attr.mtime.tv_nsec = archive_entry_mtime_nsec(entry);
    rc = treewriter_whiteout(u->w, name, err);
    if (rc <= 0)
        return rc;
    if (target)
        return unpack_hardlink(u, name, target, err);
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return treewriter_dir(u->w, name, &attr, err);
    case AE_IFREG:
        return unpack_file(u, entry, name, &attr, err);
    case AE_IFLNK:
        target = archive_entry_symlink(entry);
        if (!target || !target[0])
            return error_fail(err, "a symbolic link without a target");
        return treewriter_symlink(u->w, name, target, &attr, err);
    default:
        u->w->skipped++;
        return 0;
    }
}

/* The entry that was being read, unless the failure is one of a file before it. */
static int entry_error(struct unpacking *u, const char *raw, struct error *err)
{
    struct error earlier = ERROR_INIT;

    if (treefiles_check(&u->w->files, &earlier) < 0) {
        *err = earlier;
        return -1;
    }
    return error_context(err, "entry \"%.300s\"", raw);
}

static int unpack_all(struct unpacking *u, struct error *err)
{
    struct archive_entry *entry;
    char name[PATH_MAX];
    int rc;

    while ((rc = tarstream_next(u->a, &entry, err)) == 0) {
        const char *raw = archive_entry_pathname(entry);

        if (!raw)
            return error_fail(err, "an entry has no readable name");
        /* A file that a thread could not make is told with its own name. */
        if (treefiles_check(&u->w->files, err) < 0)
            return -1;
        if (tarstream_plain_name(raw, name, err) < 0 ||
            unpack_entry(u, entry, name, err) < 0)
            return entry_error(u, raw, err);
    }
    if (rc < 0 && u->failure.class != ERROR_NONE)
        *err = u->failure;
    return rc < 0 ? -1 : treewriter_finish(u->w, err);
}

int unpack(struct layerstream *ls, struct treewriter *w, struct error *err)
{
    struct unpacking u = {.ls = ls, .w = w};
    int rc;

    u.a = tarstream_new_tar(false, err);
    if (!u.a)
        return -1;
    archive_read_set_read_callback(u.a, plain_read);
    archive_read_set_callback_data(u.a, &u);
    if (archive_read_open1(u.a) != ARCHIVE_OK)
        rc = read_error(&u, err);
    else
        rc = unpack_all(&u, err);
    tarstream_free(&u.a);
    block_unref(u.block);
    return rc;
}
