/* lockfile: flock(2) on a file that is never unlinked, so that no unlink race can give
 * two holders; released by the kernel when the holder dies. The file's content is a
 * note of the holder for the waiters. */
#ifndef REPX_SYS_LOCKFILE_H
#define REPX_SYS_LOCKFILE_H

#include <stdbool.h>

struct buf;
struct error;

struct lockfile {
    int fd; /* -1: not held */
};

#define LOCKFILE_INIT                                                                  \
    {                                                                                  \
        -1                                                                             \
    }

/* Opens (0600, O_NOFOLLOW, regular file only) and takes the lock without waiting.
 * 0: held. 1: somebody else holds it (the file stays open, for lockfile_note_read and
 * lockfile_retry). -1: error. */
int lockfile_try(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                 struct error *err);
/* Tries again on an open lockfile: 0 held, 1 busy, -1 error. */
int lockfile_retry(struct lockfile *l, bool exclusive, struct error *err);
/* Blocks until it is held. */
int lockfile_take(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                  struct error *err);
/* Replaces the note (one line; holder only). */
int lockfile_note_write(const struct lockfile *l, const char *note, struct error *err);
/* Appends the holder's note to out. */
int lockfile_note_read(const struct lockfile *l, struct buf *out, struct error *err);
/* Turns an exclusive lock into a shared one, without a moment unlocked where the kernel
 * allows it. */
int lockfile_share(struct lockfile *l, struct error *err);
/* Closes it. A child to which the descriptor was passed goes on holding the lock. */
void lockfile_release(struct lockfile *l);

#endif
