#include "image/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "image/tarstream.h"
#include "sys/pathfd.h"

ssize_t blob_read(struct blob *b, void *data, size_t cap, struct error *err)
{
    return b->read(b, data, cap, err);
}

void blob_free(struct blob **b)
{
    if (*b)
        (*b)->free(*b);
    *b = NULL;
}

struct fd_blob {
    struct blob blob;
    int fd;
    bool owned;
    off_t offset;
};

static ssize_t fd_blob_read(struct blob *b, void *data, size_t cap, struct error *err)
{
    struct fd_blob *f = (struct fd_blob *)b;
    ssize_t n;

    do {
        n = pread(f->fd, data, cap, f->offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, errno, "cannot read the file");
    f->offset += n;
    return n;
}

static void fd_blob_free(struct blob *b)
{
    struct fd_blob *f = (struct fd_blob *)b;

    if (f->owned)
        close(f->fd);
    free(f);
}

struct blob *blob_of_fd(int fd, struct error *err)
{
    struct fd_blob *f = malloc(sizeof(*f));

    if (!f) {
        error_oom(err);
        return NULL;
    }
    f->blob.read = fd_blob_read;
    f->blob.free = fd_blob_free;
    f->fd = fd;
    f->owned = false;
    f->offset = 0;
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return &f->blob;
}

static int missing_or_error(struct error *err)
{
    if (err->errnum != ENOENT && err->errnum != ENOTDIR)
        return -1;
    error_clear(err);
    return 1;
}

/* The file's descriptor, -1 with err, or -2 when it is missing. */
static int dir_open_regular(struct source *s, const char *name, struct stat *st,
                            struct error *err)
{
    _cleanup_close_ int parent = -1, fd = -1;
    const char *slash = strrchr(name, '/');
    _cleanup_free_ char *dir = NULL;

    dir = slash ? strndup(name, (size_t)(slash - name)) : strdup(".");
    if (!dir)
        return error_oom(err);
    parent = pathfd_open_beneath(s->fd, dir, O_PATH | O_DIRECTORY, 0, err);
    if (parent < 0)
        return missing_or_error(err) == 1 ? -2 : -1;
    /* O_NONBLOCK: a FIFO behind a link must not hang us before fstat tells. */
    fd = openat(parent, slash ? slash + 1 : name,
                O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        struct stat link;

        /* A dangling link is not the same as an absent file: say so. */
        if (fstatat(parent, slash ? slash + 1 : name, &link, AT_SYMLINK_NOFOLLOW) == 0)
            return error_fail(
                err,
                "\"%s\" is a symbolic link to a file that does not exist; "
                "was the lab copied without its store/?",
                name);
        return -2;
    }
    if (fd < 0)
        return error_sys(err, errno, "cannot open \"%s\"", name);
    if (fstat(fd, st) < 0)
        return error_sys(err, errno, "cannot stat \"%s\"", name);
    if (!S_ISREG(st->st_mode))
        return error_fail(err, "\"%s\" is not a regular file", name);
    return steal_fd(&fd);
}

static int dir_read_file(struct source *s, const char *name, struct buf *out,
                         struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    fd = dir_open_regular(s, name, &st, err);
    if (fd < 0)
        return fd == -2 ? 1 : -1;
    if (pathfd_read_all(fd, SOURCE_JSON_MAX, out, err) < 0)
        return error_context(err, "\"%s\"", name);
    return 0;
}

static int dir_stat(struct source *s, const char *name, struct source_stat *out,
                    struct error *err)
{
    char magic[TARSTREAM_MAGIC_LEN];
    _cleanup_close_ int fd = -1;
    struct stat st;
    ssize_t n;

    fd = dir_open_regular(s, name, &st, err);
    if (fd < 0)
        return fd == -2 ? 1 : -1;
    n = pread(fd, magic, sizeof(magic), 0);
    if (n < 0)
        return error_sys(err, errno, "cannot read \"%s\"", name);
    out->size = (uint64_t)st.st_size;
    out->compressed = tarstream_is_compressed(magic, (size_t)n);
    return 0;
}

static int dir_open(struct source *s, const char *name, struct blob **out,
                    struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;

    fd = dir_open_regular(s, name, &st, err);
    if (fd < 0)
        return fd == -2 ? 1 : -1;
    *out = blob_of_fd(fd, err);
    if (!*out)
        return -1;
    ((struct fd_blob *)*out)->owned = true;
    steal_fd(&fd);
    return 0;
}

static const struct source_ops dir_ops = {dir_read_file, dir_stat, dir_open};

void source_dir_init(struct source *s, int dirfd)
{
    *s = (struct source)SOURCE_INIT;
    s->ops = &dir_ops;
    s->fd = dirfd;
}

static int check_name(const char *name, struct error *err)
{
    if (is_relative_path(name))
        return 0;
    return error_fail(err,
                      "the image names a file \"%s\", which is not a plain relative "
                      "path",
                      name);
}

int source_read_file(struct source *s, const char *name, struct buf *out,
                     struct error *err)
{
    int rc = check_name(name, err) < 0 ? -1 : s->ops->read_file(s, name, out, err);

    if (rc == 0 && s->names && !strv_contains(s->names, name))
        strv_add(s->names, name);
    return rc;
}

int source_stat(struct source *s, const char *name, struct source_stat *st,
                struct error *err)
{
    return check_name(name, err) < 0 ? -1 : s->ops->stat(s, name, st, err);
}

int source_open(struct source *s, const char *name, struct blob **out,
                struct error *err)
{
    return check_name(name, err) < 0 ? -1 : s->ops->open(s, name, out, err);
}
