/* treesum: what a tree consists of, one line for each entry, so that a later look finds
 * a flipped bit and a missing, added or changed file.
 *
 * A line has the path and what is there:
 *   d MODE           directory
 *   f MODE SIZE SUM  file; SUM is the checksum of its content (contentsum.h), "-" of
 *                    an empty file
 *   l TARGET         symbolic link
 *
 * File format: "<path>\0<what>\0", sorted by path; paths are relative, "" is the tree.
 */
#ifndef REPX_IMAGE_TREESUM_H
#define REPX_IMAGE_TREESUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/contentsum.h"
#include "image/digest.h"

struct error;
struct image_progress;
struct layernotes;

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

/* Takes both, also on failure; NULL for one of them is a failed allocation. */
int treesum_add(struct treesum *t, char *path, char *what, struct error *err);
/* Moves the lines of other to the end of t. */
int treesum_append(struct treesum *t, struct treesum *other, struct error *err);
void treesum_sort(struct treesum *t);
/* The line of this path, NULL when there is none; t is sorted. */
const struct treesum_line *treesum_find(const struct treesum *t, const char *path);

/* What stands in a line; owned by the caller, NULL when out of memory. mode: permission
 * bits; sum: "" of an empty file. */
char *treesum_dir(mode_t mode);
char *treesum_file(mode_t mode, uint64_t size, const char *sum);
char *treesum_link(const char *target);

/* Content sums by file number: what was read once is not read again under another name
 * or in another tree of the same file system. */
struct treesum_inode {
    uint64_t ino;
    char sum[CONTENTSUM_HEX_LEN + 1];
};

struct treesum_inodes {
    struct treesum_inode *items;
    size_t n, cap;
};

void treesum_inodes_release(struct treesum_inodes *i);
void treesum_inodes_sort(struct treesum_inodes *i);

struct treesum_options {
    const struct treesum_inodes *known; /* sorted; may be NULL */
    struct treesum_inodes *learn;       /* gets the files that were read; may be NULL */
    bool tolerant;  /* what cannot be read is a line of its own, not an error */
    uint64_t total; /* of the bytes that will be read, for progress: phase "confirm"; 0:
                     * the caller tells how far it is */
    const struct image_progress *progress; /* for cancelling; may be NULL */
    uint64_t bytes;                        /* read; filled */
};

/* Fills t with the tree, sorted. */
int treesum_walk(struct treesum *t, int rootfd, struct treesum_options *options,
                 struct error *err);

/* Puts a layer's lines on top of t, which has those of the layers below, as
 * compose_layer puts its tree; both are sorted, layer is used up. 1: only a walk over
 * the composed tree can tell, because a name leads through a symbolic link; t is not to
 * be used then. */
int treesum_compose(struct treesum *t, struct treesum *layer,
                    const struct layernotes *notes, struct error *err);

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
