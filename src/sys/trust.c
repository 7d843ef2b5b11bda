#include "sys/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/pathfd.h"

#define LINKS_MAX 40 /* as the kernel */
#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)

/* A walk from "/" to a path, one component at a time, with every step examined through
 * the descriptor that the next step starts from: what was checked is what is used. */
struct walk {
    const char *path; /* as it was given, for messages */
    uid_t user;       /* who may own things beside root */
    bool create;      /* make missing directories */
    int cur;          /* O_PATH; the last component in the end */
    char *rest;       /* owned; what is still to go */
    unsigned links;
    struct stat parent; /* the directory of a last component that is a file */
};

static void walk_release(struct walk *w)
{
    free(w->rest);
    if (w->cur >= 0)
        close(w->cur);
}

/* "/tmp/x" for component x of the current directory; owned by the caller, may be NULL.
 */
static char *step_name(const struct walk *w, const char *name)
{
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *dir = pathfd_name(w->cur, &ignored);

    return str_printf("%s/%s", !dir ? "..." : strcmp(dir, "/") == 0 ? "" : dir, name);
}

static int step_error(const struct walk *w, struct error *err, int errnum,
                      const char *name, const char *what)
{
    _cleanup_free_ char *where = step_name(w, name);

    return error_sys(err, errnum, "cannot trust '%s': '%s' %s", w->path,
                     where ? where : name, what);
}

/* Names what is wrong with the ownership of a component, and what to do. */
static int distrust(const char *path, const char *where, const struct stat *st,
                    const char *what, const char *hint, struct error *err)
{
    error_fail(err, "cannot trust '%s': '%s' %s (owner uid %u, mode %04o)", path, where,
               what, (unsigned)st->st_uid, (unsigned)st->st_mode & 07777);
    return error_hint(err, "%s", hint);
}

static int step_distrust(const struct walk *w, const char *name, const struct stat *st,
                         const char *what, const char *hint, struct error *err)
{
    _cleanup_free_ char *where = step_name(w, name);

    return distrust(w->path, where ? where : name, st, what, hint, err);
}

static bool owner_ok(const struct walk *w, const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == w->user;
}

static int check_owner(const struct walk *w, const char *name, const struct stat *st,
                       struct error *err)
{
    struct stat up;

    if (owner_ok(w, st))
        return 0;
    if (fstat(w->cur, &up) == 0 && (up.st_mode & S_ISVTX) && (up.st_mode & S_IWOTH))
        return step_distrust(w, name, st,
                             "was made by another user in a directory that everybody "
                             "may write to",
                             "configure a path whose name nobody else has taken", err);
    return step_distrust(w, name, st, "belongs to another user",
                         w->user == 0
                             ? "configure a path that only root controls"
                             : "configure a path that only root and you control",
                         err);
}

static int check_way(const struct walk *w, const char *name, const struct stat *st,
                     struct error *err)
{
    if (check_owner(w, name, st, err) < 0)
        return -1;
    if ((st->st_mode & WRITABLE_BY_OTHERS) && !(st->st_mode & S_ISVTX))
        return step_distrust(w, name, st, "can be written to by others",
                             "run 'chmod go-w' on it, or configure a path that only "
                             "you control",
                             err);
    return 0;
}

/* Puts a link's target in front of what is still to go. */
static int follow(struct walk *w, int link, const char *name, struct error *err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);
    char *rest;

    if (n < 0)
        return step_error(w, err, errno, name, "cannot be read as a symbolic link");
    if (++w->links > LINKS_MAX)
        return step_error(w, err, ELOOP, name, "is one symbolic link too many");
    target[n] = '\0';
    rest = str_printf("%s/%s", target, w->rest);
    if (!rest)
        return error_oom(err);
    free(w->rest);
    w->rest = rest;
    if (target[0] == '/') {
        int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (root < 0)
            return error_sys(err, errno, "cannot open '/'");
        close(w->cur);
        w->cur = root;
    }
    return 0;
}

/* Opens name in the current directory, made when it is missing and may be. *made says
 * that the mkdir was ours. */
static int open_step(const struct walk *w, const char *name, bool *made,
                     struct error *err)
{
    int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(w->cur, name, flags);

    *made = false;
    if (fd < 0 && errno == ENOENT && w->create) {
        *made = mkdirat(w->cur, name, 0700) == 0;
        if (!*made && errno != EEXIST) {
            step_error(w, err, errno, name, "cannot be made");
            return error_hint(err, "configure a path where you may write");
        }
        fd = openat(w->cur, name, flags);
    }
    if (fd < 0)
        return step_error(w, err, errno, name, "cannot be opened");
    return fd;
}

/* Takes the next component off w->rest into name. False at the end. */
static bool next_component(struct walk *w, char name[NAME_MAX + 1], struct error *err,
                           int *ret)
{
    const char *p = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(p, "/");

    *ret = 0;
    if (n == 0)
        return false;
    if (n > NAME_MAX) {
        *ret = error_sys(err, ENAMETOOLONG, "cannot trust '%s'", w->path);
        return false;
    }
    memcpy(name, p, n);
    name[n] = '\0';
    p += n;
    memmove(w->rest, p, strlen(p) + 1);
    return true;
}

/* One component. The last one may be no link when directories are to be made, and need
 * not be a directory otherwise. */
static int step(struct walk *w, const char *name, bool last, struct error *err)
{
    _cleanup_close_ int fd = -1;
    struct stat st;
    bool made;

    fd = open_step(w, name, &made, err);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return step_error(w, err, errno, name, "cannot be examined");
    if (S_ISLNK(st.st_mode)) {
        if (check_owner(w, name, &st, err) < 0)
            return -1;
        if (last && w->create)
            return step_distrust(w, name, &st, "is a symbolic link",
                                 "configure the path that it leads to", err);
        return follow(w, fd, name, err);
    }
    if (S_ISDIR(st.st_mode)) {
        if (check_way(w, name, &st, err) < 0)
            return -1;
    } else if (!last || w->create) {
        return step_error(w, err, ENOTDIR, name, "cannot be entered");
    } else if (fstat(w->cur, &w->parent) < 0) {
        return step_error(w, err, errno, name, "cannot be examined");
    }
    if (made && st.st_uid != geteuid())
        return step_distrust(
            w, name, &st,
            "was made just now but belongs to somebody "
            "else",
            "root is perhaps mapped to another user there (root_squash)", err);
    close(w->cur);
    w->cur = steal_fd(&fd);
    return 0;
}

static int walk_run(struct walk *w, struct error *err)
{
    char name[NAME_MAX + 1];
    struct stat st;
    int ret;

    w->rest = strdup(w->path);
    if (!w->rest)
        return error_oom(err);
    w->cur = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->cur < 0 || fstat(w->cur, &st) < 0)
        return error_sys(err, errno, "cannot open '/'");
    if (check_way(w, "", &st, err) < 0)
        return -1;
    while (next_component(w, name, err, &ret)) {
        bool last = w->rest[strspn(w->rest, "/")] == '\0';

        if (strcmp(name, ".") != 0 && step(w, name, last, err) < 0)
            return -1;
    }
    return ret;
}

#define _cleanup_walk_ __attribute__((cleanup(walk_release)))

int trust_private_dir(const char *path, struct error *err)
{
    _cleanup_walk_ struct walk w = {
        .path = path, .user = geteuid(), .create = true, .cur = -1};
    struct stat st;
    int fd;

    if (path[0] != '/')
        return error_fail(err, "cannot trust '%s': it must be an absolute path", path);
    if (walk_run(&w, err) < 0)
        return -1;
    if (fstat(w.cur, &st) < 0)
        return error_sys(err, errno, "cannot examine '%s'", path);
    if (st.st_uid != w.user)
        return distrust(path, path, &st, "is not yours",
                        "configure a directory below it", err);
    if (st.st_mode & WRITABLE_BY_OTHERS)
        return distrust(path, path, &st, "can be written to by others",
                        "run 'chmod 700' on it, or configure a directory below it",
                        err);
    fd = openat(w.cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? error_sys(err, errno, "cannot open the directory '%s'", path) : fd;
}

int trust_site_dir(const char *path, struct error *err)
{
    _cleanup_walk_ struct walk w = {.path = path, .user = 0, .cur = -1};
    struct stat st;
    int fd;

    if (path[0] != '/')
        return error_fail(err, "cannot trust '%s': it must be an absolute path", path);
    if (walk_run(&w, err) < 0)
        return -1;
    fd = openat(w.cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open the directory '%s'", path);
    if (fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & WRITABLE_BY_OTHERS))
        return fd;
    close(fd);
    return distrust(path, path, &st, "can be written to by others",
                    "run 'chmod go-w' on it, or name a directory that is root's alone",
                    err);
}

/* The file itself: regular, of root (or user), and closed to other writers. */
static int check_file(int fd, const char *path, uid_t user, struct stat *st,
                      struct error *err)
{
    if (fstat(fd, st) < 0)
        return error_sys(err, errno, "cannot examine '%s'", path);
    if (!S_ISREG(st->st_mode))
        return distrust(path, path, st, "is not a regular file",
                        "put a regular file in its place", err);
    if (st->st_uid != 0 && st->st_uid != user)
        return distrust(path, path, st,
                        user == 0 ? "does not belong to root"
                                  : "belongs neither to root nor to you",
                        user == 0 ? "run 'chown root' on it after reading what it says"
                                  : "use one that root installed, or your own",
                        err);
    if (st->st_mode & WRITABLE_BY_OTHERS)
        return distrust(path, path, st, "can be written to by others",
                        "run 'chmod go-w' on it after reading what it says", err);
    return 0;
}

int trust_site_file(int fd, const char *path, struct error *err)
{
    _cleanup_walk_ struct walk w = {.path = path, .user = 0, .cur = -1};
    struct stat st, seen;

    if (check_file(fd, path, 0, &st, err) < 0)
        return -1;
    if (path[0] != '/')
        return error_fail(err, "cannot trust '%s': it must be an absolute path", path);
    if (walk_run(&w, err) < 0)
        return -1;
    if (fstat(w.cur, &seen) < 0)
        return error_sys(err, errno, "cannot examine '%s'", path);
    if (seen.st_dev != st.st_dev || seen.st_ino != st.st_ino)
        return error_fail(err,
                          "cannot trust '%s': it was replaced while it was being "
                          "read; try again",
                          path);
    /* The sticky bit keeps others from replacing what root has there, but not from
     * linking a file of root's to this name: so it does not do for the last directory.
     */
    if (w.parent.st_mode & WRITABLE_BY_OTHERS)
        return distrust(path, "its directory", &w.parent, "can be written to by others",
                        "move the file to a directory that only root may write to",
                        err);
    return 0;
}

int trust_program(int fd, const char *path, struct error *err)
{
    struct stat st;

    if (check_file(fd, path, geteuid(), &st, err) < 0)
        return -1;
    if (!(st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return distrust(path, path, &st, "is not executable", "run 'chmod +x' on it",
                        err);
    return 0;
}
