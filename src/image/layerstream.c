#include "image/layerstream.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/source.h"
#include "image/tarstream.h"

struct layerstream {
    struct blob *blob;
    struct archive *raw;
    struct digest_ctx *blob_hash; /* NULL: not wanted */
    struct digest_ctx *diff_hash;
    struct layerstream_options options;
    struct error failure; /* of a read below libarchive, which keeps only a string */
    uint64_t stored;
    bool stored_end, plain_end;
};

static ssize_t read_stored(struct layerstream *ls, const void **data, struct error *err)
{
    ssize_t n;

    if (progress_check(ls->options.progress, err) < 0)
        return -1;
    if (ls->stored_end)
        return 0;
    n = blob_next(ls->blob, data, err);
    if (n < 0)
        return -1;
    if (n == 0)
        ls->stored_end = true;
    else if (ls->blob_hash && digest_update(ls->blob_hash, *data, (size_t)n, err) < 0)
        return -1;
    ls->stored += (uint64_t)n;
    progress_update(ls->options.progress, "extract", ls->options.done + ls->stored,
                    ls->options.total);
    return n;
}

static la_ssize_t raw_read(struct archive *a, void *arg, const void **data)
{
    struct layerstream *ls = arg;
    ssize_t n = read_stored(ls, data, &ls->failure);

    if (n >= 0)
        return n;
    archive_set_error(a, EIO, "read failed");
    return ARCHIVE_FATAL;
}

/* The error of a failed libarchive call: ours if the read below failed, else its text.
 */
static int raw_error(struct layerstream *ls, struct error *err)
{
    const char *text = archive_error_string(ls->raw);

    if (ls->failure.class != ERROR_NONE) {
        *err = ls->failure;
        return -1;
    }
    return error_fail(err, "cannot decompress it: %s", text ? text : "damaged data");
}

static int open_raw(struct layerstream *ls, struct error *err)
{
    struct archive_entry *entry;
    int rc;

    ls->raw = tarstream_new_raw(err);
    if (!ls->raw)
        return -1;
    archive_read_set_read_callback(ls->raw, raw_read);
    archive_read_set_callback_data(ls->raw, ls);
    if (archive_read_open1(ls->raw) != ARCHIVE_OK)
        return raw_error(ls, err);
    rc = archive_read_next_header(ls->raw, &entry);
    if (rc == ARCHIVE_EOF)
        ls->plain_end = true;
    else if (rc != ARCHIVE_OK)
        return raw_error(ls, err);
    return 0;
}

struct layerstream *layerstream_new(struct blob *blob,
                                    const struct layerstream_options *options,
                                    struct error *err)
{
    _cleanup_(layerstream_free) struct layerstream *ls = calloc(1, sizeof(*ls));

    if (!ls) {
        blob_free(&blob);
        error_oom(err);
        return NULL;
    }
    ls->blob = blob;
    ls->options = *options;
    ls->diff_hash = digest_new(err);
    if (!ls->diff_hash)
        return NULL;
    if (options->hash_blob) {
        ls->blob_hash = digest_new(err);
        if (!ls->blob_hash)
            return NULL;
    }
    if (open_raw(ls, err) < 0)
        return NULL;
    return steal_ptr(ls);
}

void layerstream_free(struct layerstream **ls)
{
    if (!*ls)
        return;
    tarstream_free(&(*ls)->raw);
    blob_free(&(*ls)->blob);
    digest_free(&(*ls)->blob_hash);
    digest_free(&(*ls)->diff_hash);
    free(*ls);
    *ls = NULL;
}

ssize_t layerstream_next(struct layerstream *ls, const void **data, struct error *err)
{
    la_int64_t offset;
    size_t n = 0;
    int rc;

    while (!ls->plain_end && n == 0) {
        rc = archive_read_data_block(ls->raw, data, &n, &offset);
        if (rc == ARCHIVE_EOF)
            ls->plain_end = true;
        else if (rc != ARCHIVE_OK)
            return raw_error(ls, err);
    }
    if (ls->plain_end)
        return 0;
    if (digest_update(ls->diff_hash, *data, n, err) < 0)
        return -1;
    return (ssize_t)n;
}

int layerstream_finish(struct layerstream *ls, struct digest *diff_id,
                       struct digest *blob, struct error *err)
{
    const void *data;
    ssize_t n;

    while ((n = layerstream_next(ls, &data, err)) > 0)
        continue;
    if (n < 0)
        return -1;
    /* What stands behind the compressed stream belongs to the blob's digest too. */
    while ((n = read_stored(ls, &data, err)) > 0)
        continue;
    if (n < 0 || digest_final(ls->diff_hash, diff_id, err) < 0)
        return -1;
    return blob && ls->blob_hash ? digest_final(ls->blob_hash, blob, err) : 0;
}

uint64_t layerstream_bytes(const struct layerstream *ls)
{
    return ls->stored;
}
