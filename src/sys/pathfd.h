/* pathfd: paths as descriptors, each opened under a named policy (openat2(2),
 * Linux 5.6).
 *
 *   in_root   symbolic links and ".." are followed as if dirfd were "/" (an image's
 * tree) beneath   links are followed, leaving dirfd is an error (a lab, a store)
 *   nofollow  no symbolic link anywhere on the way; a relative path cannot leave dirfd
 *
 * All refuse magic links (/proc/N/fd). EAGAIN of a racing rename is retried, bounded.
 * Every descriptor is close-on-exec. Functions return the descriptor, or -1 with err
 * filled (errnum ENOENT, EXDEV, ELOOP, ... is kept so that callers can tell).
 */
#ifndef REPX_SYS_PATHFD_H
#define REPX_SYS_PATHFD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct error;
struct strv;

int pathfd_open_in_root(int dirfd, const char *path, int flags, mode_t mode,
                        struct error *err);
int pathfd_open_beneath(int dirfd, const char *path, int flags, mode_t mode,
                        struct error *err);
int pathfd_open_nofollow(int dirfd, const char *path, int flags, mode_t mode,
                         struct error *err);
/* An ordinary open(2) of a path the user or site gave, relative to the cwd. A file that
 * flags create gets 0666 less the umask. */
int pathfd_open_user(const char *path, int flags, struct error *err);

/* Where the descriptor is now (readlink of /proc/self/fd). Owned by the caller. */
char *pathfd_name(int fd, struct error *err);

/* The canonical absolute path of an existing path. Owned by the caller. */
char *pathfd_canonical(const char *path, struct error *err);

/* Lexical: absolute against the cwd, without ".", "//" and ".."; need not exist; does
 * not resolve links. Owned by the caller. */
char *pathfd_absolute(const char *path, struct error *err);

/* Makes every missing directory of a relative path beneath dirfd and returns the last
 * one opened (O_RDONLY|O_DIRECTORY). Never goes through a symbolic link. */
int pathfd_make_dirs(int dirfd, const char *path, mode_t mode, struct error *err);

/* mkdir -p of an absolute path with links followed; then opened as a directory. */
int pathfd_make_dirs_user(const char *path, mode_t mode, struct error *err);

/* Appends the names in a directory but "." and "..", and sorts the list. */
int pathfd_names(int dirfd, struct strv *names, struct error *err);

/* Appends a whole regular file of at most max bytes; larger is an error that says so.
 */
int pathfd_read_all(int fd, size_t max, struct buf *out, struct error *err);

/* Removes name beneath dirfd with all below it, also where directories have mode 0555
 * or 0000; never follows a link, never crosses into a mount. A missing name is success.
 */
int pathfd_remove_tree(int dirfd, const char *name, struct error *err);

/* Removes what the directory holds and keeps the directory itself. */
int pathfd_empty_dir(int dirfd, struct error *err);

#endif
