/* lab: a RepX lab read and checked (FACTS-REPX section 1). Hostile input: every path in
 * it is checked to be relative and inside; every digest is checked unless told
 * otherwise.
 */
#ifndef REPX_LAB_LAB_H
#define REPX_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"

struct error;

/* One input mapping of an executable; absent members are NULL. */
struct lab_mapping {
    char *type, *job_id, *source_output, *target_input, *source_run, *source,
        *source_key, *dependency_type;
};

struct lab_output {
    char *name;
    char *template; /* "$out/..."; NULL when it is not a string */
};

struct lab_executable {
    char *name; /* main | scatter | step-<n> | gather */
    char *path; /* relative to the lab: jobs/<job>/bin/<exe> */
    struct lab_mapping *inputs;
    size_t n_inputs;
    struct lab_output *outputs; /* sorted by name */
    size_t n_outputs;
    struct strv deps; /* names of steps, without "step-"; steps only */
};

struct lab_hints {
    char *mem, *time, *partition, *sbatch_opts, *cpus; /* text as sbatch takes it */
};

struct lab_job {
    char *id; /* the directory name below jobs/ */
    char *name;
    bool scatter_gather;
    char *params_json; /* pretty JSON text, types and key order as RepX writes it */
    struct lab_executable *executables; /* sorted by name */
    size_t n_executables;
    struct lab_hints hints;
    size_t run; /* index into lab.runs: the first run that lists it */
};

struct lab_run {
    char *name;
    char *metadata;                   /* revision/metadata-<run>.json, relative */
    char *image;                      /* images/<name>, relative; NULL: no image */
    struct strv hard_deps, soft_deps; /* names of runs */
    size_t *jobs;                     /* indexes into lab.jobs, ascending */
    size_t n_jobs;
};

struct lab {
    char *path; /* canonical directory */
    int fd;     /* of path */
    char *id;   /* labId */
    char *version, *repx_version, *git_hash;
    char *host_tools; /* host-tools/<hash>/bin, relative; the first by name */
    struct lab_run *runs;
    size_t n_runs;
    struct lab_job *jobs; /* sorted by id */
    size_t n_jobs;
    struct strv revisions; /* file names below revision/, sorted */
};

#define LAB_INIT                                                                       \
    {                                                                                  \
        .fd = -1                                                                       \
    }

/* Where labs are indexed, so that a launch reads only what it needs of a large one
 * (labindex.h). */
struct lab_index_place {
    int dirfd;  /* a directory that only the user can write to */
    bool build; /* write a missing index; otherwise only use one that is there */
    /* Fills hex[65] with the SHA-256 of the data. */
    int (*digest)(const void *data, size_t len, char *hex, struct error *err);
};

struct lab_options {
    /* Check the SHA-256 of each file of the manifest with digest_fd (image/digest is to
     * the right of this layer, so it is handed in), but for image layers, which are
     * checked against their diff_id while they are extracted. With an index: of each
     * file when the index is made; then of what all jobs use, when it was written
     * since, and of the files of the jobs that are named. */
    bool verify;
    /* Fills hex[65] with the SHA-256 of fd's content. */
    int (*digest_fd)(int fd, char *hex, struct error *err);
    const struct lab_index_place *index; /* NULL: the JSON is read */
    /* With an index: the runs and jobs that will be asked for, in the words that
     * lab_find_run and lab_find_job take. Then lab.jobs and the runs' lists hold these
     * jobs and what they need, and no others: of one simple job its producers and the
     * jobs of runs that it waits for (of these id, name, kind and run only), of several
     * jobs, or one with phases, everything that lab_order has to know. NULL: all. */
    const struct strv *names;
};

/* Opens a lab directory; a lab of another RepX than 0.5 gives a warning. On failure lab
 * is empty again. */
int lab_open(struct lab *lab, const char *path, const struct lab_options *opts,
             struct error *err);
void lab_release(struct lab *lab);

/* A job by its id or an unambiguous prefix of it, or by the name behind the hash when
 * only one job has it. Not found and ambiguous are errors; the latter lists candidates.
 */
const struct lab_job *lab_find_job(const struct lab *lab, const char *name,
                                   struct error *err);
/* By its exact id; NULL when the lab has none. */
const struct lab_job *lab_job_by_id(const struct lab *lab, const char *id);
const struct lab_run *lab_find_run(const struct lab *lab, const char *name);

const struct lab_executable *lab_executable(const struct lab_job *job,
                                            const char *name);

/* The jobs that `job` takes artifacts from, plus every job of the runs that it, or its
 * run, names in hard inter-run dependencies (a run that lists the job itself is not
 * waited for). Indexes into lab.jobs, ascending, each once. *deps owned by the caller.
 */
int lab_job_deps(const struct lab *lab, const struct lab_job *job, size_t **deps,
                 size_t *n, struct error *err);

/* The jobs of a selection, each once, in dependency order: producers first, also
 * through jobs outside the selection; ties by the lab's order. A cycle is an error that
 * names its jobs. *order owned by the caller. */
int lab_order(const struct lab *lab, const size_t *selection, size_t n, size_t **order,
              size_t *n_order, struct error *err);

#endif
