#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/lab.h"
#include "lab/metadata.h"
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

void lab_release(struct lab *lab)
{
    for (size_t i = 0; i < lab->n_runs; i++)
        lab_run_release(&lab->runs[i]);
    for (size_t i = 0; i < lab->n_jobs; i++)
        lab_job_release(&lab->jobs[i]);
    free(lab->runs);
    free(lab->jobs);
    free(lab->path);
    free(lab->id);
    free(lab->version);
    free(lab->repx_version);
    free(lab->git_hash);
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

static int read_manifest(const struct lab *lab, struct lab_manifest *m,
                         struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = NULL;
    _cleanup_strv_ struct strv names = STRV_INIT;

    if (lab_list_dir(lab->fd, "lab", &names, err) < 0)
        return error_hint(err, "this is no RepX lab");
    for (size_t i = 0; i < names.count && !path; i++) {
        if (!ends_with(names.items[i], "lab-metadata.json"))
            continue;
        path = str_printf("lab/%s", names.items[i]);
        if (!path)
            return error_oom(err);
    }
    if (!path)
        return error_fail(err,
                          "there is no lab/*lab-metadata.json; this is no RepX lab");
    if (lab_read_file(lab->fd, path, &text, err) < 0)
        return -1;
    if (lab_metadata_parse_manifest(buf_str(&text), text.len, m, err) < 0)
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
static int read_run(struct lab *lab, const char *path, struct lab_metadata_run *m,
                    struct error *err)
{
    struct lab_run *run = &lab->runs[lab->n_runs++];
    _cleanup_buf_ struct buf text = BUF_INIT;

    run->metadata = strdup(path);
    if (!run->metadata)
        return error_oom(err);
    if (lab_read_file(lab->fd, path, &text, err) < 0)
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

static int read_runs(struct lab *lab, const struct strv *paths, struct error *err)
{
    struct lab_metadata_run *runs = calloc(paths->count + 1, sizeof(*runs));
    int r = 0;

    lab->runs = calloc(paths->count + 1, sizeof(*lab->runs));
    if (!runs || !lab->runs)
        r = error_oom(err);
    for (size_t i = 0; r == 0 && i < paths->count; i++)
        r = read_run(lab, paths->items[i], &runs[i], err);
    if (r == 0)
        r = lab_link(lab, runs, err);
    for (size_t i = 0; runs && i < paths->count; i++)
        lab_metadata_run_release(&runs[i]);
    free(runs);
    return r;
}

static int read_metadata(struct lab *lab, const char *path, struct error *err)
{
    struct lab_metadata_top top = {0};
    _cleanup_buf_ struct buf text = BUF_INIT;
    int r;

    if (lab_read_file(lab->fd, path, &text, err) < 0)
        return -1;
    r = lab_metadata_parse_top(buf_str(&text), text.len, &top, err);
    if (r < 0)
        error_context(err, "%s", path);
    if (r == 0) {
        lab->repx_version = steal_ptr(top.repx_version);
        lab->git_hash = steal_ptr(top.git_hash);
        check_version(lab);
        r = read_runs(lab, &top.runs, err);
    }
    lab_metadata_top_release(&top);
    return r;
}

static int load(struct lab *lab, const struct lab_options *opts, struct lab_manifest *m,
                struct error *err)
{
    if (read_manifest(lab, m, err) < 0)
        return -1;
    lab->id = steal_ptr(m->id);
    lab->version = steal_ptr(m->version);
    if (opts->verify && lab_verify(lab->fd, m, opts, err) < 0)
        return -1;
    if (find_host_tools(lab, err) < 0 ||
        lab_check_exists(lab->fd, "jobs", O_DIRECTORY, err) < 0 ||
        lab_list_dir(lab->fd, "revision", &lab->revisions, err) < 0)
        return -1;
    return read_metadata(lab, m->metadata, err);
}

int lab_open(struct lab *lab, const char *path, const struct lab_options *opts,
             struct error *err)
{
    struct lab_manifest manifest = {0};
    int r;

    *lab = (struct lab)LAB_INIT;
    r = open_directory(lab, path, err);
    if (r == 0)
        r = load(lab, opts, &manifest, err);
    lab_manifest_release(&manifest);
    if (r < 0) {
        error_context(err, "lab %s", lab->path ? lab->path : path);
        lab_release(lab);
    }
    return r;
}
