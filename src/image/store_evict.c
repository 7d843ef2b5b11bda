/* Eviction: what nobody uses makes room, the longest unused image first.
 *
 * A launch takes its image's .use lock shared before it looks for the tree, and an
 * eviction takes it exclusively before the tree is renamed away: a launch either finds
 * the whole tree and keeps it, or finds none and makes it again. A layer's lock is
 * shared by the builds that need it, and a build publishes its record before it lets go
 * of it, so that records looked at under the exclusive lock are complete. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/store_catalog.h"
#include "image/store_private.h"
#include "sys/pathfd.h"

/* `cache list` takes each .use lock for an instant to see whether it is free. */
#define BUSY_RETRIES 4
#define BUSY_PAUSE_NS 1000000L

struct eviction {
    struct store *s;
    const struct store_prune *goal;
    struct store_catalog c;
    struct store_pruned *out;
};

void store_pruned_release(struct store_pruned *p)
{
    size_t i;

    for (i = 0; i < p->n; i++)
        free(p->items[i].name);
    free(p->items);
    *p = (struct store_pruned)STORE_PRUNED_INIT;
}

int store_lock_entry(struct store *s, const char *kind, const char *hex,
                     const char *suffix, struct lockfile *l, struct error *err)
{
    _cleanup_free_ char *name = str_printf("%s-%s.%s", kind, hex, suffix);
    const struct timespec pause = {0, BUSY_PAUSE_NS};
    int i, rc;

    if (!name)
        return error_oom(err);
    rc = lockfile_try(l, s->locks_fd, name, true, err);
    for (i = 0; rc == 1 && i < BUSY_RETRIES; i++) {
        nanosleep(&pause, NULL);
        rc = lockfile_retry(l, s->locks_fd, name, true, err);
    }
    if (rc != 0)
        lockfile_release(l);
    return rc;
}

/* Not even a directory can be made: without its record the entry does not exist, so
 * that may go first, and the tree where it is. */
static int remove_in_place(struct store *s, int dirfd, const char *hex,
                           struct error *err)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && unlinkat(fd, STORE_RECORD, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove \"%s\" from the store \"%s\"", hex,
                         s->path);
    return pathfd_remove_tree(dirfd, hex, err);
}

int store_take_out(struct store *s, int dirfd, const char *hex, struct store_tmp *t,
                   struct error *err)
{
    struct error full = ERROR_INIT;

    if (store_tmp_new(s, t, &full) < 0)
        return remove_in_place(s, dirfd, hex, err);
    if (renameat(dirfd, hex, t->fd, "gone") < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove \"%s\" from the store \"%s\"", hex,
                         s->path);
    return 0;
}

static bool reached(const struct eviction *e)
{
    uint64_t bytes, inodes;

    if (e->goal->all || e->c.bytes > e->goal->max_size ||
        e->out->bytes < e->goal->min_freed)
        return false;
    if (e->goal->min_free == 0 || store_space_free(e->s, &bytes, &inodes) < 0)
        return true;
    return bytes + (e->goal->dry_run ? e->out->bytes : 0) >= e->goal->min_free;
}

/* The catalog has it, with its layers. */
static bool is_known(void *arg, const char *rootfs)
{
    const struct eviction *e = arg;
    size_t i;

    for (i = 0; i < e->c.n_images; i++)
        if (!e->c.images[i].gone && strcmp(e->c.images[i].e.id.hex, rootfs) == 0)
            break;
    return i < e->c.n_images && e->c.images[i].e.name;
}

/* Does a root filesystem name the layer that was published after the catalog was made?
 */
static int named_since(struct eviction *e, const char *hex, struct error *err)
{
    return store_record_names_layer_but(e->s, hex, is_known, e, err);
}

static int evict_layer(struct eviction *e, struct catalog_layer *l, struct error *err)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct store_tmp gone = STORE_TMP_INIT;
    int rc;

    if (l->gone || l->keep || l->users > 0)
        return 0;
    rc = store_lock_entry(e->s, "layer", l->id.hex, "lock", &lock, err);
    if (rc == 0 && !e->goal->dry_run) {
        rc = named_since(e, l->id.hex, err);
        if (rc == 0)
            rc = store_take_out(e->s, e->s->layers_fd, l->id.hex, &gone, err);
    }
    lockfile_release(&lock);
    store_tmp_discard(e->s, &gone);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    l->gone = true;
    e->c.bytes -= l->bytes;
    e->out->bytes += l->bytes;
    e->out->layers++;
    return 0;
}

static int note_gone(struct eviction *e, struct catalog_image *i, struct error *err)
{
    struct store_gone *more;

    more = realloc(e->out->items, (e->out->n + 1) * sizeof(*more));
    if (!more)
        return error_oom(err);
    e->out->items = more;
    more[e->out->n++] = (struct store_gone){
        .id = i->e.id, .name = i->e.name, .bytes = i->e.bytes, .used = i->e.used};
    i->e.name = NULL;
    return 0;
}

static int evict_image(struct eviction *e, struct catalog_image *i, struct error *err)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct store_tmp gone = STORE_TMP_INIT;
    size_t k;
    int rc;

    rc = store_lock_entry(e->s, "rootfs", i->e.id.hex, "use", &lock, err);
    i->busy = rc == 1;
    if (rc == 0 && !e->goal->dry_run)
        rc = store_take_out(e->s, e->s->rootfs_fd, i->e.id.hex, &gone, err);
    lockfile_release(&lock);
    store_tmp_discard(e->s, &gone);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    i->gone = true;
    if (note_gone(e, i, err) < 0)
        return -1;
    for (k = 0; k < i->layers.count; k++) {
        struct catalog_layer *l = store_catalog_layer(&e->c, i->layers.items[k]);

        if (!l)
            continue;
        l->users--;
        if (evict_layer(e, l, err) < 0)
            return -1;
    }
    return 0;
}

static int evict_until_reached(struct eviction *e, struct error *err)
{
    size_t i;

    /* Leftovers first: a record that is nobody's must not keep a layer. */
    for (i = 0; i < e->c.n_images && !reached(e); i++)
        if (!e->c.images[i].e.name && evict_image(e, &e->c.images[i], err) < 0)
            return -1;
    for (i = 0; i < e->c.n_layers && !reached(e); i++)
        if (evict_layer(e, &e->c.layers[i], err) < 0)
            return -1;
    for (i = 0; i < e->c.n_images && !reached(e); i++)
        if (e->c.images[i].e.name && evict_image(e, &e->c.images[i], err) < 0)
            return -1;
    return 0;
}

static void count_in_use(struct eviction *e)
{
    size_t i, k;

    e->out->left = e->c.bytes;
    for (i = 0; i < e->c.n_images; i++)
        for (k = 0; e->c.images[i].busy && k < e->c.images[i].layers.count; k++) {
            struct catalog_layer *l =
                store_catalog_layer(&e->c, e->c.images[i].layers.items[k]);

            if (!l || l->held || l->gone)
                continue;
            l->held = true;
            e->out->in_use += l->bytes;
        }
}

static void remove_leftovers(struct eviction *e)
{
    struct error failed = ERROR_INIT;

    if (!e->goal->dry_run &&
        store_leftovers_remove(e->s, &e->out->leftovers, &failed) < 0)
        log_warn("cannot remove what old images left: %s", failed.text);
}

int store_evict(struct store *s, const struct store_prune *goal,
                const struct image *keep, struct store_pruned *out, struct error *err)
{
    struct eviction e = {.s = s, .goal = goal, .out = out, .c = STORE_CATALOG_INIT};
    struct lockfile one = LOCKFILE_INIT;
    size_t i;
    int rc;

    *out = (struct store_pruned)STORE_PRUNED_INIT;
    if (lockfile_take(&one, s->locks_fd, "evict.lock", true, err) < 0)
        return -1;
    rc = store_catalog_load(&e.c, s, err);
    for (i = 0; rc == 0 && keep && i < keep->n_layers; i++) {
        struct catalog_layer *l =
            store_catalog_layer(&e.c, keep->layers[i].diff_id.hex);

        if (l)
            l->keep = true;
    }
    if (rc == 0)
        rc = evict_until_reached(&e, err);
    if (rc == 0) {
        remove_leftovers(&e);
        count_in_use(&e);
    }
    store_catalog_release(&e.c);
    lockfile_release(&one);
    if (rc < 0)
        store_pruned_release(out);
    return rc < 0 ? error_context(err, "making room in the node-local store") : 0;
}

int store_prune(struct store *s, const struct store_prune *goal,
                struct store_pruned *out, struct error *err)
{
    return store_evict(s, goal, NULL, out, err);
}
