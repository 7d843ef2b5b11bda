/* treewriter: makes the files of one layer below a directory descriptor, whatever their
 * names and order are. The archive is hostile: parents are opened with the tree as
 * their root (a link to /etc leads to the tree's own /etc), the last component is never
 * followed, files are made with O_EXCL after what was there has been unlinked.
 *
 * With a pool, the content of regular files is written by its threads (treefiles) while
 * the caller goes on; everything else is made at once, in the archive's order. Where
 * the order of an entry and of files still under way could matter, the writer waits for
 * them: before a name that the layer has had already (nameset), a hard link to a file
 * that may not be complete, a parent that may be a file; and, from the first entry on
 * whose path leads through a symbolic link, before every entry, because names no longer
 * say what is the same then.
 *
 * Differences from tar's own extraction, on purpose:
 *   owner     the calling user
 *   modes     kept without setuid, setgid and sticky bits; directories get u+rwx and
 *             files u+r: the owner is the user, who must be able to write into, link
 * and remove the tree, which a job only ever sees mounted read-only skipped   device
 * nodes, sockets and FIFOs, with a count; xattrs and ACLs whiteouts ".wh.NAME" and
 * ".wh..wh..opq" stay as empty files; AUFS's own ".wh..wh.*" are skipped
 */
#ifndef REPX_IMAGE_TREEWRITER_H
#define REPX_IMAGE_TREEWRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "image/layernotes.h"
#include "image/nameset.h"
#include "image/treefiles.h"
#include "image/treesum.h"

struct block;
struct error;
struct image_progress;
struct workpool;

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct treewriter_dir;

struct treewriter {
    bool for_everybody; /* the tree is root's and read by all users: their bits are the
                         * owner's, but for writing */
    int rootfd;         /* borrowed */
    struct treedir *root; /* the same, made when it is needed */
    struct treedir *parent;
    char *parent_name; /* of the directory that parent is */
    struct treefiles files;
    struct nameset names;
    struct layernotes notes;
    struct treewriter_dir *dirs; /* whose times are set at the end */
    size_t n_dirs, cap_dirs;
    struct treesum sums;   /* of what is no regular file */
    struct strv hardlinks; /* name, target, ... inside this layer */
    bool probed;
    bool aliased;  /* an entry's path led through a symbolic link */
    bool replaced; /* something was taken away again: the lines of sums are not true */
    uint64_t entries, bytes, skipped;
};

/* pool: whose threads make the files; the caller is a long task of it then. NULL: each
 * is complete when the call returns. */
void treewriter_init(struct treewriter *w, int rootfd);
void treewriter_use_pool(struct treewriter *w, struct workpool *pool);
/* Waits for files under way. */
void treewriter_release(struct treewriter *w);

struct treewriter_attr {
    mode_t mode; /* permission bits */
    struct timespec mtime;
};

/* Names are plain (tarstream_plain_name); "" is the tree itself, only for a directory.
 */
int treewriter_dir(struct treewriter *w, const char *name,
                   const struct treewriter_attr *attr, struct error *err);
/* A regular file of size bytes: begin, then data in ascending order (treefiles_data),
 * then end. */
int treewriter_file(struct treewriter *w, const char *name, uint64_t size,
                    const struct treewriter_attr *attr, struct error *err);
int treewriter_file_data(struct treewriter *w, struct block *block, const void *data,
                         size_t len, uint64_t offset, struct error *err);
int treewriter_file_end(struct treewriter *w, struct error *err);
int treewriter_symlink(struct treewriter *w, const char *name, const char *target,
                       const struct treewriter_attr *attr, struct error *err);
/* target is plain too. When this layer has no such file it goes to the notes. */
int treewriter_hardlink(struct treewriter *w, const char *name, const char *target,
                        struct error *err);

/* The name's last component starts with ".wh.": makes the marker. 0; 1 when the name is
 * not a whiteout; an impossible one ("..", a whiteout of a parent) is an error. */
int treewriter_whiteout(struct treewriter *w, const char *name, struct error *err);

/* Waits for the files, sets the directories' times and completes the notes. */
int treewriter_finish(struct treewriter *w, struct error *err);
/* The finished tree's lines, without looking at it where that is not needed. Moves
 * them out of w. progress: for cancelling; may be NULL. */
int treewriter_sums(struct treewriter *w, struct treesum *out,
                    const struct image_progress *progress, struct error *err);

#endif
