#include "image/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/image.h"
#include "image/source.h"

#define CHUNK ((size_t)1024 * 1024)

static int archive_error(struct archive *a, struct error *err)
{
    int errnum = archive_errno(a);

    return error_sys(err, errnum > 0 ? errnum : EIO, "cannot write the archive");
}

static int add_header(struct archive *a, const char *name, uint64_t size,
                      struct error *err)
{
    struct archive_entry *entry = archive_entry_new();
    int rc;

    if (!entry)
        return error_oom(err);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (int64_t)size);
    rc = archive_write_header(a, entry);
    archive_entry_free(entry);
    return rc < ARCHIVE_WARN ? archive_error(a, err) : 0;
}

static int copy_blob(struct archive *a, struct blob *blob, uint64_t size,
                     struct error *err)
{
    _cleanup_free_ char *data = malloc(CHUNK);
    uint64_t left = size;
    ssize_t n;

    if (!data)
        return error_oom(err);
    while ((n = blob_read(blob, data, CHUNK, err)) > 0) {
        if ((uint64_t)n > left)
            return error_fail(err, "it grows while it is read");
        if (archive_write_data(a, data, (size_t)n) != n)
            return archive_error(a, err);
        left -= (uint64_t)n;
    }
    if (n == 0 && left > 0)
        return error_fail(err, "it shrank while it was read");
    return n < 0 ? -1 : 0;
}

static int add_file(struct archive *a, struct source *src, const char *name,
                    struct error *err)
{
    _cleanup_(blob_free) struct blob *blob = NULL;
    struct source_stat st;
    int rc = source_stat(src, name, &st, err);

    if (rc == 0)
        rc = source_open(src, name, &blob, err);
    if (rc == 1)
        error_fail(err, "it is missing; the image is incomplete, copy it again");
    if (rc != 0 || add_header(a, name, st.size, err) < 0 ||
        copy_blob(a, blob, st.size, err) < 0)
        return error_context(err, "\"%.200s\"", name);
    return 0;
}

/* A layer that stands in the image twice is in the archive once. */
static int add_all(struct archive *a, const struct image *img, struct error *err)
{
    _cleanup_strv_ struct strv done = STRV_INIT;
    struct source src;

    source_dir_init(&src, img->fd);
    for (size_t i = 0; i < img->files.count; i++) {
        if (add_file(a, &src, img->files.items[i], err) < 0)
            return -1;
        strv_add(&done, img->files.items[i]);
    }
    for (size_t i = 0; i < img->n_layers; i++) {
        const char *path = img->layers[i].path;

        if (strv_contains(&done, path))
            continue;
        if (add_file(a, &src, path, err) < 0)
            return -1;
        strv_add(&done, path);
    }
    return strv_check(&done, err);
}

int image_pack(const struct image *img, int fd, struct error *err)
{
    struct archive *a = archive_write_new();
    int rc;

    if (!a)
        return error_oom(err);
    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd) != ARCHIVE_OK)
        rc = archive_error(a, err);
    else
        rc = add_all(a, img, err);
    if (rc == 0 && archive_write_close(a) != ARCHIVE_OK)
        rc = archive_error(a, err);
    archive_write_free(a);
    return rc < 0 ? error_context(err, "image \"%.300s\"", img->reference) : 0;
}
