/* labcodec: the binary form of a lab's parts in its index. One function for each part
 * reads and writes, so that the two cannot differ: with `out` set it appends what the
 * structure holds, otherwise it fills an empty structure from data. Reading trusts
 * nothing: each length is checked against what is left. Numbers are LEB128, a string is
 * its length plus one and its bytes, 0 stands for NULL. Private to lab/.
 */
#ifndef REPX_LAB_LABCODEC_H
#define REPX_LAB_LABCODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "lab/lab.h"

struct buf;
struct lab_stamps;

struct labcodec {
    struct buf *out;                 /* writing */
    const unsigned char *data, *end; /* reading: what is left */
    bool failed;                     /* the data is no such thing, or no memory */
};

static inline struct labcodec labcodec_writer(struct buf *out)
{
    return (struct labcodec){.out = out};
}

static inline struct labcodec labcodec_reader(const void *data, size_t len)
{
    const unsigned char *p = data;

    return (struct labcodec){.data = p, .end = p + len};
}

void labcodec_u64(struct labcodec *c, uint64_t *v);
void labcodec_size(struct labcodec *c, size_t *v);
void labcodec_bool(struct labcodec *c, bool *v);
void labcodec_string(struct labcodec *c, char **s);
/* Reading only: a string where it is, not terminated. False: it is NULL, or a failure.
 */
bool labcodec_view(struct labcodec *c, const char **s, size_t *len);
/* As labcodec_string; NULL is a failure. */
void labcodec_text(struct labcodec *c, char **s);
/* A digest of 64 hexadecimal digits, or "", in 65 bytes. */
void labcodec_digest(struct labcodec *c, char *hex);
void labcodec_strv(struct labcodec *c, struct strv *v);
/* The number of elements that follow, each of at least element_min encoded bytes. */
void labcodec_count(struct labcodec *c, size_t *n, size_t element_min);

/* id, name and kind: what is needed of a job that another one only waits for. */
void labcodec_job_head(struct labcodec *c, struct lab_job *job);
/* The rest: parameters, executables, hints. run is the reader's part. */
void labcodec_job_body(struct labcodec *c, struct lab_job *job);
/* Without jobs and n_jobs. */
void labcodec_run(struct labcodec *c, struct lab_run *run);
void labcodec_stamps(struct labcodec *c, struct lab_stamps *s);

#endif
