#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/lab.h"
#include "lab/labstamp.h"
#include "lab/metadata.h"
#include "sys/pathfd.h"

/* Metadata of 100,000 jobs is some 150 MB; beyond this it is no metadata. */
#define METADATA_MAX ((size_t)1 << 30)

/* The file as it was before it was read; a write in between makes it unstable. */
static int note_read(struct lab_sources *sources, struct lab_stamp *before, int fd,
                     const char *path, const struct buf *text,
                     const struct lab_options *opts, struct error *err)
{
    struct lab_stamp after;

    if (lab_stamp_take(&after, fd, path, err) < 0 ||
        opts->index->digest(buf_str(text), text->len, before->sha256, err) < 0)
        return -1;
    sources->unstable |= !lab_stamp_same(before, &after);
    lab_stamps_add(&sources->read, path, before);
    return sources->read.failed ? error_oom(err) : 0;
}

int lab_read_file(int dirfd, const char *path, const struct lab_options *opts,
                  struct lab_sources *sources, struct buf *out, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, LAB_READ_FLAGS, 0, err);
    struct lab_stamp stamp = {0};

    if (fd < 0)
        return -1;
    if (sources && lab_stamp_take(&stamp, fd, path, err) < 0)
        return -1;
    if (pathfd_read_all(fd, METADATA_MAX, out, err) < 0)
        return error_context(err, "%s", path);
    if (buf_check(out, err) < 0)
        return -1;
    return sources ? note_read(sources, &stamp, fd, path, out, opts, err) : 0;
}

int lab_list_dir(int dirfd, const char *path, struct strv *names, struct error *err)
{
    _cleanup_close_ int fd =
        pathfd_open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY, 0, err);

    if (fd < 0)
        return -1;
    return pathfd_names(fd, names, err) < 0
               ? error_context(err, "the directory %s", path)
               : 0;
}

int lab_check_exists(int dirfd, const char *path, int flags, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, O_PATH | flags, 0, err);

    return fd < 0 ? -1 : 0;
}

int lab_digest_error(const char *path, const char *is, const char *manifest,
                     struct error *err)
{
    return error_fail(err, "%s has SHA-256 %s, the manifest says %s", path, is,
                      manifest);
}

/* Files that a job of its own uses are checked when it is launched, and metadata is
 * noted when it is read. */
static bool is_common(const char *path)
{
    return strncmp(path, LAB_JOBS, strlen(LAB_JOBS)) != 0;
}

static int verify_file(int dirfd, const char *path, const char *sha256,
                       const struct lab_options *opts, struct lab_sources *sources,
                       struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, LAB_READ_FLAGS, 0, err);
    struct lab_stamp stamp = {0}, after;

    if (fd < 0 || lab_stamp_take(&stamp, fd, path, err) < 0)
        return -1;
    if (opts->digest_fd(fd, stamp.sha256, err) < 0)
        return error_context(err, "%s", path);
    if (strcmp(stamp.sha256, sha256) != 0)
        return lab_digest_error(path, stamp.sha256, sha256, err);
    if (!sources || !is_common(path))
        return 0;
    if (lab_stamp_take(&after, fd, path, err) < 0)
        return -1;
    sources->unstable |= !lab_stamp_same(&stamp, &after);
    lab_stamps_add(&sources->files, path, &stamp);
    return sources->files.failed ? error_oom(err) : 0;
}

int lab_verify_file(int dirfd, const char *path, const char *sha256,
                    const struct lab_options *opts, struct lab_sources *sources,
                    struct error *err)
{
    if (verify_file(dirfd, path, sha256, opts, sources, err) < 0)
        return error_hint(err, LAB_DAMAGED_HINT);
    return 0;
}
