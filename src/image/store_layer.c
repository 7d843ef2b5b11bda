/* One layer: from the image to layers/<diff_id>/, verified on the way. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/layerstream.h"
#include "image/source.h"
#include "image/store_private.h"
#include "image/treewriter.h"
#include "image/unpack.h"

/* What programs and libraries shrink to with gzip; only an estimate for the space
 * check. */
#define COMPRESSION_RATIO 3

/* How often a layer that vanishes between two locks is looked for again. */
#define ENSURE_RETRIES 8

struct digests {
    struct digest diff_id, blob;
};

static int write_sums(struct treewriter *writer, int dirfd, struct digest *sums,
                      struct error *err)
{
    _cleanup_(treesum_release) struct treesum t = TREESUM_INIT;
    struct treesum_options o = {.known = writer->known, .n_known = writer->n_known};

    if (treesum_walk(&t, writer->rootfd, &o, err) < 0 ||
        treesum_write(&t, dirfd, sums, err) < 0)
        return error_context(err, "the checksums");
    return 0;
}

/* Unpacks blob (owned) into the temporary directory and closes the books on it. */
static int extract(struct store_work *w, struct blob *blob, bool hash_blob,
                   struct store_tmp *tmp, struct digests *actual,
                   struct store_layer_record *record, struct error *err)
{
    struct layerstream_options options = {.hash_blob = hash_blob,
                                          .progress = &w->progress,
                                          .done = w->base,
                                          .total = w->total};
    _cleanup_(layerstream_free) struct layerstream *ls = NULL;
    _cleanup_(treewriter_release) struct treewriter writer;
    _cleanup_close_ int tree = -1;

    treewriter_init(&writer, -1);
    ls = layerstream_new(blob, &options, err);
    if (!ls)
        return -1;
    if (mkdirat(tmp->fd, STORE_TREE, 0700) < 0)
        return error_sys(err, errno, "cannot make a directory in the store");
    tree = openat(tmp->fd, STORE_TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree < 0)
        return error_sys(err, errno, "cannot open a directory of the store");
    /* 0755 is what an image has whose layers do not say more about their root. */
    if (fchmod(tree, 0755) < 0)
        return error_sys(err, errno, "cannot set a directory's mode");
    writer.rootfd = tree;
    writer.for_everybody = w->store->shared;
    if (unpack(ls, &writer, err) < 0 ||
        layerstream_finish(ls, &actual->diff_id, &actual->blob, err) < 0 ||
        layernotes_write(&writer.notes, tmp->fd, err) < 0 ||
        write_sums(&writer, tmp->fd, &record->sums, err) < 0)
        return -1;
    w->base += layerstream_bytes(ls);
    w->wrote = true;
    record->bytes = writer.bytes;
    record->stored = layerstream_bytes(ls);
    record->entries = writer.entries;
    record->skipped = writer.skipped;
    if (writer.skipped)
        log_debug("%llu device nodes, sockets or FIFOs of \"%s\" were left out",
                  (unsigned long long)writer.skipped, w->image->reference);
    return 0;
}

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

static int extract_verified(struct store_work *w, struct source *src,
                            const struct image_layer *l, struct store_tmp *tmp,
                            struct error *err)
{
    struct store_layer_record record = {0};
    struct digests actual = {{""}, {""}};
    struct blob *blob = NULL;
    int rc;

    rc = open_layer(w, src, l, &blob, err);
    if (rc == 1)
        return error_fail(err, "it is missing; the image is incomplete, copy it again");
    if (rc < 0 || extract(w, blob, wants_blob_hash(l), tmp, &actual, &record, err) < 0)
        return -1;
    if (wants_blob_hash(l) && check_digest("the file", &l->blob, &actual.blob, err) < 0)
        return -1;
    if (check_digest("its uncompressed content", &l->diff_id, &actual.diff_id, err) < 0)
        return -1;
    return store_record_write_layer(tmp->fd, &l->diff_id, w->image->reference, &record,
                                    err);
}

static int extract_and_publish(struct store_work *w, struct source *src, size_t index,
                               struct error *err)
{
    const struct image_layer *l = &w->image->layers[index];
    struct store_tmp tmp = STORE_TMP_INIT;
    int rc;

    if (store_tmp_new(w->store, &tmp, err) < 0)
        return -1;
    rc = extract_verified(w, src, l, &tmp, err);
    if (rc < 0)
        error_context(err, "layer %zu of %zu, \"%.200s\"", index + 1,
                      w->image->n_layers, l->path);
    else
        rc =
            store_tmp_publish(w->store, &tmp, w->store->layers_fd, l->diff_id.hex, err);
    store_tmp_discard(w->store, &tmp);
    return rc;
}

/* Takes the layer's lock shared and looks: 0 there, 1 not (unlocked), -1. */
static int find_shared(struct store_work *w, const struct digest *id, const char *name,
                       struct lockfile *lock, struct error *err)
{
    struct store_layer_record record;
    int rc;

    if (store_work_lock(w, lock, name, false, err) < 0)
        return -1;
    rc = store_record_check_layer(w->store, id, &record, err);
    if (rc != 0)
        lockfile_release(lock);
    return rc;
}

/* Takes it exclusively and, when the layer is still not there, extracts it. Unlocked
 * after that: turning an exclusive flock into a shared one is not atomic, so the caller
 * looks again anyway. */
static int make_exclusive(struct store_work *w, struct source *src, size_t index,
                          const char *name, bool *extracted, struct error *err)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct store_layer_record record;
    int rc;

    w->layer_lock = &lock;
    rc = store_work_lock(w, &lock, name, true, err);
    if (rc == 0)
        rc = store_record_check_layer(w->store, &w->image->layers[index].diff_id,
                                      &record, err);
    if (rc == 1) {
        rc = extract_and_publish(w, src, index, err);
        *extracted = true;
    }
    w->layer_lock = NULL;
    lockfile_release(&lock);
    return rc;
}

int store_layer_ensure(struct store_work *w, struct source *src, size_t index,
                       struct lockfile *lock, bool *extracted, struct error *err)
{
    const struct digest *id = &w->image->layers[index].diff_id;
    _cleanup_free_ char *name = str_printf("layer-%s.lock", id->hex);
    int i, rc;

    if (!name)
        return error_oom(err);
    for (i = 0; i < ENSURE_RETRIES; i++) {
        rc = find_shared(w, id, name, lock, err);
        if (rc <= 0)
            return rc;
        if (make_exclusive(w, src, index, name, extracted, err) < 0)
            return -1;
    }
    return error_fail(
        err,
        "layer %zu of %zu is removed from the store \"%s\" as soon as it is "
        "there; is another program cleaning it?",
        index + 1, w->image->n_layers, w->store->path);
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
                          const struct digest *id, struct store_layer_record *record,
                          struct error *err)
{
    _cleanup_free_ char *name = str_printf("layer-%s.lock", id->hex);
    struct lockfile lock = LOCKFILE_INIT;
    struct store_layer_record other;
    int rc;

    if (!name)
        return error_oom(err);
    if (store_record_write_layer(tmp->fd, id, w->image->reference, record, err) < 0 ||
        store_work_lock(w, &lock, name, true, err) < 0)
        return -1;
    rc = store_record_check_layer(w->store, id, &other, err);
    if (rc == 1)
        rc = store_tmp_publish(w->store, tmp, w->store->layers_fd, id->hex, err);
    lockfile_release(&lock);
    return rc;
}

int store_layer_learn(struct store_work *w, struct error *err)
{
    struct store_layer_record record = {0};
    struct store_tmp tmp = STORE_TMP_INIT;
    struct image *img = w->image;
    struct digests actual = {{""}, {""}};
    struct blob *blob;
    int rc;

    w->total = img->layers[0].size;
    w->needed = w->total * (img->layers[0].compressed ? COMPRESSION_RATIO : 1);
    if (store_space_make(w->store, NULL, w->needed, err) < 0 ||
        store_tmp_new(w->store, &tmp, err) < 0)
        return -1;
    blob = blob_of_fd(img->fd, err);
    rc = blob ? extract(w, blob, false, &tmp, &actual, &record, err) : -1;
    if (rc == 0)
        rc = publish_learnt(w, &tmp, &actual.diff_id, &record, err);
    store_tmp_discard(w->store, &tmp);
    if (rc < 0)
        return -1;
    img->layers[0].diff_id = actual.diff_id;
    img->id = actual.diff_id;
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
        if (rc == 0)
            continue;
        *stored += l->size;
        *needed += l->size * (l->compressed ? COMPRESSION_RATIO : 1);
    }
    return 0;
}
