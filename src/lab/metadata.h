/* metadata: the texts of a lab (manifest, metadata-top.json, run metadata) turned into
 * checked structures. Pure: text in, structure out, so that it can be fuzzed; whether
 * the files exist that they name is lab_open's question. Private to lab/.
 */
#ifndef REPX_LAB_METADATA_H
#define REPX_LAB_METADATA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "lab/lab.h"

struct lab_manifest {
    char *id, *version, *metadata; /* metadata: path of metadata-top.json */
    struct strv paths, sha256;     /* of each file, in parallel */
};

struct lab_metadata_top {
    char *repx_version, *git_hash; /* NULL when absent */
    struct strv runs;              /* paths of run metadata, in the lab's order */
};

struct lab_metadata_run {
    char *name, *image;
    struct strv hard_paths, soft_paths; /* run metadata it depends on */
    struct lab_job *jobs;               /* in the file's order; run is not set */
    size_t n_jobs;
};

int lab_metadata_parse_manifest(const char *text, size_t len, struct lab_manifest *out,
                                struct error *err);
int lab_metadata_parse_top(const char *text, size_t len, struct lab_metadata_top *out,
                           struct error *err);
int lab_metadata_parse_run(const char *text, size_t len, struct lab_metadata_run *out,
                           struct error *err);

void lab_manifest_release(struct lab_manifest *m);
void lab_metadata_top_release(struct lab_metadata_top *m);
void lab_metadata_run_release(struct lab_metadata_run *m);

/* The text contains a control character, so it is no name for a job, run or file here:
 * it ends up in log lines, sbatch options and queue listings. */
bool lab_has_control(const char *s);

/* lab_job.c */
struct json_t;
int lab_job_parse(const char *id, struct json_t *json, struct lab_job *out,
                  struct error *err);
void lab_job_release(struct lab_job *job);

/* lab_executable.c */
int lab_executable_parse(const char *job_id, const char *name,
                         const struct json_t *json, struct lab_executable *out,
                         struct error *err);
void lab_executable_release(struct lab_executable *exe);

/* lab_link.c: takes over the runs' jobs (runs[i] and lab->runs[i] go together), fills
 * lab->jobs and each run's job and dependency lists. Cyclic runs are an error. */
int lab_link(struct lab *lab, struct lab_metadata_run *runs, struct error *err);

/* lab_files.c: the lab's directory, every path beneath it. sources, where it is not
 * NULL, gets the stamps of what was read. */
struct buf;
struct lab_sources;
struct lab_verification;

#define LAB_JOBS "jobs/"
/* Reading without waiting for the other end of a FIFO. */
#define LAB_READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)
#define LAB_DAMAGED_HINT "the lab is damaged or was changed: copy or build it again"

int lab_read_file(int dirfd, const char *path, const struct lab_options *opts,
                  struct lab_sources *sources, struct buf *out, struct error *err);
int lab_list_dir(int dirfd, const char *path, struct strv *names, struct error *err);
int lab_check_exists(int dirfd, const char *path, int flags, struct error *err);
/* One file of the manifest; failing, the error has a hint. */
int lab_verify_file(int dirfd, const char *path, const char *sha256,
                    const struct lab_options *opts, struct lab_sources *sources,
                    struct error *err);
/* All files of the manifest, by threads, while the caller does something else. What is
 * pointed to stays until the end. stamps: lab_verify_finish adds them to sources. NULL
 * with err. */
struct lab_verification *lab_verify_start(int dirfd, const struct lab_manifest *m,
                                          const struct lab_options *opts, bool stamps,
                                          struct error *err);
/* Waits, and releases it; err: the first failure in the manifest's order. */
int lab_verify_finish(struct lab_verification *v, struct lab_sources *sources,
                      struct error *err);
/* Fills err: path has the digest `is` and not the manifest's. */
int lab_digest_error(const char *path, const char *is, const char *manifest,
                     struct error *err);

#endif
