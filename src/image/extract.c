#include "image/extract.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "image/blocks.h"
#include "image/hashstrand.h"
#include "image/layerstream.h"
#include "image/source.h"
#include "image/treewriter.h"
#include "image/unpack.h"
#include "sys/cpus.h"

/* More threads than this only wait for each other in the file system. */
#define THREADS_MAX 16
/* A thread's share of the blocks: 8 MiB. What is not a block (names, lines for
 * verification) grows with the number of entries, not with their size; a decompressor
 * takes what DECODER_MEMORY_MAX allows. */
#define BLOCKS_EACH 32
#define LOOK_EVERY_MS 50
/* Layers that wait for a thread, so that none waits for the caller. */
#define LAYERS_AHEAD 2

struct extract {
    struct extract_options options;
    struct workpool *pool;
    struct blocks *blocks;
    struct hashmates *mates;
    struct layerstream_count count;
    atomic_bool stop;
    struct extract_layer *done; /* guarded by the pool */
};

struct extract *extract_new(const struct extract_options *options, struct error *err)
{
    struct extract *x = calloc(1, sizeof(*x));
    unsigned threads = cpus_usable();

    if (!x) {
        error_oom(err);
        return NULL;
    }
    x->options = *options;
    x->pool = workpool_new(threads < THREADS_MAX ? threads : THREADS_MAX, err);
    if (x->pool)
        x->blocks = blocks_new(BLOCKS_EACH * workpool_threads(x->pool), x->pool, err);
    if (x->blocks)
        x->mates = hashmates_new(x->pool, err);
    if (!x->mates)
        extract_free(&x);
    return x;
}

void extract_free(struct extract **extract)
{
    struct extract *x = *extract;

    if (!x)
        return;
    atomic_store(&x->stop, true);
    workpool_free(&x->pool);
    hashmates_free(&x->mates);
    blocks_free(&x->blocks);
    free(x);
    *extract = NULL;
}

size_t extract_ahead(const struct extract *x)
{
    return workpool_threads(x->pool) + LAYERS_AHEAD;
}

uint64_t extract_stored(const struct extract *x)
{
    return atomic_load_explicit(&x->count.stored, memory_order_relaxed);
}

static int is_stopped(void *arg)
{
    const struct extract *x = arg;

    return atomic_load_explicit(&x->stop, memory_order_relaxed);
}

static int make_tree(const struct extract_layer *l, struct error *err)
{
    _cleanup_close_ int tree = -1;

    if (mkdirat(l->dirfd, l->tree, 0700) < 0)
        return error_sys(err, errno, "cannot make a directory in the store");
    tree = openat(l->dirfd, l->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree < 0)
        return error_sys(err, errno, "cannot open a directory of the store");
    /* 0755 is what an image has whose layers do not say more about their root; this
     * also takes a setgid bit away that directories would inherit. */
    if (fchmod(tree, 0755) < 0)
        return error_sys(err, errno, "cannot set a directory's mode");
    return steal_fd(&tree);
}

static int write_sums(struct extract_layer *l, struct treewriter *writer,
                      struct error *err)
{
    const struct image_progress stop = {.cancelled = is_stopped, .arg = l->extract};
    _cleanup_(treesum_release) struct treesum sums = TREESUM_INIT;

    if (treewriter_sums(writer, &sums, &stop, err) < 0 ||
        treesum_write(&sums, l->dirfd, &l->sums, err) < 0)
        return error_context(err, "the checksums");
    return 0;
}

static int extract_into(struct extract_layer *l, struct layerstream *ls,
                        struct treewriter *writer, struct error *err)
{
    if (unpack(ls, writer, err) < 0 ||
        layerstream_finish(ls, &l->diff_id, &l->blob_digest, err) < 0 ||
        layernotes_write(&writer->notes, l->dirfd, &l->notes, err) < 0 ||
        write_sums(l, writer, err) < 0)
        return -1;
    l->bytes = writer->bytes;
    l->stored = layerstream_bytes(ls);
    l->plain = layerstream_plain_bytes(ls);
    l->entries = writer->entries;
    l->skipped = writer->skipped;
    return 0;
}

static int extract_layer(struct extract_layer *l, struct error *err)
{
    struct extract *x = l->extract;
    const struct layerstream_options options = {.hash_blob = l->hash_blob,
                                                .mates = x->mates,
                                                .blocks = x->blocks,
                                                .stop = &x->stop,
                                                .count = &x->count};
    _cleanup_(layerstream_free) struct layerstream *ls = NULL;
    _cleanup_close_ int tree = -1;
    struct treewriter writer;
    int rc;

    ls = layerstream_new(steal_ptr(l->blob), &options, err);
    if (!ls)
        return -1;
    tree = make_tree(l, err);
    if (tree < 0)
        return -1;
    treewriter_init(&writer, tree);
    treewriter_use_pool(&writer, x->pool);
    writer.for_everybody = l->for_everybody;
    rc = extract_into(l, ls, &writer, err);
    treewriter_release(&writer);
    return rc;
}

static void add_done(void *arg)
{
    struct extract_layer *l = arg, **end = &l->extract->done;

    while (*end)
        end = &(*end)->next;
    l->next = NULL;
    *end = l;
}

static void run(struct task *t)
{
    struct extract_layer *l = (struct extract_layer *)t;

    l->failed = extract_layer(l, &l->failure) < 0;
    workpool_change(l->extract->pool, add_done, l);
}

void extract_start(struct extract *x, struct extract_layer *l)
{
    l->task = (struct task){NULL, run};
    l->extract = x;
    l->failure = (struct error)ERROR_INIT;
    workpool_push_long(x->pool, &l->task);
}

static bool is_done(void *arg)
{
    const struct extract *x = arg;

    return x->done != NULL;
}

struct taken {
    struct extract *x;
    struct extract_layer *layer;
};

static void take_done(void *arg)
{
    struct taken *t = arg;

    t->layer = t->x->done;
    t->x->done = t->layer->next;
}

static int look(struct extract *x, struct error *err)
{
    const struct extract_options *o = &x->options;

    progress_update(o->progress, "extract", extract_stored(x), o->total);
    if (progress_check(o->progress, err) < 0)
        return -1;
    return o->watch
               ? o->watch(o->arg,
                          atomic_load_explicit(&x->count.plain, memory_order_relaxed),
                          err)
               : 0;
}

struct extract_layer *extract_wait(struct extract *x, struct error *err)
{
    struct taken t = {x, NULL};
    bool done;

    do {
        done = workpool_watch(x->pool, is_done, x, LOOK_EVERY_MS);
        if (look(x, err) < 0)
            return NULL;
    } while (!done);
    workpool_change(x->pool, take_done, &t);
    return t.layer;
}
