/* All files of a lab's manifest against their digests. Of a large lab, that is tens of
 * thousands of small files on a network file system, where each costs a few round trips
 * and hardly any work: threads that wait at the same time are faster than their number
 * of processors. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "lab/lab.h"
#include "lab/labstamp.h"
#include "lab/metadata.h"
#include "sys/cpus.h"
#include "sys/workpool.h"

#define THREADS 8
#define THREADS_MAX 32
/* What one thread takes at once. */
#define PART 128

struct part;

struct lab_verification {
    int dirfd;
    const struct lab_manifest *manifest;
    const struct lab_options *opts;
    bool stamps;          /* are asked for */
    atomic_size_t failed; /* first of a part with a failure */
    size_t n_parts;
    struct part *parts; /* NULL: one, which needs no thread */
    struct workpool *pool;
};

struct part {
    struct task task;
    struct lab_verification *v;
    size_t first, end; /* of the manifest's files */
    struct lab_sources sources;
    struct error err; /* class ERROR_NONE: there is none */
};

/* A layer is checked while it is extracted, against the diff_id of the image's config,
 * which is checked here; reading gigabytes at every launch would find nothing more. */
static bool is_layer(const char *path)
{
    static const char dir_suffix[] = "/layer.tar", file_suffix[] = "-layer.tar";
    size_t n = strlen(path);

    if (strncmp(path, "images/", 7) == 0)
        return n > strlen(dir_suffix) &&
               strcmp(path + n - strlen(dir_suffix), dir_suffix) == 0;
    return strncmp(path, "store/", 6) == 0 && n > strlen(file_suffix) &&
           strcmp(path + n - strlen(file_suffix), file_suffix) == 0;
}

static int verify_files(const struct lab_verification *v, size_t first, size_t end,
                        struct lab_sources *sources, struct error *err)
{
    const struct lab_manifest *m = v->manifest;

    for (size_t i = first; i < end; i++)
        if (!is_layer(m->paths.items[i]) &&
            lab_verify_file(v->dirfd, m->paths.items[i], m->sha256.items[i], v->opts,
                            sources, err) < 0)
            return -1;
    return 0;
}

/* After a failure what comes behind it tells nothing new. */
static void run(struct task *t)
{
    struct part *p = (struct part *)t;
    struct lab_verification *v = p->v;
    size_t before = atomic_load(&v->failed);

    if (before < p->first ||
        verify_files(v, p->first, p->end, v->stamps ? &p->sources : NULL, &p->err) == 0)
        return;
    while (p->first < before &&
           !atomic_compare_exchange_weak(&v->failed, &before, p->first))
        ;
}

/* The first failure in the manifest's order; the stamps in that order. */
static int collect(struct part *parts, size_t n, struct lab_sources *sources,
                   struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct lab_stamps *files = &parts[i].sources.files;

        if (parts[i].err.class != ERROR_NONE) {
            *err = parts[i].err;
            return -1;
        }
        if (!sources)
            continue;
        sources->unstable |= parts[i].sources.unstable;
        for (size_t k = 0; k < files->n; k++)
            lab_stamps_add(&sources->files, files->items[k].path, &files->items[k]);
    }
    return sources && sources->files.failed ? error_oom(err) : 0;
}

static int start_parts(struct lab_verification *v, struct error *err)
{
    unsigned threads = cpus_usable();
    size_t files = v->manifest->paths.count;

    v->parts = calloc(v->n_parts, sizeof(*v->parts));
    if (!v->parts)
        return error_oom(err);
    threads = threads < THREADS ? THREADS : threads;
    v->pool = workpool_new(threads < THREADS_MAX ? threads : THREADS_MAX, err);
    if (!v->pool)
        return -1;
    for (size_t i = 0; i < v->n_parts; i++) {
        struct part *p = &v->parts[i];

        *p = (struct part){.task = {NULL, run}, .v = v, .err = ERROR_INIT};
        p->first = i * PART;
        p->end = (i + 1) * PART < files ? (i + 1) * PART : files;
        workpool_push(v->pool, &p->task);
    }
    return 0;
}

static void release(struct lab_verification *v)
{
    workpool_free(&v->pool);
    for (size_t i = 0; v->parts && i < v->n_parts; i++)
        lab_sources_release(&v->parts[i].sources);
    free(v->parts);
    free(v);
}

struct lab_verification *lab_verify_start(int dirfd, const struct lab_manifest *m,
                                          const struct lab_options *opts, bool stamps,
                                          struct error *err)
{
    struct lab_verification *v = calloc(1, sizeof(*v));

    if (!v) {
        error_oom(err);
        return NULL;
    }
    *v = (struct lab_verification){
        .dirfd = dirfd, .manifest = m, .opts = opts, .stamps = stamps};
    atomic_init(&v->failed, SIZE_MAX);
    v->n_parts = (m->paths.count + PART - 1) / PART;
    if (v->n_parts <= 1 || start_parts(v, err) == 0)
        return v;
    release(v);
    return NULL;
}

int lab_verify_finish(struct lab_verification *v, struct lab_sources *sources,
                      struct error *err)
{
    int r;

    /* joins them, too: whoever forks next has one thread */
    workpool_free(&v->pool);
    if (v->parts)
        r = collect(v->parts, v->n_parts, sources, err);
    else
        r = verify_files(v, 0, v->manifest->paths.count, sources, err);
    release(v);
    return r;
}
