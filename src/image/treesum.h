/* treesum: what a tree consists of, one line for each entry, so that a later look finds
 * a flipped bit and a missing, added or changed file.
 *
 * A line has the path and what is there:
 *   d MODE           directory
 *   f MODE SIZE SUM  file; SUM is the SHA-256 of its content, "-" of an empty file, or
 *                    "iN" of a hard link whose content is some layer's file number N
 *   l TARGET         symbolic link
 *
 * File format: "<path>\0<what>\0", sorted by path; paths are relative, "" is the tree.
 */
#ifndef REPX_IMAGE_TREESUM_H
#define REPX_IMAGE_TREESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/digest.h"

struct error;
struct image_progress;

struct treesum_line {
    char *path, *what; /* owned */
};

struct treesum {
    struct treesum_line *lines;
    size_t n, cap;
};

#define TREESUM_INIT                                                                   \
    {                                                                                  \
        0                                                                              \
    }

void treesum_release(struct treesum *t);

/* The content of files as they were written, by file number, so that nothing is read
 * again. Of several with one number the last counts. */
struct treesum_known {
    uint64_t ino;
    size_t order;
    struct digest content;
};

struct treesum_options {
    struct treesum_known *known; /* sorted by the call; may be NULL */
    size_t n_known;
    bool linked;   /* a composed tree: files with other links are told by number */
    bool tolerant; /* what cannot be read is a line of its own, not an error */
    const struct image_progress *progress; /* for cancelling; may be NULL */
    uint64_t bytes;                        /* read; filled */
};

/* Fills t with the tree, sorted. */
int treesum_walk(struct treesum *t, int rootfd, struct treesum_options *options,
                 struct error *err);

/* Writes the file below dirfd; *sum is its digest, to be kept elsewhere. */
int treesum_write(const struct treesum *t, int dirfd, struct digest *sum,
                  struct error *err);
/* 0; 1 when the file is missing or its digest is another one; -1. */
int treesum_read(struct treesum *t, int dirfd, const struct digest *sum,
                 struct error *err);

/* Calls differs for each path that is "missing", "added" or "changed"; how many. */
size_t treesum_compare(const struct treesum *expected, const struct treesum *found,
                       void (*differs)(void *arg, const char *how, const char *path),
                       void *arg);

#endif
