/* treecopy: one file of a tree again at another place, where a hard link cannot be. */
#ifndef REPX_IMAGE_TREECOPY_H
#define REPX_IMAGE_TREECOPY_H

struct error;

/* Hard link, or a copy with mode and time where the file system refuses the link
 * (EMLINK, EXDEV, EPERM and EOPNOTSUPP of file systems without hard links). Links are
 * not followed. 0; 1 when the new name exists; -1 with err (errnum ENOENT: no such
 * file). */
int treecopy_link(int fromdir, const char *from, int todir, const char *to,
                  struct error *err);

/* The copy alone, for tests and treecopy_link: regular files and symbolic links. */
int treecopy_copy(int fromdir, const char *from, int todir, const char *to,
                  struct error *err);

#endif
