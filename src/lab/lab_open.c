#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/lab.h"
#include "lab/labindex.h"
#include "lab/labstamp.h"
#include "lab/metadata.h"
#include "sys/lockfile.h"
#include "sys/pathfd.h"

/* What this launcher was written against (major.minor). */
#define REPX_SERIES "0.5"

static void lab_run_release(struct lab_run *run)
{
    free(run->name);
    free(run->metadata);
    free(run->image);
    strv_release(&run->hard_deps);
    strv_release(&run->soft_deps);
    free(run->jobs);
}

/* Drops what comes from the lab's JSON, or an index of it. */
static void release_contents(struct lab *lab)
{
    for (size_t i = 0; i < lab->n_runs; i++)
        lab_run_release(&lab->runs[i]);
    for (size_t i = 0; i < lab->n_jobs; i++)
        lab_job_release(&lab->jobs[i]);
    free(steal_ptr(lab->runs));
    free(steal_ptr(lab->jobs));
    free(steal_ptr(lab->id));
    free(steal_ptr(lab->version));
    free(steal_ptr(lab->repx_version));
    free(steal_ptr(lab->git_hash));
    lab->n_runs = lab->n_jobs = 0;
}

void lab_release(struct lab *lab)
{
    release_contents(lab);
    free(lab->path);
    free(lab->host_tools);
    strv_release(&lab->revisions);
    if (lab->fd >= 0)
        close(lab->fd);
    *lab = (struct lab)LAB_INIT;
}

static int open_directory(struct lab *lab, const char *path, struct error *err)
{
    lab->path = pathfd_canonical(path, err);
    if (!lab->path)
        return error_hint(err, "give the lab's directory with --lab");
    lab->fd = pathfd_open_user(lab->path, O_RDONLY | O_DIRECTORY, err);
    if (lab->fd >= 0)
        return 0;
    if (err->errnum == ENOTDIR)
        return error_fail(
            err, "is not a directory; a lab tar has to be unpacked first, then "
                 "give the directory in it with --lab");
    return -1;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Owned by the caller; NULL with err. */
static char *find_manifest(const struct lab *lab, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    char *path;

    if (lab_list_dir(lab->fd, "lab", &names, err) < 0) {
        error_hint(err, "this is no RepX lab");
        return NULL;
    }
    for (size_t i = 0; i < names.count; i++) {
        if (!ends_with(names.items[i], "lab-metadata.json"))
            continue;
        path = str_printf("lab/%s", names.items[i]);
        if (!path)
            error_oom(err);
        return path;
    }
    error_fail(err, "there is no lab/*lab-metadata.json; this is no RepX lab");
    return NULL;
}

/* The reading of a lab's JSON. */
struct reading {
    struct lab *lab;
    const struct lab_options *opts;
    struct lab_sources *sources; /* NULL: nobody will index it */
    struct lab_manifest manifest;
};

static int read_text(const struct reading *r, const char *path, struct buf *out,
                     struct error *err)
{
    return lab_read_file(r->lab->fd, path, r->opts, r->sources, out, err);
}

static int read_manifest(struct reading *r, const char *path, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (read_text(r, path, &text, err) < 0)
        return -1;
    if (lab_metadata_parse_manifest(buf_str(&text), text.len, &r->manifest, err) < 0)
        return error_context(err, "%s", path);
    return 0;
}

static int find_host_tools(struct lab *lab, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;

    if (lab_list_dir(lab->fd, "host-tools", &names, err) < 0)
        return -1;
    for (size_t i = 0; i < names.count; i++) {
        _cleanup_free_ char *dir = str_printf("host-tools/%s", names.items[i]);

        if (!dir)
            return error_oom(err);
        if (lab_check_exists(lab->fd, dir, O_DIRECTORY, err) < 0) {
            if (err->errnum != ENOTDIR)
                return -1;
            error_clear(err);
            continue;
        }
        lab->host_tools = str_printf("%s/bin", dir);
        if (!lab->host_tools)
            return error_oom(err);
        return lab_check_exists(lab->fd, lab->host_tools, O_DIRECTORY, err);
    }
    return error_fail(err, "host-tools/ holds no directory");
}

static void check_version(const struct lab *lab)
{
    const char *v = lab->repx_version;
    size_t n = strlen(REPX_SERIES);

    if (v && strncmp(v, REPX_SERIES, n) == 0 && (v[n] == '.' || v[n] == '\0'))
        return;
    log_warn("lab %s was built by RepX %s, this launcher follows RepX " REPX_SERIES
             ": look at the results with care, or use a launcher made for that version",
             lab->path, v ? v : "of an unknown version");
}

/* Reads one run's metadata and checks that what it names is in the lab. */
static int read_run(const struct reading *r, const char *path,
                    struct lab_metadata_run *m, struct error *err)
{
    struct lab *lab = r->lab;
    struct lab_run *run = &lab->runs[lab->n_runs++];
    _cleanup_buf_ struct buf text = BUF_INIT;

    run->metadata = strdup(path);
    if (!run->metadata)
        return error_oom(err);
    if (read_text(r, path, &text, err) < 0)
        return -1;
    if (lab_metadata_parse_run(buf_str(&text), text.len, m, err) < 0)
        return error_context(err, "%s", path);
    run->name = steal_ptr(m->name);
    run->image = steal_ptr(m->image);
    if (run->image && lab_check_exists(lab->fd, run->image, 0, err) < 0)
        return error_context(err, "image of run '%s'", run->name);
    for (size_t i = 0; i < m->n_jobs; i++) {
        _cleanup_free_ char *dir = str_printf("jobs/%s", m->jobs[i].id);

        if (!dir)
            return error_oom(err);
        if (lab_check_exists(lab->fd, dir, O_DIRECTORY, err) < 0)
            return error_context(err, "job of run '%s'", run->name);
    }
    return 0;
}

static int read_runs(const struct reading *reading, const struct strv *paths,
                     struct error *err)
{
    struct lab *lab = reading->lab;
    struct lab_metadata_run *runs = calloc(paths->count + 1, sizeof(*runs));
    int r = 0;

    lab->runs = calloc(paths->count + 1, sizeof(*lab->runs));
    if (!runs || !lab->runs)
        r = error_oom(err);
    for (size_t i = 0; r == 0 && i < paths->count; i++)
        r = read_run(reading, paths->items[i], &runs[i], err);
    if (r == 0)
        r = lab_link(lab, runs, err);
    for (size_t i = 0; runs && i < paths->count; i++)
        lab_metadata_run_release(&runs[i]);
    free(runs);
    return r;
}

static int read_metadata(const struct reading *reading, const char *path,
                         struct error *err)
{
    struct lab_metadata_top top = {0};
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r;

    if (read_text(reading, path, &text, err) < 0)
        return -1;
    r = lab_metadata_parse_top(buf_str(&text), text.len, &top, err);
    if (r < 0)
        error_context(err, "%s", path);
    if (r == 0) {
        reading->lab->repx_version = steal_ptr(top.repx_version);
        reading->lab->git_hash = steal_ptr(top.git_hash);
        r = read_runs(reading, &top.runs, err);
    }
    lab_metadata_top_release(&top);
    return r;
}

/* A file that is damaged says more than what was made of it. */
static int read_verified(struct reading *r, struct error *err)
{
    struct error why = ERROR_INIT;
    struct lab_verification *v =
        lab_verify_start(r->lab->fd, &r->manifest, r->opts, r->sources != NULL, err);
    int rc;

    if (!v)
        return -1;
    rc = read_metadata(r, r->manifest.metadata, err);
    if (lab_verify_finish(v, r->sources, &why) == 0)
        return rc;
    *err = why;
    return -1;
}

static int read_lab(struct reading *r, const char *manifest, struct error *err)
{
    if (read_manifest(r, manifest, err) < 0)
        return -1;
    r->lab->id = steal_ptr(r->manifest.id);
    r->lab->version = steal_ptr(r->manifest.version);
    return r->opts->verify ? read_verified(r, err)
                           : read_metadata(r, r->manifest.metadata, err);
}

static int load(struct lab *lab, const char *manifest, const struct lab_options *opts,
                struct error *err)
{
    struct reading reading = {.lab = lab, .opts = opts};
    int r = read_lab(&reading, manifest, err);

    lab_manifest_release(&reading.manifest);
    return r;
}

/* An index that cannot be written costs the next launch time, and this one nothing. */
static void write_index(const struct reading *r)
{
    struct error why = ERROR_INIT;

    if (r->sources->unstable)
        log_debug("lab %s was written while it was read: it is not indexed",
                  r->lab->path);
    else if (labindex_write(r->lab, &r->manifest, r->sources, r->opts, &why) < 0)
        log_debug("lab %s cannot be indexed: %s", r->lab->path, why.text);
    else
        log_debug("lab %s is now indexed", r->lab->path);
}

static int load_and_index(struct lab *lab, const char *manifest,
                          const struct lab_options *opts, struct error *err)
{
    struct lab_sources sources = {.began_ns = lab_stamp_now()};
    struct reading reading = {.lab = lab, .opts = opts, .sources = &sources};
    int r = read_lab(&reading, manifest, err);

    if (r == 0)
        write_index(&reading);
    lab_manifest_release(&reading.manifest);
    lab_sources_release(&sources);
    return r;
}

static int try_index(struct lab *lab, const char *manifest,
                     const struct lab_options *opts, struct error *err)
{
    int r = labindex_load(lab, manifest, opts, err);

    if (r == 1)
        release_contents(lab);
    return r;
}

/* One launch at a time makes the index; those that waited find it. */
static int index_lab(struct lab *lab, const char *manifest,
                     const struct lab_options *opts, struct error *err)
{
    struct lockfile lock = LOCKFILE_INIT;
    struct error why = ERROR_INIT;
    char name[64];
    int r;

    if (labindex_name(lab, opts, ".lock", name, sizeof(name), &why) < 0 ||
        lockfile_take(&lock, opts->index->dirfd, name, true, &why) < 0)
        log_debug("lab %s: %s", lab->path, why.text);
    r = try_index(lab, manifest, opts, err);
    if (r == 1)
        r = load_and_index(lab, manifest, opts, err);
    lockfile_release(&lock);
    return r;
}

static int load_contents(struct lab *lab, const char *manifest,
                         const struct lab_options *opts, struct error *err)
{
    int r;

    if (!opts->index)
        return load(lab, manifest, opts, err);
    r = try_index(lab, manifest, opts, err);
    if (r != 1)
        return r;
    return opts->index->build ? index_lab(lab, manifest, opts, err)
                              : load(lab, manifest, opts, err);
}

static int open_lab(struct lab *lab, const char *path, const struct lab_options *opts,
                    struct error *err)
{
    _cleanup_free_ char *manifest = NULL;

    if (open_directory(lab, path, err) < 0)
        return -1;
    manifest = find_manifest(lab, err);
    if (!manifest || find_host_tools(lab, err) < 0 ||
        lab_check_exists(lab->fd, "jobs", O_DIRECTORY, err) < 0 ||
        lab_list_dir(lab->fd, "revision", &lab->revisions, err) < 0)
        return -1;
    return load_contents(lab, manifest, opts, err);
}

int lab_open(struct lab *lab, const char *path, const struct lab_options *opts,
             struct error *err)
{
    *lab = (struct lab)LAB_INIT;
    if (open_lab(lab, path, opts, err) == 0) {
        check_version(lab);
        return 0;
    }
    error_context(err, "lab %s", lab->path ? lab->path : path);
    lab_release(lab);
    return -1;
}
