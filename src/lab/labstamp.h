/* labstamp: what a file of a lab was when it was read: number, size and times, and the
 * SHA-256 of its content. A file whose numbers are the same has not been written since,
 * unless it was written so shortly before that the clock of its file system could not
 * show another write (git's "racily clean" entries): then its content decides. The
 * device is no part of it: network file systems get another number with each mount.
 * Private to lab/.
 */
#ifndef REPX_LAB_LABSTAMP_H
#define REPX_LAB_LABSTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct lab_options;

struct lab_stamp {
    char *path; /* relative to the lab; owned by its lab_stamps */
    uint64_t ino, size;
    uint64_t mtime_ns, ctime_ns; /* since 1970; what lies before counts as 0 */
    char sha256[65];
};

/* Zero-initialised; a failed allocation is remembered, as in buf. */
struct lab_stamps {
    struct lab_stamp *items;
    size_t n, cap;
    bool failed;
};

/* What a lab was made of. */
struct lab_sources {
    uint64_t began_ns;       /* lab_stamp_now before the first file was read */
    struct lab_stamps read;  /* manifest, root and run metadata */
    struct lab_stamps files; /* of the manifest, but for layers and the jobs' own */
    bool unstable;           /* a file was written while it was read */
};

void lab_stamps_add(struct lab_stamps *s, const char *path,
                    const struct lab_stamp *like);
void lab_stamps_release(struct lab_stamps *s);
void lab_sources_release(struct lab_sources *s);

/* CLOCK_REALTIME in nanoseconds. */
uint64_t lab_stamp_now(void);
/* The numbers of the open file; it has to be a regular one. path is for the message. */
int lab_stamp_take(struct lab_stamp *stamp, int fd, const char *path,
                   struct error *err);
bool lab_stamp_same(const struct lab_stamp *a, const struct lab_stamp *b);
/* Was the file written so shortly before `when` that a later write may not show? */
bool lab_stamp_racy(const struct lab_stamp *stamp, uint64_t when);

/* Is the file still what the stamp says? 0: yes. 1: no, with what it is now in *now
 * (its digest, where that was computed). -1 with err: it cannot be read. began_ns: when
 * the stamps were taken. Sets *refresh when new stamps would spare the next one work,
 * and then brings the stamp up to date. */
int lab_stamp_check(struct lab_stamp *stamp, int dirfd, uint64_t began_ns,
                    const struct lab_options *opts, bool *refresh,
                    struct lab_stamp *now, struct error *err);

#endif
