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

struct verification {
    int dirfd;
    const struct lab_manifest *manifest;
    const struct lab_options *opts;
    bool stamps;          /* are asked for */
    atomic_size_t failed; /* first of a part with a failure */
};

struct part {
    struct task task;
    struct verification *v;
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

static int verify_files(const struct verification *v, size_t first, size_t end,
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
    struct verification *v = p->v;
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

static int verify_parts(struct verification *v, struct part *parts, size_t n,
                        struct lab_sources *sources, struct error *err)
{
    unsigned threads = cpus_usable();
    struct workpool *pool;

    threads = threads < THREADS ? THREADS : threads;
    pool = workpool_new(threads < THREADS_MAX ? threads : THREADS_MAX, err);
    if (!pool)
        return -1;
    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct part){.task = {NULL, run}, .v = v, .err = ERROR_INIT};
        parts[i].first = i * PART;
        parts[i].end = (i + 1) * PART < v->manifest->paths.count
                           ? (i + 1) * PART
                           : v->manifest->paths.count;
        workpool_push(pool, &parts[i].task);
    }
    /* joins them, too: whoever forks next has one thread */
    workpool_free(&pool);
    return collect(parts, n, sources, err);
}

int lab_verify(int dirfd, const struct lab_manifest *m, const struct lab_options *opts,
               struct lab_sources *sources, struct error *err)
{
    struct verification v = {
        .dirfd = dirfd, .manifest = m, .opts = opts, .stamps = sources != NULL};
    size_t n = (m->paths.count + PART - 1) / PART;
    _cleanup_free_ struct part *parts = NULL;
    int r;

    atomic_init(&v.failed, SIZE_MAX);
    if (n <= 1)
        return verify_files(&v, 0, m->paths.count, sources, err);
    parts = calloc(n, sizeof(*parts));
    if (!parts)
        return error_oom(err);
    r = verify_parts(&v, parts, n, sources, err);
    for (size_t i = 0; i < n; i++)
        lab_sources_release(&parts[i].sources);
    return r;
}
