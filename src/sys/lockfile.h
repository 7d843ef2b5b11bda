/* lockfile: flock(2) on a file of a name; released by the kernel when the holder dies.
 * The file's content is a note of the holder for the waiters.
 *
 * Only the exclusive holder may unlink the file (lockfile_unlink), and whoever gets the
 * lock looks whether the name still leads to what it has locked, and opens it again
 * otherwise: so no unlink race can give two holders. */
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

/* Opens (made with 0600, O_NOFOLLOW, regular file only) and takes the lock without
 * waiting. 0: held. 1: somebody else holds it (the file stays open, for
 * lockfile_note_read and lockfile_retry). -1: error. */
int lockfile_try(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                 struct error *err);
/* Tries again on a lockfile that was busy, same dirfd and name: 0 held, 1 busy, -1
 * error. */
int lockfile_retry(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                   struct error *err);
/* lockfile_try on a file that must be there and may be another user's: it is opened for
 * reading only. -1 with ENOENT when it is not there. */
int lockfile_try_existing(struct lockfile *l, int dirfd, const char *name,
                          bool exclusive, struct error *err);
/* Blocks until it is held. */
int lockfile_take(struct lockfile *l, int dirfd, const char *name, bool exclusive,
                  struct error *err);
/* Unlinks the file; the caller holds it exclusively, and releases it afterwards. */
int lockfile_unlink(const struct lockfile *l, int dirfd, const char *name,
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
