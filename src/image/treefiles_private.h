/* treefiles_private: the two ways of making a file, among themselves. */
#ifndef REPX_IMAGE_TREEFILES_PRIVATE_H
#define REPX_IMAGE_TREEFILES_PRIVATE_H

#include <stddef.h>

#include "image/contentsum.h"
#include "image/treefiles.h"

struct treefiles_file {
    struct treedir *dir; /* owned reference */
    char *path;          /* owned */
    uint64_t size;
    struct treefiles_attr attr;
};

/* Takes a reference and a copy. */
int treefiles_file_init(struct treefiles_file *file, struct treedir *dir,
                        const char *path, uint64_t size,
                        const struct treefiles_attr *attr, struct error *err);
void treefiles_file_release(struct treefiles_file *file);

/* The new, empty file. */
int treefiles_open(const struct treefiles *f, const struct treefiles_file *file,
                   struct error *err);
/* Size (when the file does not end with data), mode, time; closes fd in any case. */
int treefiles_close(const struct treefiles *f, const struct treefiles_file *file,
                    int fd, bool set_size, struct error *err);
/* The file is complete: its line goes into sums, its path is handed over. sum "": an
 * empty file. */
int treefiles_done(struct treesum *sums, struct treefiles_file *file, const char *sum,
                   struct error *err);
/* Remembers the failure of this file, if it is the first one. */
void treefiles_fail(struct treefiles *f, const char *path, struct error *err);
/* Takes the lines over. */
void treefiles_add_sums(struct treefiles *f, struct treesum *sums);
/* One batch or large file less is under way; f may be gone after that. */
void treefiles_leave(struct treefiles *f);

/* treefiles_batch.c */
int treefiles_batch_begin(struct treefiles *f, struct treedir *dir, const char *path,
                          uint64_t size, const struct treefiles_attr *attr,
                          struct error *err);
int treefiles_batch_data(struct treefiles *f, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err);
bool treefiles_batch_is_full(const struct treefiles *f);
void treefiles_batch_push(struct treefiles *f);
void treefiles_batch_drop(struct treefiles *f);

/* treefiles_large.c */
int treefiles_large_begin(struct treefiles *f, struct treedir *dir, const char *path,
                          uint64_t size, const struct treefiles_attr *attr,
                          struct error *err);
int treefiles_large_data(struct treefiles *f, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err);
/* complete: all its data came; otherwise the file is given up. */
void treefiles_large_end(struct treefiles *f, bool complete);

#endif
