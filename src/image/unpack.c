#include "image/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/layerstream.h"
#include "image/tarstream.h"
#include "image/treewriter.h"

/* What a job could at most read sensibly; also keeps offsets far from overflow. */
#define FILE_SIZE_MAX ((uint64_t)1 << 50)

struct unpacking {
    struct layerstream *ls;
    struct treewriter *w;
    struct archive *a;
    struct error failure; /* of the stream below libarchive */
};

static la_ssize_t plain_read(struct archive *a, void *arg, const void **data)
{
    struct unpacking *u = arg;
    ssize_t n = layerstream_next(u->ls, data, &u->failure);

    if (n >= 0)
        return n;
    archive_set_error(a, EIO, "read failed");
    return ARCHIVE_FATAL;
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

static int write_at(int fd, const char *data, size_t len, la_int64_t offset,
                    struct error *err)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot write");
        data += n;
        len -= (size_t)n;
        offset += n;
    }
    return 0;
}

static int hash_zeros(struct digest_ctx *hash, uint64_t len, struct error *err)
{
    static const char zeros[65536];

    while (len > 0) {
        size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

        if (digest_update(hash, zeros, n, err) < 0)
            return -1;
        len -= n;
    }
    return 0;
}

/* Blocks come with their offsets, so that sparse files stay sparse; the content's
 * digest has their holes as zeros. */
static int write_data(struct unpacking *u, int fd, uint64_t size,
                      struct digest_ctx *hash, struct error *err)
{
    const void *data;
    la_int64_t offset, end = 0;
    size_t n;
    int rc;

    while ((rc = archive_read_data_block(u->a, &data, &n, &offset)) == ARCHIVE_OK) {
        if (offset < end || (uint64_t)offset > size || n > size - (uint64_t)offset)
            return error_fail(err, "its data goes beyond its size");
        if (write_at(fd, data, n, offset, err) < 0 ||
            hash_zeros(hash, (uint64_t)(offset - end), err) < 0 ||
            digest_update(hash, data, n, err) < 0)
            return -1;
        end = offset + (la_int64_t)n;
    }
    if (rc != ARCHIVE_EOF)
        return read_error(u, err);
    if ((uint64_t)end != size && ftruncate(fd, (off_t)size) < 0)
        return error_sys(err, errno, "cannot set the file's size");
    return hash_zeros(hash, size - (uint64_t)end, err);
}

static int write_content(struct unpacking *u, int fd, uint64_t size,
                         struct digest *content, struct error *err)
{
    _cleanup_(digest_free) struct digest_ctx *hash = digest_new(err);

    if (!hash || write_data(u, fd, size, hash, err) < 0)
        return -1;
    return digest_final(hash, content, err);
}

static int unpack_file(struct unpacking *u, struct archive_entry *entry,
                       const char *name, struct treewriter_attr *attr,
                       struct error *err)
{
    la_int64_t size = archive_entry_size(entry);
    _cleanup_close_ int fd = -1;

    if (size < 0 || (uint64_t)size > FILE_SIZE_MAX)
        return error_fail(err, "its size of %lld bytes is impossible", (long long)size);
    fd = treewriter_file(u->w, name, err);
    if (fd < 0)
        return -1;
    if (size > 0 && write_content(u, fd, (uint64_t)size, &attr->content, err) < 0)
        return -1;
    return treewriter_file_end(u->w, steal_fd(&fd), name, (uint64_t)size, attr, err);
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

static int unpack_all(struct unpacking *u, struct error *err)
{
    struct archive_entry *entry;
    char name[PATH_MAX];
    int rc;

    while ((rc = tarstream_next(u->a, &entry, err)) == 0) {
        const char *raw = archive_entry_pathname(entry);

        if (!raw)
            return error_fail(err, "an entry has no readable name");
        if (tarstream_plain_name(raw, name, err) < 0 ||
            unpack_entry(u, entry, name, err) < 0)
            return error_context(err, "entry \"%.300s\"", raw);
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
    return rc;
}
