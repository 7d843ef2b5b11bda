/* store_tmp: a directory of one process in the store's tmp/, for what is being written
 * or is needed by one launch only. It is removed with store_tmp_discard, or swept by
 * the next store_open when its process is gone. */
#ifndef REPX_IMAGE_STORE_TMP_H
#define REPX_IMAGE_STORE_TMP_H

#include "image/store.h"
#include "sys/lockfile.h"

struct error;

struct store_tmp {
    char name[256];
    int fd; /* of the directory */
    struct lockfile owner;
};

#define STORE_TMP_INIT                                                                 \
    {                                                                                  \
        "", -1, LOCKFILE_INIT                                                          \
    }

/* Makes it, 0700, with t->fd open. */
int store_tmp_new(struct store *s, struct store_tmp *t, struct error *err);
/* Renames the directory to hex below dirfd (what is left there without a record is
 * removed first; the caller holds the lock) and lets go of it. */
int store_tmp_publish(struct store *s, struct store_tmp *t, int dirfd, const char *hex,
                      struct error *err);
/* Removes the directory; nothing after a publish. Never fails visibly: what cannot be
 * removed is swept later. */
void store_tmp_discard(struct store *s, struct store_tmp *t);
/* Removes what dead processes left. */
int store_tmp_sweep(struct store *s, struct error *err);

#endif
