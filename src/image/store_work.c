/* One preparation under way: how others see it, and how it waits for others. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "image/extract.h"
#include "image/store_private.h"
#include "sys/fdio.h"
#include "sys/process.h"

#define NOTE_EVERY_NS ((uint64_t)200 * 1000 * 1000)
#define POLL_FIRST_NS ((long)1 * 1000 * 1000)
#define POLL_MAX_NS ((long)16 * 1000 * 1000)
#define MB ((uint64_t)1000 * 1000)
#define GB (1000 * MB)
/* By how much a guess that was too low is raised: by a quarter. */
#define GUESS_STEP 4
#define TELL_AFTER_NS ((uint64_t)1000 * 1000 * 1000)

/* The holder's note: "<pid> <host> <done> <total> <image>". */
static void write_note(struct store_work *w)
{
    _cleanup_free_ char *host = process_hostname();
    _cleanup_free_ char *note = NULL;
    struct error ignored = ERROR_INIT;
    size_t i;

    note = str_printf("%ld %s %llu %llu %s", (long)getpid(),
                      host && host[0] ? host : "?", (unsigned long long)w->done,
                      (unsigned long long)w->total, w->image->reference);
    if (!note)
        return;
    /* Only a courtesy: a full disk must not stop the work here. */
    if (w->lock.fd >= 0)
        lockfile_note_write(&w->lock, note, &ignored);
    for (i = 0; i < w->n_layer_locks; i++)
        if (w->layer_locks[i].fd >= 0)
            lockfile_note_write(&w->layer_locks[i], note, &ignored);
}

static void update(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    struct store_work *w = arg;
    uint64_t now = fdio_monotonic_ns();

    if (strcmp(phase, "extract") == 0) {
        w->done = done;
        if (now - w->last_note >= NOTE_EVERY_NS) {
            w->last_note = now;
            write_note(w);
        }
    }
    progress_update(w->user, phase, done, total);
}

static int cancelled(void *arg)
{
    struct store_work *w = arg;

    return w->user && w->user->cancelled ? w->user->cancelled(w->user->arg) : 0;
}

void store_work_init(struct store_work *w, struct store *store, struct image *image,
                     const struct image_progress *progress)
{
    *w = (struct store_work){.store = store, .image = image, .user = progress};
    w->lock.fd = -1;
    w->progress.update = update;
    w->progress.cancelled = cancelled;
    w->progress.arg = w;
}

struct note {
    char *text; /* owned; the fields point into it */
    const char *pid, *host, *image;
    uint64_t done, total;
};

/* Leaves n empty when there is no note, or not (yet) a whole one. */
static void read_note(const struct lockfile *l, struct note *n)
{
    struct error ignored = ERROR_INIT;
    struct buf text = BUF_INIT;
    char *fields[5], *p;
    size_t i;

    *n = (struct note){0};
    if (lockfile_note_read(l, &text, &ignored) < 0 || text.len == 0) {
        buf_release(&text);
        return;
    }
    n->text = buf_steal(&text);
    p = n->text;
    if (p)
        p[strcspn(p, "\n")] = '\0';
    for (i = 0; p && i < array_size(fields); i++) {
        fields[i] = i + 1 < array_size(fields) ? strsep(&p, " ") : p;
        if (!fields[i])
            break;
    }
    if (i < array_size(fields) || !parse_u64(fields[2], &n->done) ||
        !parse_u64(fields[3], &n->total))
        return;
    n->pid = fields[0];
    n->host = fields[1];
    n->image = fields[4];
}

static void tell_once(struct store_work *w, const struct note *n)
{
    bool big = n->total >= GB;
    double unit = (double)(big ? GB : MB);

    if (!n->image)
        log_info("waiting for another process that works on \"%s\"",
                 w->image->reference);
    else
        log_info("waiting for process %s on %s to extract \"%s\" (%.1f of %.1f %s)",
                 n->pid, n->host, n->image, (double)n->done / unit,
                 (double)n->total / unit, big ? "GB" : "MB");
}

static void tell(struct store_work *w, const struct lockfile *l, uint64_t waited,
                 bool *told)
{
    struct note n;

    read_note(l, &n);
    progress_update(w->user, "wait", n.done, n.total);
    if (!*told && waited >= TELL_AFTER_NS) {
        tell_once(w, &n);
        *told = true;
    }
    free(n.text);
}

int store_work_try(struct store_work *w, struct lockfile *l, const char *name,
                   struct error *err)
{
    int rc = lockfile_try(l, w->store->locks_fd, name, true, err);

    if (rc == 0)
        write_note(w);
    else
        lockfile_release(l);
    return rc;
}

int store_work_lock(struct store_work *w, struct lockfile *l, const char *name,
                    bool exclusive, struct error *err)
{
    struct timespec pause = {0, POLL_FIRST_NS};
    uint64_t start = fdio_monotonic_ns();
    bool told = false;
    int rc;

    rc = lockfile_try(l, w->store->locks_fd, name, exclusive, err);
    /* The kernel releases the lock of a dead holder: waiting has no time limit. */
    while (rc == 1) {
        if (progress_check(&w->progress, err) < 0) {
            rc = -1;
            break;
        }
        tell(w, l, fdio_monotonic_ns() - start, &told);
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < POLL_MAX_NS)
            pause.tv_nsec *= 2;
        rc = lockfile_retry(l, w->store->locks_fd, name, exclusive, err);
    }
    w->waited_ns += fdio_monotonic_ns() - start;
    if (rc < 0)
        lockfile_release(l);
    else if (exclusive)
        write_note(w);
    return rc;
}

void store_work_set_layer_locks(struct store_work *w, struct lockfile *locks, size_t n)
{
    w->layer_locks = locks;
    w->n_layer_locks = n;
}

/* The size of compressed layers was a guess: when more comes out, the room for it is
 * made, or it is too much. */
static int watch(void *arg, uint64_t plain, struct error *err)
{
    struct store_work *w = arg;
    uint64_t more;

    if (plain <= w->needed)
        return 0;
    more = plain / GUESS_STEP + 1;
    w->needed = plain + more;
    return store_space_more(w->store, w->image, plain - w->published, more, err);
}

struct extract *store_work_extract(struct store_work *w, struct error *err)
{
    const struct extract_options options = {
        .progress = &w->progress, .total = w->total, .watch = watch, .arg = w};

    if (!w->extract)
        w->extract = extract_new(&options, err);
    return w->extract;
}

void store_work_end_extract(struct store_work *w)
{
    if (w->extract)
        w->done = extract_stored(w->extract);
    extract_free(&w->extract);
}
