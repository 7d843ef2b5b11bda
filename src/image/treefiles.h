/* treefiles: makes the regular files of one layer, small ones in batches and each large
 * one in a strand, by the threads of a pool or at once where there is none. The caller
 * (treewriter) has found the directory and seen to it that the name is free and stays
 * free until treefiles_wait; this only creates, writes, sums and closes. */
#ifndef REPX_IMAGE_TREEFILES_H
#define REPX_IMAGE_TREEFILES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "image/treesum.h"

struct block;
struct workpool;
struct treefiles_batch;
struct treefiles_large;

/* A directory that files are made in, open until the last of them is there. */
struct treedir {
    atomic_uint refs;
    int fd; /* O_PATH will do */
};

/* Takes fd, also on failure. NULL with err. */
struct treedir *treedir_new(int fd, struct error *err);
struct treedir *treedir_ref(struct treedir *d);
/* Accepts NULL. */
void treedir_unref(struct treedir *d);

struct treefiles {
    struct workpool *pool; /* may be NULL */
    bool exact; /* modes are as they are asked for: no umask, no default ACL */
    atomic_uint outstanding; /* batches and large files under way */
    atomic_bool failed;
    pthread_mutex_t mutex;
    struct error failure; /* the first one */
    struct treesum sums;  /* of the files that are complete */
    struct treefiles_batch *batch;
    struct treefiles_large *large;
};

void treefiles_init(struct treefiles *f, struct workpool *pool);
/* Waits for what is under way. */
void treefiles_release(struct treefiles *f);

struct treefiles_attr {
    mode_t mode; /* as it shall be */
    struct timespec mtime;
};

/* One file after the other: begin, its data in ascending order, end. path is below the
 * tree and its last component the name in dir; size is the final one in bytes. */
int treefiles_begin(struct treefiles *f, struct treedir *dir, const char *path,
                    uint64_t size, const struct treefiles_attr *attr,
                    struct error *err);
/* block holds data, or is NULL, and data is copied. */
int treefiles_data(struct treefiles *f, struct block *block, const void *data,
                   size_t len, uint64_t offset, struct error *err);
int treefiles_end(struct treefiles *f, struct error *err);

/* Hands what was collected to the threads. Whoever waits for a free block calls it
 * first: a batch holds some. */
void treefiles_flush(struct treefiles *f);
/* Waits for everything; -1 with the first failure. In a long task of the pool. */
int treefiles_wait(struct treefiles *f, struct error *err);
/* -1 with the failure when there was one so far. */
int treefiles_check(struct treefiles *f, struct error *err);

#endif
