/* treewriter: makes the files of one layer below a directory descriptor, whatever their
 * names and order are. The archive is hostile: parents are opened with the tree as
 * their root (a link to /etc leads to the tree's own /etc), the last component is never
 * followed, files are made with O_EXCL after what was there has been unlinked.
 *
 * Differences from tar's own extraction, on purpose:
 *   owner     the calling user
 *   modes     kept without setuid, setgid and sticky bits; directories get u+rwx and
 * files u+r: the owner is the user, who must be able to write into, link and remove the
 * tree, which a job only ever sees mounted read-only skipped   device nodes, sockets
 * and FIFOs, with a count; xattrs and ACLs whiteouts ".wh.NAME" and ".wh..wh..opq" stay
 * as empty files; AUFS's own ".wh..wh.*" are skipped
 */
#ifndef REPX_IMAGE_TREEWRITER_H
#define REPX_IMAGE_TREEWRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "image/layernotes.h"
#include "image/treesum.h"

struct error;

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

struct treewriter_dir;

struct treewriter {
    bool for_everybody; /* the tree is root's and read by all users: their bits are the
                         * owner's, but for writing */
    int rootfd;         /* borrowed */
    char *parent;       /* name of the directory that parentfd is open on */
    int parentfd;
    struct layernotes notes;
    struct treewriter_dir *dirs; /* whose times are set at the end */
    size_t n_dirs, cap_dirs;
    struct treesum_known *known; /* content of the files by number, for treesum */
    size_t n_known, cap_known;
    uint64_t entries, bytes, skipped;
};

void treewriter_init(struct treewriter *w, int rootfd);
void treewriter_release(struct treewriter *w);

struct treewriter_attr {
    mode_t mode; /* permission bits */
    struct timespec mtime;
    struct digest content; /* of a file that is not empty, as it was written */
};

/* Names are plain (tarstream_plain_name); "" is the tree itself, only for a directory.
 */
int treewriter_dir(struct treewriter *w, const char *name,
                   const struct treewriter_attr *attr, struct error *err);
/* The descriptor of a new, empty file, to be written by the caller and closed with
 * treewriter_file_end, which takes fd also on failure. */
int treewriter_file(struct treewriter *w, const char *name, struct error *err);
int treewriter_file_end(struct treewriter *w, int fd, const char *name, uint64_t size,
                        const struct treewriter_attr *attr, struct error *err);
int treewriter_symlink(struct treewriter *w, const char *name, const char *target,
                       const struct treewriter_attr *attr, struct error *err);
/* target is plain too. When this layer has no such file it goes to the notes. */
int treewriter_hardlink(struct treewriter *w, const char *name, const char *target,
                        struct error *err);

/* The name's last component starts with ".wh.": makes the marker. 0; 1 when the name is
 * not a whiteout; an impossible one ("..", a whiteout of a parent) is an error. */
int treewriter_whiteout(struct treewriter *w, const char *name, struct error *err);

/* Sets the directories' times and completes the notes. */
int treewriter_finish(struct treewriter *w, struct error *err);

#endif
