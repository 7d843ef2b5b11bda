/* Verification: is every tree still what was extracted?
 *
 * Each file is read once: the files of a root filesystem are mostly links into its
 * layers and known by their numbers then. A damaged layer is removed before the images
 * made of it; should this verification be killed in between, the next one reads their
 * files, which are no layer's any more, and finds the same. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/store_catalog.h"
#include "image/store_private.h"
#include "image/treesum.h"

#define PROBLEMS_MAX 10

struct verification {
    struct store *s;
    const struct image_progress *progress;
    struct store_catalog c;
    struct store_verified *out;
    struct treesum_inodes
        read; /* the layers' files: root filesystems are links to them */
    uint64_t done;
};

void store_verified_release(struct store_verified *v)
{
    size_t i;

    for (i = 0; i < v->n; i++) {
        free(v->damaged[i].name);
        strv_release(&v->damaged[i].problems);
    }
    free(v->damaged);
    *v = (struct store_verified)STORE_VERIFIED_INIT;
}

static void add_problem(void *arg, char *text)
{
    struct store_damage *d = arg;

    d->n_problems++;
    if (d->n_problems <= PROBLEMS_MAX)
        strv_take(&d->problems, text);
    else
        free(text);
}

/* The entry's directory against what it has to be; differences go to d. */
static int check_tree(struct verification *v, int dir, const struct store_content *c,
                      struct store_damage *d, struct error *err)
{
    struct treesum_options o = {.known = d->layer ? NULL : &v->read,
                                .learn = d->layer ? &v->read : NULL,
                                .tolerant = true,
                                .progress = v->progress};
    struct error ignored = ERROR_INIT;
    int rc = store_boot_check(dir, c, &o, add_problem, d, err);

    v->out->bytes += o.bytes;
    /* of another boot: the next launch need not read it again */
    if (rc == 0 && !store_boot_counts(dir))
        store_boot_mark(dir, &ignored);
    return rc < 0 ? -1 : 0;
}

/* Takes d over when it has problems. */
static int keep_damage(struct verification *v, struct store_damage *d,
                       struct error *err)
{
    struct store_damage *more;
    int rc = strv_check(&d->problems, err);

    more = rc == 0 && d->n_problems
               ? realloc(v->out->damaged, (v->out->n + 1) * sizeof(*more))
               : NULL;
    if (more) {
        v->out->damaged = more;
        more[v->out->n++] = *d;
        return 0;
    }
    free(d->name);
    strv_release(&d->problems);
    if (rc == 0 && d->n_problems)
        rc = error_oom(err);
    return rc;
}

static int step(struct verification *v, struct error *err)
{
    progress_update(v->progress, "verify", v->done++, v->c.n_layers + v->c.n_images);
    return progress_check(v->progress, err);
}

static int check_layer(struct verification *v, struct catalog_layer *l,
                       struct error *err)
{
    _cleanup_free_ char *name = str_printf("layer-%s.lock", l->id.hex);
    struct store_damage d = {.id = l->id, .layer = true};
    struct store_layer_record record = {0};
    struct store_content content = {.tree = STORE_TREE, .notes = &record.notes};
    struct lockfile lock = LOCKFILE_INIT;
    _cleanup_close_ int dir = -1;
    int rc;

    if (!name)
        return error_oom(err);
    if (step(v, err) < 0)
        return -1;
    rc = lockfile_try(&lock, v->s->locks_fd, name, false, err);
    if (rc == 0)
        dir = openat(v->s->layers_fd, l->id.hex,
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* Busy: it is being extracted. Without a record: a leftover, which nobody uses. */
    if (dir >= 0 && store_record_read_layer(dir, &l->id, &record) == 0) {
        v->out->layers++;
        content.sums = record.sums;
        rc = check_tree(v, dir, &content, &d, err);
    }
    lockfile_release(&lock);
    l->bad = d.n_problems > 0;
    if (keep_damage(v, &d, err) < 0)
        return -1;
    return rc < 0 ? -1 : 0;
}

static void check_parts(struct verification *v, const struct catalog_image *i,
                        struct store_damage *d)
{
    size_t k;

    for (k = 0; k < i->layers.count; k++) {
        const struct catalog_layer *l = store_catalog_layer(&v->c, i->layers.items[k]);

        if (!l || l->bad)
            add_problem(d, str_printf("its layer sha256:%.12s is %s",
                                      i->layers.items[k], l ? "damaged" : "missing"));
    }
}

static int check_image(struct verification *v, const struct catalog_image *i,
                       struct error *err)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.use", i->e.id.hex);
    struct store_damage d = {.id = i->e.id};
    struct lockfile lock = LOCKFILE_INIT;
    struct store_content content = {.tree = STORE_ROOT};
    _cleanup_close_ int dir = -1;
    int rc;

    if (!name)
        return error_oom(err);
    if (step(v, err) < 0)
        return -1;
    if (!i->e.name)
        return 0;
    d.name = strdup(i->e.name);
    rc =
        d.name ? lockfile_try(&lock, v->s->locks_fd, name, false, err) : error_oom(err);
    if (rc == 0)
        dir = openat(v->s->rootfs_fd, i->e.id.hex,
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0) {
        v->out->images++;
        check_parts(v, i, &d);
        /* of one that was left as layers there is nothing more */
        if (!store_record_sums(dir, &content.sums))
            rc = check_tree(v, dir, &content, &d, err);
    }
    lockfile_release(&lock);
    if (keep_damage(v, &d, err) < 0)
        return -1;
    return rc < 0 ? -1 : 0;
}

static int take_out(struct verification *v, struct store_damage *d, struct error *err)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct store_tmp gone = STORE_TMP_INIT;
    int rc;

    rc = store_lock_entry(v->s, d->layer ? "layer" : "rootfs", d->id.hex,
                          d->layer ? "lock" : "use", &lock, err);
    if (rc == 0)
        rc = store_take_out(v->s, d->layer ? v->s->layers_fd : v->s->rootfs_fd,
                            d->id.hex, &gone, err);
    d->removed = rc == 0;
    lockfile_release(&lock);
    store_tmp_discard(v->s, &gone);
    return rc < 0 ? -1 : 0;
}

/* Sandboxes of an image that was left as layers have the layer itself mounted. Takes
 * the locks of those images: 0; 1 one is in use; -1. */
static int lock_users(struct verification *v, const char *hex, struct lockfile *locks,
                      struct error *err)
{
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < v->c.n_images; i++) {
        const struct catalog_image *image = &v->c.images[i];

        if (image->merged && strv_contains(&image->layers, hex))
            rc = store_lock_entry(v->s, "rootfs", image->e.id.hex, "use", &locks[i],
                                  err);
    }
    return rc;
}

static int remove_entry(struct verification *v, struct store_damage *d,
                        struct error *err)
{
    _cleanup_free_ struct lockfile *locks = calloc(v->c.n_images + 1, sizeof(*locks));
    size_t i;
    int rc;

    if (!d->layer)
        return take_out(v, d, err);
    if (!locks)
        return error_oom(err);
    for (i = 0; i < v->c.n_images; i++)
        locks[i] = (struct lockfile)LOCKFILE_INIT;
    rc = lock_users(v, d->id.hex, locks, err);
    if (rc == 0)
        rc = take_out(v, d, err);
    for (i = 0; i < v->c.n_images; i++)
        lockfile_release(&locks[i]);
    return rc < 0 ? -1 : 0;
}

static int verify(struct verification *v, struct error *err)
{
    size_t i;

    if (store_catalog_load(&v->c, v->s, err) < 0)
        return -1;
    for (i = 0; i < v->c.n_layers; i++)
        if (check_layer(v, &v->c.layers[i], err) < 0)
            return -1;
    treesum_inodes_sort(&v->read);
    for (i = 0; i < v->c.n_images; i++)
        if (check_image(v, &v->c.images[i], err) < 0)
            return -1;
    /* Layers come first in the list. */
    for (i = 0; i < v->out->n; i++)
        if (remove_entry(v, &v->out->damaged[i], err) < 0)
            return -1;
    return 0;
}

int store_verify(struct store *s, const struct image_progress *progress,
                 struct store_verified *out, struct error *err)
{
    struct verification v = {
        .s = s, .progress = progress, .out = out, .c = STORE_CATALOG_INIT};
    int rc;

    *out = (struct store_verified)STORE_VERIFIED_INIT;
    rc = verify(&v, err);
    store_catalog_release(&v.c);
    treesum_inodes_release(&v.read);
    if (rc < 0)
        store_verified_release(out);
    return rc < 0 ? error_context(err, "verifying the node-local store") : 0;
}
