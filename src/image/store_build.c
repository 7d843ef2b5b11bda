#include "image/store_build.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/blocks.h"
#include "image/compose.h"
#include "image/layernotes.h"
#include "image/layerstream.h"
#include "image/rootsums.h"
#include "image/source.h"
#include "image/store_overlay.h"
#include "image/store_private.h"
#include "image/tarstream.h"
#include "sys/fdio.h"

struct build {
    struct store_work *w;
    struct lockfile *locks; /* shared, one a layer */
    bool *extracted;        /* by this call, one a layer */
    struct source src;
    struct rootsums sums; /* of the tree composed so far */
    bool refused;         /* the image does not fit into the limits */
    int spool;            /* a compressed archive decompressed, -1 */
};

/* Layers are found by walking the archive's headers, which seeks in a plain tar; a
 * compressed one would be decompressed once for every layer, so it is decompressed
 * first, into a file without a name, which the kernel removes with us. */
static int spool_archive(struct build *b, struct error *err)
{
    struct store_work *w = b->w;
    struct layerstream_options options = {.no_hash = true};
    _cleanup_(layerstream_free) struct layerstream *ls = NULL;
    struct block *block;
    struct blob *blob;
    int rc;

    b->spool = openat(w->store->tmp_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (b->spool < 0 && (errno == EOPNOTSUPP || errno == EISDIR))
        return 0; /* slower, not wrong */
    if (b->spool < 0)
        return error_sys(err, errno, "cannot make a temporary file in the store");
    blob = blob_of_fd(w->image->fd, err);
    ls = blob ? layerstream_new(blob, &options, err) : NULL;
    if (!ls)
        return -1;
    while ((rc = layerstream_next(ls, &block, err)) > 0) {
        rc = progress_check(&w->progress, err);
        if (rc == 0)
            rc = fdio_write_all(b->spool, block->data, block->len, err);
        block_unref(block);
        if (rc < 0)
            return -1;
    }
    return rc;
}

static int open_source(struct build *b, struct error *err)
{
    const struct image *img = b->w->image;
    char magic[TARSTREAM_MAGIC_LEN];
    ssize_t n;

    if (img->kind == IMAGE_DOCKER_DIR || img->kind == IMAGE_OCI_DIR) {
        source_dir_init(&b->src, img->fd);
        return 0;
    }
    n = pread(img->fd, magic, sizeof(magic), 0);
    if (n < 0)
        return error_sys(err, errno, "cannot read the archive");
    if (b->w->total > 0 && img->n_layers > 1 &&
        tarstream_is_compressed(magic, (size_t)n) && spool_archive(b, err) < 0)
        return error_context(err, "decompressing the archive");
    source_archive_init(&b->src, b->spool >= 0 ? b->spool : img->fd);
    return 0;
}

static int ensure_layers(struct build *b, struct error *err)
{
    struct store_work *w = b->w;

    if (image_look_at_layers(w->image, err) < 0 ||
        store_layer_missing(w, &w->total, &w->needed, err) < 0)
        return -1;
    if (w->needed > 0 && store_space_make(w->store, w->image, w->needed, err) < 0)
        return -1;
    if (open_source(b, err) < 0)
        return -1;
    if (store_layers_ensure(w, &b->src, b->locks, b->extracted, err) < 0)
        return -1;
    /* The need was an estimate; now the sizes are known. */
    if (!w->wrote || store_space_make(w->store, w->image, 0, err) == 0)
        return 0;
    b->refused = true;
    return -1;
}

static int compose_one(struct build *b, struct compose *c, size_t index,
                       uint64_t *bytes, struct error *err)
{
    const struct digest *id = &b->w->image->layers[index].diff_id;
    _cleanup_(layernotes_release) struct layernotes notes = LAYERNOTES_INIT;
    struct store_layer_record record = {0};
    _cleanup_close_ int dir = -1, tree = -1;
    int rc;

    rc = store_record_check_layer(b->w->store, id, &record, err);
    if (rc != 0)
        return rc < 0 ? -1 : error_fail(err, "it vanished from the store; start again");
    *bytes += record.bytes;
    dir = openat(b->w->store->layers_fd, id->hex,
                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0)
        tree = openat(dir, STORE_TREE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (tree < 0)
        return error_sys(err, errno, "cannot open it in the store");
    if (layernotes_read(&notes, dir, err) < 0 ||
        rootsums_add(&b->sums, dir, &record.sums, &notes, err) < 0)
        return -1;
    return compose_layer(c, tree, &notes, err);
}

static int compose_all(struct build *b, int rootfd, uint64_t *bytes, struct error *err)
{
    _cleanup_(compose_release) struct compose c;
    size_t i, n = b->w->image->n_layers;

    compose_init(&c, rootfd, &b->w->progress);
    for (i = 0; i < n; i++) {
        progress_update(&b->w->progress, "compose", i, n);
        if (compose_one(b, &c, i, bytes, err) < 0)
            return error_context(err, "layer %zu of %zu", i + 1, n);
    }
    return compose_finish(&c, err);
}

/* sums: of a composed tree, else NULL. */
static int write_record(struct build *b, struct store_tmp *tmp, uint64_t bytes,
                        const struct digest *sums, struct error *err)
{
    _cleanup_close_ int used = -1;

    used = openat(tmp->fd, STORE_USED, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (used < 0)
        return error_sys(err, errno, "cannot make \"%s\"", STORE_USED);
    return store_record_write_rootfs(tmp->fd, b->w->image, bytes, sums, err);
}

static int build_flat(struct build *b, struct store_tmp *tmp, struct error *err)
{
    _cleanup_close_ int root = -1;
    struct digest sums;
    uint64_t bytes = 0;

    if (mkdirat(tmp->fd, STORE_ROOT, 0755) == 0)
        root = openat(tmp->fd, STORE_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_sys(err, errno, "cannot make a directory in the store");
    if (compose_all(b, root, &bytes, err) < 0 ||
        rootsums_write(&b->sums, root, tmp->fd, &b->w->progress, &sums, err) < 0)
        return -1;
    return write_record(b, tmp, bytes, &sums, err);
}

static int count_bytes(struct build *b, uint64_t *bytes, struct error *err)
{
    size_t i;

    for (i = 0; i < b->w->image->n_layers; i++) {
        struct store_layer_record record = {0};
        int rc = store_record_check_layer(b->w->store, &b->w->image->layers[i].diff_id,
                                          &record, err);

        if (rc != 0)
            return rc < 0 ? -1
                          : error_fail(err,
                                       "layer %zu vanished from the store; start "
                                       "again",
                                       i + 1);
        *bytes += record.bytes;
    }
    return 0;
}

/* 0; 1: it has to be composed. */
static int build_merged(struct build *b, struct store_tmp *tmp, struct error *err)
{
    _cleanup_(roottree_release) struct roottree tree = ROOTTREE_INIT;
    const struct image *img = b->w->image;
    const char *why = NULL;
    uint64_t bytes = 0;
    int rc;

    if (!b->w->store->overlay)
        return 1;
    rc = store_overlay_plan(b->w->store, img, &tree, &why, err);
    if (rc != 0) {
        if (rc == 1)
            log_debug("\"%s\" is composed from its layers: %s", img->reference, why);
        return rc;
    }
    if (count_bytes(b, &bytes, err) < 0 ||
        store_overlay_write(tmp->fd, img, &tree, err) < 0)
        return -1;
    return write_record(b, tmp, bytes, NULL, err);
}

/* A network file system may forget what it has promised, within a boot of the node, and
 * users cannot mark what is in the site's store: these wait for the disk. */
static int mark(struct build *b, int dirfd, struct error *err)
{
    struct store *s = b->w->store;

    return s->shared || s->network ? store_boot_sync_all(s, b->w->image, dirfd, err)
                                   : store_boot_mark(dirfd, err);
}

static int build_rootfs(struct build *b, struct error *err)
{
    struct store_work *w = b->w;
    struct store_tmp tmp = STORE_TMP_INIT;
    int rc;

    if (store_tmp_new(w->store, &tmp, err) < 0)
        return -1;
    rc = build_merged(b, &tmp, err);
    if (rc == 1)
        rc = build_flat(b, &tmp, err);
    if (rc == 0)
        rc = mark(b, tmp.fd, err);
    if (rc == 0)
        rc = store_tmp_publish(w->store, &tmp, w->store->rootfs_fd, w->image->id.hex,
                               err);
    store_tmp_discard(w->store, &tmp);
    return rc;
}

/* The locks, and after a full disk also the layers that were good but only take space.
 */
static void let_go(struct build *b, bool full)
{
    const struct image *img = b->w->image;
    size_t i;

    for (i = 0; i < img->n_layers; i++)
        lockfile_release(&b->locks[i]);
    for (i = 0; full && i < img->n_layers; i++)
        if (b->extracted[i])
            store_layer_drop(b->w->store, &img->layers[i].diff_id);
    free(b->locks);
    free(b->extracted);
    source_release(&b->src);
    rootsums_release(&b->sums);
    cleanup_closep(&b->spool);
}

int store_build(struct store_work *w, struct error *err)
{
    struct build b = {.w = w, .src = SOURCE_INIT, .sums = ROOTSUMS_INIT, .spool = -1};
    size_t i, n = w->image->n_layers;
    int rc;

    b.locks = calloc(n, sizeof(*b.locks));
    b.extracted = calloc(n, sizeof(*b.extracted));
    if (!b.locks || !b.extracted) {
        free(b.locks);
        free(b.extracted);
        return error_oom(err);
    }
    for (i = 0; i < n; i++)
        b.locks[i].fd = -1;
    rc = ensure_layers(&b, err);
    if (rc == 0)
        rc = build_rootfs(&b, err);
    let_go(&b, rc < 0 && (err->errnum == ENOSPC || err->errnum == EDQUOT || b.refused));
    return rc;
}
