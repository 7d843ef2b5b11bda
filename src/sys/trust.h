/* trust: may this file or directory be believed? Neighbours on the node are hostile;
 * /tmp and scratch roots are writable by all. */
#ifndef REPX_SYS_TRUST_H
#define REPX_SYS_TRUST_H

#include <sys/types.h>

struct error;

/* Opens (creating what is missing with 0700) an absolute directory that only the
 * calling user can have filled: the last directory must be a real directory (no link),
 * owned by the user, with no write permission for group and others; every directory on
 * the way must belong to root or the user and be writable by nobody else, or have the
 * sticky bit (/tmp). A symbolic link on the way must belong to root or the user.
 * Returns the descriptor. */
int trust_private_dir(const char *path, struct error *err);

/* A site file: regular, owned by root, not writable by group or others, and so are the
 * directories on its way (those above the last one may have the sticky bit instead).
 * path is absolute and must still lead to the file behind fd. */
int trust_site_file(int fd, const char *path, struct error *err);

/* Opens an existing directory that only root can have filled: it and every directory on
 * the way belong to root and are writable by nobody else (those on the way may have the
 * sticky bit instead). errnum ENOENT when it does not exist. Returns the descriptor. */
int trust_site_dir(const char *path, struct error *err);

/* A program we are about to execute as the user: regular, executable, owned by root or
 * the user, not writable by others. */
int trust_program(int fd, const char *path, struct error *err);

#endif
