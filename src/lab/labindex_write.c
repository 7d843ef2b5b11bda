/* The index of a lab that was just read from its JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/labcodec.h"
#include "lab/labindex.h"
#include "lab/labpages.h"
#include "lab/metadata.h"
#include "sys/atomicfile.h"

/* Numbers by job, in one array: those of job i from start[i] to before start[i + 1]. */
struct grouped {
    size_t *start; /* jobs + 1 */
    size_t *items;
};

static void grouped_release(struct grouped *g)
{
    free(g->start);
    free(g->items);
}

/* of[k]: the job of item k, or SIZE_MAX; value[k] or, without value, k goes there. */
static int group(struct grouped *g, size_t n_jobs, const size_t *of,
                 const size_t *value, size_t n)
{
    _cleanup_free_ size_t *next = calloc(n_jobs + 1, sizeof(*next));

    g->start = calloc(n_jobs + 2, sizeof(*g->start));
    g->items = calloc(n + 1, sizeof(*g->items));
    if (!next || !g->start || !g->items)
        return -1;
    for (size_t k = 0; k < n; k++)
        if (of[k] != SIZE_MAX)
            g->start[of[k] + 1]++;
    for (size_t j = 0; j < n_jobs; j++) {
        g->start[j + 1] += g->start[j];
        next[j] = g->start[j];
    }
    for (size_t k = 0; k < n; k++)
        if (of[k] != SIZE_MAX)
            g->items[next[of[k]]++] = value ? value[k] : k;
    return 0;
}

/* The runs of each job, ascending. */
static int group_runs(struct grouped *g, const struct lab *lab)
{
    _cleanup_free_ size_t *of = NULL, *run = NULL;
    size_t n = 0;

    for (size_t r = 0; r < lab->n_runs; r++)
        n += lab->runs[r].n_jobs;
    of = calloc(n + 1, sizeof(*of));
    run = calloc(n + 1, sizeof(*run));
    if (!of || !run)
        return -1;
    n = 0;
    for (size_t r = 0; r < lab->n_runs; r++)
        for (size_t i = 0; i < lab->runs[r].n_jobs; i++, n++) {
            of[n] = lab->runs[r].jobs[i];
            run[n] = r;
        }
    return group(g, lab->n_jobs, of, run, n);
}

/* The job whose file this is, SIZE_MAX none. last: a manifest is mostly in order. */
static size_t job_of_file(const struct lab *lab, const char *path, size_t last)
{
    const char *id = path + strlen(LAB_JOBS), *slash;
    _cleanup_free_ char *copy = NULL;
    const struct lab_job *job;
    size_t n;

    if (strncmp(path, LAB_JOBS, strlen(LAB_JOBS)) != 0)
        return SIZE_MAX;
    slash = strchr(id, '/');
    if (!slash)
        return SIZE_MAX;
    n = (size_t)(slash - id);
    if (last < lab->n_jobs && strncmp(lab->jobs[last].id, id, n) == 0 &&
        lab->jobs[last].id[n] == '\0')
        return last;
    copy = strndup(id, n);
    job = copy ? lab_job_by_id(lab, copy) : NULL;
    return job ? (size_t)(job - lab->jobs) : SIZE_MAX;
}

/* The manifest's entries of each job, in its order. */
static int group_files(struct grouped *g, const struct lab *lab,
                       const struct lab_manifest *m)
{
    _cleanup_free_ size_t *of = calloc(m->paths.count + 1, sizeof(*of));
    size_t last = SIZE_MAX;

    if (!of)
        return -1;
    for (size_t i = 0; i < m->paths.count; i++) {
        of[i] = job_of_file(lab, m->paths.items[i], last);
        if (of[i] != SIZE_MAX)
            last = of[i];
    }
    return group(g, lab->n_jobs, of, NULL, m->paths.count);
}

static void put_record(struct labcodec *c, struct lab_job *job, size_t at,
                       const struct grouped *runs, const struct grouped *files,
                       const struct lab_manifest *m)
{
    size_t n = runs->start[at + 1] - runs->start[at];

    labcodec_job_head(c, job);
    labcodec_count(c, &n, 1);
    for (size_t i = runs->start[at]; i < runs->start[at + 1]; i++)
        labcodec_size(c, &runs->items[i]);
    labcodec_job_body(c, job);
    n = files->start[at + 1] - files->start[at];
    labcodec_count(c, &n, 2);
    for (size_t i = files->start[at]; i < files->start[at + 1]; i++) {
        size_t k = files->items[i];
        char *name = m->paths.items[k] + strlen(LAB_JOBS) + strlen(job->id) + 1;

        labcodec_text(c, &name);
        labcodec_digest(c, m->sha256.items[k]);
    }
}

struct name_entry {
    uint64_t hash;
    size_t job;
};

static int compare_names(const void *a, const void *b)
{
    const struct name_entry *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->job < y->job ? -1 : x->job > y->job;
}

/* By both of a job's names, as lab_find_job knows them. */
static int put_names(struct labindex *ix, const struct lab *lab, struct buf *data)
{
    _cleanup_free_ struct name_entry *names =
        calloc(2 * lab->n_jobs + 1, sizeof(*names));

    if (!names)
        return -1;
    for (size_t j = 0; j < lab->n_jobs; j++) {
        const char *dash = strchr(lab->jobs[j].id, '-');
        struct name_entry e = {labindex_hash(lab->jobs[j].name), j};

        names[ix->n_names++] = e;
        if (dash && strcmp(dash + 1, lab->jobs[j].name) != 0)
            names[ix->n_names++] = (struct name_entry){labindex_hash(dash + 1), j};
    }
    qsort(names, ix->n_names, sizeof(*names), compare_names);
    ix->names = data->len;
    for (size_t i = 0; i < ix->n_names; i++) {
        labpages_put(data, names[i].hash, 8);
        labpages_put(data, names[i].job, 4);
    }
    return 0;
}

static int put_lists(struct labindex *ix, const struct lab *lab, struct buf *data)
{
    ix->n_runs = lab->n_runs;
    ix->lists = calloc(lab->n_runs + 1, sizeof(*ix->lists));
    if (!ix->lists)
        return -1;
    for (size_t r = 0; r < lab->n_runs; r++) {
        ix->lists[r].first = data->len;
        ix->lists[r].n = lab->runs[r].n_jobs;
        for (size_t i = 0; i < lab->runs[r].n_jobs; i++)
            labpages_put(data, lab->runs[r].jobs[i], 4);
    }
    return 0;
}

static int put_jobs(struct labindex *ix, const struct lab *lab,
                    const struct lab_manifest *m, struct buf *data, struct error *err)
{
    _cleanup_(grouped_release) struct grouped runs = {0}, files = {0};
    _cleanup_buf_ struct buf table = BUF_INIT;
    struct labcodec c = labcodec_writer(data);

    if (lab->n_jobs >= UINT32_MAX)
        return error_fail(err, "too many jobs");
    if (group_runs(&runs, lab) < 0 || group_files(&files, lab, m) < 0)
        return error_oom(err);
    ix->n_jobs = lab->n_jobs;
    for (size_t j = 0; j < lab->n_jobs && !data->failed; j++) {
        size_t start = data->len;

        put_record(&c, &lab->jobs[j], j, &runs, &files, m);
        if (c.failed || data->len - start > UINT32_MAX)
            return error_fail(err, "job '%s' cannot be indexed", lab->jobs[j].id);
        labpages_put(&table, start, 8);
        labpages_put(&table, data->len - start, 4);
    }
    ix->table = data->len;
    buf_add(data, buf_str(&table), table.len);
    if (put_names(ix, lab, data) < 0 || put_lists(ix, lab, data) < 0)
        return error_oom(err);
    return buf_check(&table, err) < 0 ? -1 : buf_check(data, err);
}

static int write_file(const struct lab *lab, const struct lab_options *opts,
                      const char *suffix, const struct buf *text, struct error *err)
{
    char name[64];

    if (buf_check(text, err) < 0 ||
        labindex_name(lab, opts, suffix, name, sizeof(name), err) < 0)
        return -1;
    /* not durable: what a crash leaves of it is told by its checksums */
    return atomicfile_write(opts->index->dirfd, name, buf_str(text), text->len, 0600,
                            false, err);
}

static int write_index(struct labindex *ix, const struct lab *lab,
                       const struct lab_manifest *m, const struct lab_options *opts,
                       struct error *err)
{
    _cleanup_buf_ struct buf data = BUF_INIT, pages = BUF_INIT, head = BUF_INIT;

    if (put_jobs(ix, lab, m, &data, err) < 0)
        return -1;
    ix->size = data.len;
    labpages_write(&data, ix->salt, &pages);
    buf_release(&data);
    if (write_file(lab, opts, ".jobs", &pages, err) < 0 ||
        labindex_head_write(ix, lab, &head, err) < 0)
        return -1;
    return write_file(lab, opts, ".lab", &head, err);
}

int labindex_write(const struct lab *lab, const struct lab_manifest *m,
                   const struct lab_sources *sources, const struct lab_options *opts,
                   struct error *err)
{
    struct labindex ix = LABINDEX_INIT;
    int r;

    labindex_sweep(opts->index->dirfd);
    ix.verified = opts->verify;
    ix.sources = *sources;
    if (getrandom(&ix.salt, sizeof(ix.salt), 0) != (ssize_t)sizeof(ix.salt))
        return error_sys(err, errno, "no random numbers");
    r = write_index(&ix, lab, m, opts, err);
    ix.sources = (struct lab_sources){0}; /* they are the caller's */
    labindex_release(&ix);
    return r;
}
