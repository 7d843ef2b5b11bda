/* Small files, a few dozen at a time: what a thread takes at once. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/blocks.h"
#include "image/treefiles_private.h"
#include "sys/fdio.h"
#include "sys/workpool.h"

#define FILES_MAX 64
#define BYTES_MAX BLOCK_SIZE

/* Data of one file that lies in one piece. */
struct span {
    const char *data;
    size_t len;
    uint64_t offset;
};

struct small_file {
    struct treefiles_file file;
    size_t first, n; /* its spans */
};

struct treefiles_batch {
    struct task task;
    struct treefiles *files;
    struct small_file small[FILES_MAX];
    size_t n;
    uint64_t bytes;
    struct span *spans;
    size_t n_spans, cap_spans;
    struct block **blocks; /* that the spans are in */
    size_t n_blocks, cap_blocks;
};

static void batch_free(struct treefiles_batch *b)
{
    size_t i;

    for (i = 0; i < b->n; i++)
        treefiles_file_release(&b->small[i].file);
    for (i = 0; i < b->n_blocks; i++)
        block_unref(b->blocks[i]);
    free(b->blocks);
    free(b->spans);
    free(b);
}

static int write_spans(const struct treefiles_batch *b, const struct small_file *s,
                       int fd, struct contentsum_ctx *sum, struct error *err)
{
    uint64_t end = 0;
    size_t i;

    for (i = s->first; i < s->first + s->n; i++) {
        const struct span *p = &b->spans[i];

        if (fdio_pwrite_all(fd, p->data, p->len, p->offset, err) < 0)
            return -1;
        contentsum_zeros(sum, p->offset - end);
        contentsum_update(sum, p->data, p->len);
        end = p->offset + p->len;
    }
    contentsum_zeros(sum, s->file.size - end);
    return end != s->file.size;
}

static int make_small(const struct treefiles_batch *b, struct small_file *s,
                      struct contentsum_ctx *sum, struct treesum *sums,
                      struct error *err)
{
    char hex[CONTENTSUM_HEX_LEN + 1] = "";
    int fd = treefiles_open(b->files, &s->file, err), rc;

    if (fd < 0)
        return -1;
    contentsum_begin(sum);
    rc = write_spans(b, s, fd, sum, err);
    if (rc < 0) {
        close(fd);
        return -1;
    }
    if (treefiles_close(b->files, &s->file, fd, rc == 1, err) < 0)
        return -1;
    if (s->file.size > 0)
        contentsum_final(sum, hex);
    return treefiles_done(sums, &s->file, hex, err);
}

static void run(struct task *t)
{
    struct treefiles_batch *b = (struct treefiles_batch *)t;
    struct treefiles *f = b->files;
    struct treesum sums = TREESUM_INIT;
    struct error err = ERROR_INIT;
    struct contentsum_ctx *sum = contentsum_new(&err);
    size_t i;

    if (!sum)
        treefiles_fail(f, b->small[0].file.path, &err);
    for (i = 0; i < b->n && !atomic_load(&f->failed); i++)
        if (make_small(b, &b->small[i], sum, &sums, &err) < 0)
            treefiles_fail(f, b->small[i].file.path ? b->small[i].file.path : "", &err);
    contentsum_free(&sum);
    treefiles_add_sums(f, &sums);
    batch_free(b);
    treefiles_leave(f);
}

bool treefiles_batch_is_full(const struct treefiles *f)
{
    const struct treefiles_batch *b = f->batch;

    return b && (b->n == FILES_MAX || b->bytes >= BYTES_MAX);
}

int treefiles_batch_begin(struct treefiles *f, struct treedir *dir, const char *path,
                          uint64_t size, const struct treefiles_attr *attr,
                          struct error *err)
{
    struct treefiles_batch *b = f->batch;
    struct small_file *s;

    if (!b) {
        b = calloc(1, sizeof(*b));
        if (!b)
            return error_oom(err);
        b->task.run = run;
        b->files = f;
        f->batch = b;
    }
    s = &b->small[b->n];
    if (treefiles_file_init(&s->file, dir, path, size, attr, err) < 0)
        return -1;
    s->first = b->n_spans;
    s->n = 0;
    b->bytes += size;
    b->n++;
    return 0;
}

/* The batch's own reference to the block; the last one is often the same. */
static int hold(struct treefiles_batch *b, struct block *block, struct error *err)
{
    if (b->n_blocks > 0 && b->blocks[b->n_blocks - 1] == block)
        return 0;
    if (b->n_blocks == b->cap_blocks) {
        size_t cap = b->cap_blocks ? 2 * b->cap_blocks : 4;
        struct block **more = realloc(b->blocks, cap * sizeof(*more));

        if (!more)
            return error_oom(err);
        b->blocks = more;
        b->cap_blocks = cap;
    }
    b->blocks[b->n_blocks++] = block_ref(block);
    return 0;
}

/* Data that the reader will overwrite, in memory of its own that looks like a block. */
static int keep_copy(struct treefiles_batch *b, const void **data, size_t len,
                     struct error *err)
{
    struct block *copy;
    int rc;

    copy = block_of_copy(*data, len, err);
    if (!copy)
        return -1;
    *data = copy->data;
    rc = hold(b, copy, err);
    block_unref(copy);
    return rc;
}

int treefiles_batch_data(struct treefiles *f, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err)
{
    struct treefiles_batch *b = f->batch;

    if (b->n_spans == b->cap_spans) {
        size_t cap = b->cap_spans ? 2 * b->cap_spans : 64;
        struct span *more = realloc(b->spans, cap * sizeof(*more));

        if (!more)
            return error_oom(err);
        b->spans = more;
        b->cap_spans = cap;
    }
    if (block ? hold(b, block, err) < 0 : keep_copy(b, &data, len, err) < 0)
        return -1;
    b->spans[b->n_spans++] = (struct span){data, len, offset};
    b->small[b->n - 1].n++;
    return 0;
}

void treefiles_batch_push(struct treefiles *f)
{
    struct treefiles_batch *b = steal_ptr(f->batch);

    if (!b)
        return;
    atomic_fetch_add(&f->outstanding, 1);
    if (f->pool)
        workpool_push(f->pool, &b->task);
    else
        run(&b->task);
}

void treefiles_batch_drop(struct treefiles *f)
{
    if (f->batch)
        batch_free(steal_ptr(f->batch));
}
