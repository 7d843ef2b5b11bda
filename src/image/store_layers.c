/* All layers of one image: found in the store, or extracted, several at a time,
 * verified and published.
 *
 * A process holds several layers' exclusive locks while their extraction is under way
 * and never waits for another lock meanwhile, so that two images with common layers in
 * different orders cannot stop each other: what somebody else works on is left for
 * later, and waited for when nothing else is left to do. */
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/extract.h"
#include "image/source.h"
#include "image/store_private.h"

/* How often a layer that vanishes between two locks is looked for again. */
#define TRIES_MAX 8

enum state { STATE_OPEN, STATE_UNDER_WAY, STATE_HELD };

struct layer_state {
    enum state state;
    int tries;
};

/* A layer that is being extracted. */
struct flight {
    size_t index;
    struct lockfile *lock; /* exclusive; in store_work, NULL: this place is free */
    struct store_tmp tmp;
    struct extract_layer layer;
};

struct ensuring {
    struct store_work *w;
    struct source *src;
    struct lockfile *locks;
    bool *extracted;
    struct layer_state *states;
    struct flight *flights;
    size_t n_flights, under_way, held;
};

static const struct image_layer *layer_of(const struct ensuring *e, size_t index)
{
    return &e->w->image->layers[index];
}

static char *lock_name(const struct ensuring *e, size_t index, struct error *err)
{
    char *name = str_printf("layer-%s.lock", layer_of(e, index)->diff_id.hex);

    if (!name)
        error_oom(err);
    return name;
}

static int layer_error(const struct ensuring *e, size_t index, struct error *err)
{
    return error_context(err, "layer %zu of %zu, \"%.200s\"", index + 1,
                         e->w->image->n_layers, layer_of(e, index)->path);
}

/* Of the shared lock that was just taken: is the layer there? 0 yes, 1 no, or perhaps
 * (unlocked), -1. */
static int look(struct ensuring *e, size_t index, struct error *err)
{
    struct store_layer_record record;
    int rc = store_record_check_layer(e->w->store, &layer_of(e, index)->diff_id,
                                      &record, err);

    if (rc != 0) {
        lockfile_release(&e->locks[index]);
        return rc < 0 ? -1 : 1;
    }
    e->states[index].state = STATE_HELD;
    e->held++;
    return 0;
}

static void end_flight(struct ensuring *e, struct flight *f)
{
    store_tmp_discard(e->w->store, &f->tmp);
    blob_free(&f->layer.blob);
    lockfile_release(f->lock);
    f->lock = NULL;
    e->under_way--;
}

/* The layer's exclusive lock is held: begins with it. */
static int take_off(struct ensuring *e, struct flight *f, struct error *err)
{
    struct store_work *w = e->w;
    struct extract *x = store_work_extract(w, err);

    if (!x || store_tmp_new(w->store, &f->tmp, err) < 0 ||
        store_layer_open(w, e->src, f->index, &f->layer, err) < 0)
        return -1;
    f->layer.caller = f;
    f->layer.dirfd = f->tmp.fd;
    e->states[f->index].state = STATE_UNDER_WAY;
    extract_start(x, &f->layer);
    return 0;
}

static struct flight *free_flight(struct ensuring *e)
{
    size_t i;

    for (i = 0; i < e->n_flights; i++)
        if (!e->flights[i].lock)
            return &e->flights[i];
    return NULL;
}

/* With the layer's exclusive lock: 0 it has to be extracted, 1 it is there (after all;
 * or another boot made it and it is what it was), -1. */
static int is_missing(struct ensuring *e, size_t index, struct error *err)
{
    const struct digest *id = &layer_of(e, index)->diff_id;
    struct store_layer_record record;
    int rc = store_record_check_layer(e->w->store, id, &record, err);

    if (rc == 2)
        rc = store_boot_confirm_layer(e->w->store, id, &e->w->progress, err);
    return rc < 0 ? -1 : rc == 0;
}

/* Nobody has the layer: extract it, unless somebody else begins just now. Turning an
 * exclusive flock into a shared one is not atomic, so the layer is looked for again
 * when it is there. */
static int start(struct ensuring *e, size_t index, const char *name, struct error *err)
{
    struct flight *f = free_flight(e);
    int rc;

    if (++e->states[index].tries > TRIES_MAX)
        return error_fail(err,
                          "it is removed from the store \"%s\" as soon as it is there; "
                          "is another program cleaning it?",
                          e->w->store->path);
    *f = (struct flight){.index = index, .tmp = STORE_TMP_INIT};
    f->lock = &e->w->layer_locks[f - e->flights];
    e->under_way++;
    rc = lockfile_try(f->lock, e->w->store->locks_fd, name, true, err);
    if (rc == 0)
        rc = is_missing(e, index, err);
    if (rc == 0)
        rc = take_off(e, f, err);
    if (rc != 0)
        end_flight(e, f);
    return rc < 0 ? -1 : 0;
}

/* One look at a layer, without waiting for anybody. */
static int try_layer(struct ensuring *e, size_t index, struct error *err)
{
    _cleanup_free_ char *name = lock_name(e, index, err);
    int rc;

    if (!name)
        return -1;
    rc = lockfile_try(&e->locks[index], e->w->store->locks_fd, name, false, err);
    if (rc == 1) {
        lockfile_release(&e->locks[index]);
        return 0;
    }
    if (rc == 0)
        rc = look(e, index, err);
    return rc == 1 ? start(e, index, name, err) : rc;
}

static int try_all(struct ensuring *e, struct error *err)
{
    size_t i;

    for (i = 0; i < e->w->image->n_layers && e->under_way < e->n_flights; i++)
        if (e->states[i].state == STATE_OPEN && try_layer(e, i, err) < 0)
            return layer_error(e, i, err);
    return 0;
}

/* Everything that is left is somebody else's work: wait for the first of it. */
static int wait_for_others(struct ensuring *e, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    size_t i = 0;

    while (e->states[i].state != STATE_OPEN)
        i++;
    name = lock_name(e, i, err);
    if (!name)
        return -1;
    if (store_work_lock(e->w, &e->locks[i], name, false, err) < 0)
        return -1;
    return look(e, i, err) < 0 ? -1 : 0;
}

static int publish(struct ensuring *e, struct flight *f, struct error *err)
{
    const struct image_layer *l = layer_of(e, f->index);
    struct store *s = e->w->store;

    if (f->layer.failed) {
        *err = f->layer.failure;
        return -1;
    }
    if (store_layer_check(l, &f->layer, err) < 0 ||
        store_layer_write_record(e->w, f->tmp.fd, &f->layer, err) < 0 ||
        store_tmp_publish(s, &f->tmp, s->layers_fd, l->diff_id.hex, err) < 0)
        return -1;
    e->extracted[f->index] = true;
    e->w->wrote = true;
    e->w->published += f->layer.plain;
    return 0;
}

static int land(struct ensuring *e, struct error *err)
{
    struct extract_layer *layer = extract_wait(e->w->extract, err);
    struct flight *f = layer ? layer->caller : NULL;
    size_t index;
    int rc;

    if (!f)
        return -1;
    index = f->index;
    e->states[index].state = STATE_OPEN;
    rc = publish(e, f, err);
    end_flight(e, f);
    return rc < 0 ? layer_error(e, index, err) : 0;
}

static int ensure(struct ensuring *e, struct error *err)
{
    while (e->held < e->w->image->n_layers) {
        size_t before = e->held;

        if (try_all(e, err) < 0)
            return -1;
        if (e->under_way > 0) {
            if (land(e, err) < 0)
                return -1;
        } else if (e->held == before && wait_for_others(e, err) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The threads are joined before the directories that they write into are removed. */
static void end(struct ensuring *e)
{
    size_t i;

    store_work_end_extract(e->w);
    for (i = 0; i < e->n_flights; i++)
        if (e->flights[i].lock)
            end_flight(e, &e->flights[i]);
    store_work_set_layer_locks(e->w, NULL, 0);
    free(e->flights);
    free(e->states);
}

int store_layers_ensure(struct store_work *w, struct source *src,
                        struct lockfile *locks, bool *extracted, struct error *err)
{
    struct ensuring e = {.w = w, .src = src, .locks = locks, .extracted = extracted};
    _cleanup_free_ struct lockfile *flying = NULL;
    size_t i;
    int rc;

    e.n_flights = w->total > 0 ? STORE_LAYERS_AHEAD : 1;
    e.states = calloc(w->image->n_layers, sizeof(*e.states));
    e.flights = calloc(e.n_flights, sizeof(*e.flights));
    flying = calloc(e.n_flights, sizeof(*flying));
    if (!e.states || !e.flights || !flying) {
        free(e.flights);
        free(e.states);
        return error_oom(err);
    }
    for (i = 0; i < e.n_flights; i++)
        flying[i].fd = -1;
    store_work_set_layer_locks(w, flying, e.n_flights);
    rc = ensure(&e, err);
    end(&e);
    return rc;
}
