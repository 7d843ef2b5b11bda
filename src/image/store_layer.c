/* One layer: where it comes from, what it must be, what the store remembers of it. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/extract.h"
#include "image/source.h"
#include "image/store_private.h"

/* What programs and libraries shrink to with gzip; only an estimate for the space
 * check. */
#define COMPRESSION_RATIO 3

static int check_digest(const char *what, const struct digest *expected,
                        const struct digest *actual, struct error *err)
{
    if (digest_equal(expected, actual))
        return 0;
    return error_fail(
        err,
        "%s has the digest sha256:%s and the image declares sha256:%s; the "
        "image is damaged, copy it again",
        what, actual->hex, expected->hex);
}

/* The blob's digest is the better hint when both are wrong: the file itself is damaged.
 * An uncompressed blob is its own diff_id, so hashing it twice would tell nothing. */
static bool wants_blob_hash(const struct image_layer *l)
{
    return l->has_blob && !digest_equal(&l->blob, &l->diff_id);
}

/* A root filesystem's tar is its only layer, remembered by digest. */
static int open_layer(struct store_work *w, struct source *src,
                      const struct image_layer *l, struct blob **blob,
                      struct error *err)
{
    if (w->image->kind != IMAGE_ROOTFS_TAR)
        return source_open(src, l->path, blob, err);
    *blob = blob_of_fd(w->image->fd, err);
    return *blob ? 0 : -1;
}

int store_layer_open(struct store_work *w, struct source *src, size_t index,
                     struct extract_layer *x, struct error *err)
{
    const struct image_layer *l = &w->image->layers[index];
    int rc = open_layer(w, src, l, &x->blob, err);

    x->hash_blob = wants_blob_hash(l);
    x->tree = STORE_TREE;
    x->for_everybody = w->store->shared;
    if (rc == 1)
        return error_fail(err, "it is missing; the image is incomplete, copy it again");
    return rc;
}

int store_layer_check(const struct image_layer *l, const struct extract_layer *x,
                      struct error *err)
{
    if (wants_blob_hash(l) &&
        check_digest("the file", &l->blob, &x->blob_digest, err) < 0)
        return -1;
    return check_digest("its uncompressed content", &l->diff_id, &x->diff_id, err);
}

int store_layer_write_record(struct store_work *w, int dirfd,
                             const struct extract_layer *x, struct error *err)
{
    const struct store_layer_record record = {.bytes = x->bytes,
                                              .stored = x->stored,
                                              .entries = x->entries,
                                              .skipped = x->skipped,
                                              .sums = x->sums,
                                              .notes = x->notes};

    if (x->skipped)
        log_debug("%llu device nodes, sockets or FIFOs of \"%s\" were left out",
                  (unsigned long long)x->skipped, w->image->reference);
    if (store_record_write_layer(dirfd, &x->diff_id, w->image->reference, &record,
                                 err) < 0)
        return -1;
    return store_boot_mark(dirfd, err);
}

void store_layer_drop(struct store *s, const struct digest *id)
{
    _cleanup_free_ char *name = str_printf("layer-%s.lock", id->hex);
    struct lockfile lock = LOCKFILE_INIT;
    struct store_tmp gone = STORE_TMP_INIT;
    struct error ignored = ERROR_INIT;

    if (!name)
        return;
    /* what an image names that was left as layers is its tree */
    if (lockfile_try(&lock, s->locks_fd, name, true, &ignored) == 0 &&
        store_record_names_layer(s, id->hex, &ignored) == 0)
        store_take_out(s, s->layers_fd, id->hex, &gone, &ignored);
    lockfile_release(&lock);
    store_tmp_discard(s, &gone);
}

static int publish_learnt(struct store_work *w, struct store_tmp *tmp,
                          const struct extract_layer *x, struct error *err)
{
    _cleanup_free_ char *name = str_printf("layer-%s.lock", x->diff_id.hex);
    struct lockfile lock = LOCKFILE_INIT;
    struct store_layer_record other;
    int rc;

    if (!name)
        return error_oom(err);
    if (store_layer_write_record(w, tmp->fd, x, err) < 0 ||
        store_work_lock(w, &lock, name, true, err) < 0)
        return -1;
    rc = store_record_check_layer(w->store, &x->diff_id, &other, err);
    if (rc == 2)
        rc = store_boot_confirm_layer(w->store, &x->diff_id, &w->progress, err);
    if (rc == 1)
        rc = store_tmp_publish(w->store, tmp, w->store->layers_fd, x->diff_id.hex, err);
    lockfile_release(&lock);
    return rc;
}

static int extract_one(struct store_work *w, struct extract_layer *layer,
                       struct error *err)
{
    struct extract *x = store_work_extract(w, err);

    if (!x)
        return -1;
    extract_start(x, layer);
    if (!extract_wait(x, err))
        return -1;
    if (layer->failed)
        *err = layer->failure;
    return layer->failed ? -1 : 0;
}

int store_layer_learn(struct store_work *w, struct error *err)
{
    struct extract_layer layer = {.tree = STORE_TREE,
                                  .for_everybody = w->store->shared};
    struct store_tmp tmp = STORE_TMP_INIT;
    struct image *img = w->image;
    int rc;

    w->total = img->layers[0].size;
    w->needed = w->total * (img->layers[0].compressed ? COMPRESSION_RATIO : 1);
    if (store_space_make(w->store, NULL, w->needed, err) < 0 ||
        store_tmp_new(w->store, &tmp, err) < 0)
        return -1;
    layer.dirfd = tmp.fd;
    layer.blob = blob_of_fd(img->fd, err);
    rc = layer.blob ? extract_one(w, &layer, err) : -1;
    store_work_end_extract(w);
    if (rc == 0)
        rc = publish_learnt(w, &tmp, &layer, err);
    store_tmp_discard(w->store, &tmp);
    if (rc < 0)
        return -1;
    img->layers[0].diff_id = layer.diff_id;
    img->id = layer.diff_id;
    return 0;
}

int store_layer_missing(struct store_work *w, uint64_t *stored, uint64_t *needed,
                        struct error *err)
{
    size_t i;

    *stored = *needed = 0;
    for (i = 0; i < w->image->n_layers; i++) {
        const struct image_layer *l = &w->image->layers[i];
        struct store_layer_record record;
        int rc = store_record_check_layer(w->store, &l->diff_id, &record, err);

        if (rc < 0)
            return -1;
        if (rc != 1) /* nearly always it is what it was, also after a boot */
            continue;
        *stored += l->size;
        *needed += l->size * (l->compressed ? COMPRESSION_RATIO : 1);
    }
    return 0;
}
