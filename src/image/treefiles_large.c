/* A large file: its pieces are written in their order by whatever thread is free, while
 * the reader goes on. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/blocks.h"
#include "image/treefiles_private.h"
#include "sys/fdio.h"
#include "sys/workpool.h"

struct treefiles_large {
    struct strand strand;
    struct treefiles *files;
    struct treefiles_file file;
    struct contentsum_ctx *sum;
    int fd;       /* -1 before the first piece */
    uint64_t end; /* written so far */
};

struct piece {
    struct strand_item item;
    struct block *block; /* NULL: the end */
    const char *data;
    size_t len;
    uint64_t offset;
    bool complete; /* of the end */
};

static int write_piece(struct treefiles_large *l, const struct piece *p,
                       struct error *err)
{
    if (l->fd < 0) {
        l->fd = treefiles_open(l->files, &l->file, err);
        if (l->fd < 0)
            return -1;
    }
    if (!p->block)
        return 0;
    if (fdio_pwrite_all(l->fd, p->data, p->len, p->offset, err) < 0)
        return -1;
    contentsum_zeros(l->sum, p->offset - l->end);
    contentsum_update(l->sum, p->data, p->len);
    l->end = p->offset + p->len;
    return 0;
}

static int complete(struct treefiles_large *l, struct treesum *sums, struct error *err)
{
    char hex[CONTENTSUM_HEX_LEN + 1];
    bool hole = l->end != l->file.size;

    contentsum_zeros(l->sum, l->file.size - l->end);
    contentsum_final(l->sum, hex);
    if (treefiles_close(l->files, &l->file, steal_fd(&l->fd), hole, err) < 0)
        return -1;
    return treefiles_done(sums, &l->file, hex, err);
}

static void large_free(struct treefiles_large *l)
{
    if (l->fd >= 0)
        close(l->fd);
    contentsum_free(&l->sum);
    treefiles_file_release(&l->file);
    free(l);
}

static void finish(struct treefiles_large *l, bool whole)
{
    struct treefiles *f = l->files;
    struct treesum sums = TREESUM_INIT;
    struct error err = ERROR_INIT;

    if (whole && !atomic_load(&f->failed) && complete(l, &sums, &err) < 0)
        treefiles_fail(f, l->file.path ? l->file.path : "", &err);
    treefiles_add_sums(f, &sums);
    large_free(l);
    treefiles_leave(f);
}

static bool run(struct strand *s, struct strand_item *item)
{
    struct treefiles_large *l = (struct treefiles_large *)s;
    struct piece *p = (struct piece *)item;
    bool last = !p->block, whole = p->complete;
    struct error err = ERROR_INIT;

    if (!atomic_load(&l->files->failed) && write_piece(l, p, &err) < 0)
        treefiles_fail(l->files, l->file.path, &err);
    block_unref(p->block);
    free(p);
    if (last)
        finish(l, whole);
    return !last;
}

int treefiles_large_begin(struct treefiles *f, struct treedir *dir, const char *path,
                          uint64_t size, const struct treefiles_attr *attr,
                          struct error *err)
{
    struct treefiles_large *l = calloc(1, sizeof(*l));

    if (!l)
        return error_oom(err);
    l->fd = -1;
    l->files = f;
    strand_init(&l->strand, f->pool, run);
    l->sum = contentsum_new(err);
    if (!l->sum || treefiles_file_init(&l->file, dir, path, size, attr, err) < 0) {
        large_free(l);
        return -1;
    }
    atomic_fetch_add(&f->outstanding, 1);
    f->large = l;
    return 0;
}

int treefiles_large_data(struct treefiles *f, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err)
{
    struct piece *p = malloc(sizeof(*p));

    if (!p)
        return error_oom(err);
    /* Copies are not counted by the blocks' bound: not more than one at a time. */
    if (!block)
        strand_drain(&f->large->strand);
    *p = (struct piece){.data = data, .len = len, .offset = offset};
    p->block = block ? block_ref(block) : block_of_copy(data, len, err);
    if (!p->block) {
        free(p);
        return -1;
    }
    if (!block)
        p->data = p->block->data;
    strand_push(&f->large->strand, &p->item);
    return 0;
}

void treefiles_large_end(struct treefiles *f, bool complete_file)
{
    struct treefiles_large *l = steal_ptr(f->large);
    struct piece *p = calloc(1, sizeof(*p));
    struct error err = ERROR_INIT;

    if (p) {
        p->complete = complete_file;
        strand_push(&l->strand, &p->item);
        return;
    }
    error_oom(&err);
    treefiles_fail(f, l->file.path, &err);
    strand_drain(&l->strand);
    finish(l, false);
}
