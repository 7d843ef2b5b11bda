/* source: where an image's files come from, a directory or a tar archive, behind one
 * table, so that the manifest readers and the extraction do not care. */
#ifndef REPX_IMAGE_SOURCE_H
#define REPX_IMAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct error;
struct source;

/* One open file of an image, read from its start to its end. */
struct blob {
    /* The next bytes, at most cap: their number, 0 at the end, -1. */
    ssize_t (*read)(struct blob *b, void *data, size_t cap, struct error *err);
    void (*free)(struct blob *b);
};

ssize_t blob_read(struct blob *b, void *data, size_t cap, struct error *err);
void blob_free(struct blob **b);

/* A descriptor's file as a blob; fd is borrowed and its offset is not used. */
struct blob *blob_of_fd(int fd, struct error *err);

struct source_stat {
    uint64_t size;   /* bytes as stored */
    bool compressed; /* by its first bytes */
};

/* Each returns 0, 1 when there is no such file, or -1 with err. Names are relative,
 * without
 * ".." (refused). */
struct source_ops {
    int (*read_file)(struct source *s, const char *name, struct buf *out,
                     struct error *err);
    int (*stat)(struct source *s, const char *name, struct source_stat *st,
                struct error *err);
    int (*open)(struct source *s, const char *name, struct blob **out,
                struct error *err);
};

struct source_member;

struct source {
    const struct source_ops *ops;
    int fd;             /* borrowed */
    bool lazy;          /* a manifest is read without a look at the layers it names */
    struct strv *names; /* gets the names of the files that were read; NULL: nobody */
    /* archives: what source_archive_index found */
    struct source_member *members;
    size_t n_members, cap_members;
    size_t captured; /* bytes of small JSON files kept in memory */
    bool rootfs;     /* it is a file system tree, the index was not completed */
    bool indexed;    /* all members are known */
    bool plain;      /* the archive itself is not compressed */
};

#define SOURCE_INIT                                                                    \
    {                                                                                  \
        .fd = -1                                                                       \
    }

/* JSON files of an image may have at most this many bytes. */
#define SOURCE_JSON_MAX ((size_t)8 * 1024 * 1024)

/* A directory. A file may be a symbolic link that leaves the directory (a lab's
 * layer.tar leads into the lab's store/: its content is checked by digest), but the
 * directories on the way may not, and it must be a regular file. */
void source_dir_init(struct source *s, int dirfd);

/* A tar archive, perhaps compressed. Only open works until source_archive_index was
 * called, which looks at each member, and of a compressed archive reads all. */
void source_archive_init(struct source *s, int fd);
int source_archive_index(struct source *s, struct error *err);

void source_release(struct source *s);

/* read_file of at most SOURCE_JSON_MAX bytes. */
int source_read_file(struct source *s, const char *name, struct buf *out,
                     struct error *err);
int source_stat(struct source *s, const char *name, struct source_stat *st,
                struct error *err);
int source_open(struct source *s, const char *name, struct blob **out,
                struct error *err);

#endif
