/* labindex: a lab as a launcher has read and checked it, kept on the node, so that a
 * launch from a lab of 100,000 jobs reads what its job needs and nothing else
 * (docs/adr/0017). Two files in a directory that only the user can write to, named by
 * the lab's path: KEY.lab has what the lab was read from (labstamp), its runs, and
 * where the jobs are in KEY.jobs (labpages). An index that is damaged, of another
 * version or of a lab that has changed is no error: there is none then. Private to
 * lab/.
 */
#ifndef REPX_LAB_LABINDEX_H
#define REPX_LAB_LABINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lab/lab.h"
#include "lab/labstamp.h"

struct buf;
struct error;
struct lab_manifest;
struct labpages;

/* The jobs of a run in the index: a table of 4-byte numbers of KEY.jobs. */
struct labindex_list {
    size_t n;
    uint64_t first; /* offset */
};

struct labindex {
    struct lab_sources sources;
    bool verified; /* the manifest's digests were checked */
    uint64_t salt; /* of KEY.jobs */
    uint64_t size; /* bytes of data in KEY.jobs */
    size_t n_jobs;
    uint64_t table; /* offset: by job, in the order of ids: offset (8), length (4) */
    size_t n_names;
    uint64_t names;              /* offset: hash (8) and job (4), ascending */
    struct labindex_list *lists; /* by run */
    size_t n_runs;
    int fd; /* KEY.jobs */
    struct labpages *pages;
    unsigned char *record; /* the one read last, owned */
    size_t record_cap;
};

#define LABINDEX_INIT                                                                  \
    {                                                                                  \
        .fd = -1                                                                       \
    }

enum { LABINDEX_TABLE_ENTRY = 12, LABINDEX_NAME_ENTRY = 12, LABINDEX_LIST_ENTRY = 4 };

/* Fills lab (path, fd and what lab_open finds by itself are there) from the index of
 * opts->index, checked against the lab's files. 0: done, with the jobs that
 * opts->names select and what they need. 1: there is no index that could be used; lab
 * may hold parts of it, for the caller to drop. -1: the lab itself is damaged. */
int labindex_load(struct lab *lab, const char *manifest, const struct lab_options *opts,
                  struct error *err);

/* Writes the index of a whole lab that was read from these sources. */
int labindex_write(const struct lab *lab, const struct lab_manifest *m,
                   const struct lab_sources *sources, const struct lab_options *opts,
                   struct error *err);

/* The name of the lab's files in the directory, with this suffix. */
int labindex_name(const struct lab *lab, const struct lab_options *opts,
                  const char *suffix, char *out, size_t size, struct error *err);

/* --- between the files of this module --- */

/* KEY.lab as bytes, and back; lab gets id, versions and runs. 1: it is no such file, or
 * not of this lab. */
int labindex_head_write(const struct labindex *ix, const struct lab *lab,
                        struct buf *out, struct error *err);
int labindex_head_read(struct labindex *ix, struct lab *lab, const void *data,
                       size_t len);
/* Removes the indexes of labs that are gone, and what crashes have left behind. */
void labindex_sweep(int dirfd);

/* The functions below: 0, or -1 when the index is damaged. */
/* A job's id where it is, not terminated, valid until the next call. */
int labindex_job_id(struct labindex *ix, size_t job, const char **id, size_t *len);
/* The record of a job: *data is valid until the next call. */
int labindex_record(struct labindex *ix, size_t job, const unsigned char **data,
                    size_t *len);
/* Entry i of a run's list. */
int labindex_run_job(struct labindex *ix, size_t run, size_t i, size_t *job);
/* The first job whose id is not less than name; in *found whether it is that name. */
int labindex_lower_bound(struct labindex *ix, const char *name, size_t *at,
                         bool *found);

/* The jobs of one run, or of one name as lab_find_job understands it. found(arg, job)
 * may return -1. */
typedef int (*labindex_found)(void *arg, size_t job);
int labindex_each_named(struct labindex *ix, const char *name, labindex_found found,
                        void *arg);
uint64_t labindex_hash(const char *name);

/* Fills lab->jobs and the runs' lists. As labindex_load. */
int labindex_select(struct labindex *ix, struct lab *lab,
                    const struct lab_options *opts, struct error *err);

void labindex_release(struct labindex *ix);

#endif
