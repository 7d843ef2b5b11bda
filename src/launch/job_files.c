/* The files of a unit: directories, inputs.json, parameters.json, and copies that
 * RepX's paths lead to. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/job.h"
#include "sys/atomicfile.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"

#define METADATA_MAX (1u << 30)
#define COMPARED (128u << 10)

int job_make_dirs(const char *base, const char *path, struct error *err)
{
    _cleanup_close_ int root = pathfd_make_dirs_user(base, 0755, err);
    const char *rest = path + strlen(base);
    int fd;

    if (root < 0)
        return -1;
    fd = pathfd_make_dirs(root, rest + strspn(rest, "/"), 0755, err);
    if (fd < 0) {
        error_context(err, "cannot use %s", path);
        if (err->errnum == ELOOP || err->errnum == ENOTDIR)
            error_hint(err, "no part of it below %s may be a symbolic link or a file",
                       base);
    }
    return fd;
}

static int write_file(const char *base, const char *path, const char *text, size_t len,
                      struct error *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = strndup(path, (size_t)(slash - path));
    _cleanup_close_ int fd = -1;

    if (!dir)
        return error_oom(err);
    fd = job_make_dirs(base, dir, err);
    if (fd < 0)
        return -1;
    if (atomicfile_write(fd, slash + 1, text, len, 0644, false, err) < 0)
        return error_context(err, "%s", path);
    return 0;
}

/* Do both files have the same content? Piece by piece: metadata of 100,000 jobs is 44
 * MB.
 */
static bool same_content(int a, int b)
{
    _cleanup_free_ char *pieces = malloc(2 * COMPARED);
    struct error ignored = ERROR_INIT;
    struct stat x, y;
    ssize_t n;

    if (!pieces || fstat(a, &x) < 0 || fstat(b, &y) < 0 || x.st_size != y.st_size)
        return false;
    do {
        n = fdio_read_full(a, pieces, COMPARED, &ignored);
        if (n < 0 || fdio_read_full(b, pieces + COMPARED, COMPARED, &ignored) != n ||
            memcmp(pieces, pieces + COMPARED, (size_t)n) != 0)
            return false;
    } while (n > 0);
    return true;
}

/* RepX's inputs.json names <base>/artifacts/revision/<file>, where RepX has copied the
 * lab. The file is put there, so that the path is right outside a sandbox as well. */
static int publish_metadata(const struct job_unit *j, const struct input *in,
                            struct error *err)
{
    _cleanup_close_ int fd =
        pathfd_open_beneath(j->lab->fd, in->source, O_RDONLY, 0, err);
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int published = -1;

    if (fd < 0)
        return error_context(err, "metadata for input %s", in->name);
    published = pathfd_open_user(in->path, O_RDONLY | O_NONBLOCK, &ignored);
    if (published >= 0 && same_content(fd, published))
        return 0;
    if (lseek(fd, 0, SEEK_SET) < 0 || pathfd_read_all(fd, METADATA_MAX, &text, err) < 0)
        return error_context(err, "metadata for input %s", in->name);
    return write_file(j->base, in->path, buf_str(&text), text.len, err);
}

int job_unit_make_dirs(const struct job_unit *j, struct error *err)
{
    _cleanup_close_ int out = job_make_dirs(j->base, j->out, err);
    int repx;

    if (out < 0)
        return -1;
    repx = job_make_dirs(j->base, j->repx, err);
    if (repx < 0)
        return -1;
    if (faccessat(out, ".", W_OK, AT_EACCESS) < 0) {
        close(repx);
        return error_sys(err, errno, "job %s cannot write its output directory %s",
                         j->job->id, j->out);
    }
    return repx;
}

int job_unit_write(const struct job_unit *j, struct error *err)
{
    if (write_file(j->base, j->inputs_path, j->inputs_text, strlen(j->inputs_text),
                   err) < 0)
        return -1;
    if (write_file(j->base, j->params_path, j->job->params_json,
                   strlen(j->job->params_json), err) < 0)
        return -1;
    for (size_t i = 0; i < j->inputs.n; i++) {
        const struct input *in = &j->inputs.items[i];
        _cleanup_free_ char *manifest = NULL;

        if (in->kind == INPUT_METADATA && publish_metadata(j, in, err) < 0)
            return -1;
        if (in->kind != INPUT_MANIFEST)
            continue;
        manifest = inputs_worker_outs(j->lab, j->job, j->base, j->n_branches, err);
        if (!manifest ||
            write_file(j->base, in->path, manifest, strlen(manifest), err) < 0)
            return -1;
    }
    return 0;
}
