/* The directory of a launch: made, locked, filled, swept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/engine.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"
#include "sys/trust.h"

#define ENGINES "engines"
#define ID_PREFIX "repx-"
#define LOCK "lock"
#define NAME "engine" /* which one, for who sweeps */

char *engine_path(const struct engine *e, const char *name, struct error *err)
{
    char *path = str_printf("%s/%s", e->dir, name);

    if (!path)
        error_oom(err);
    return path;
}

int engine_write(const struct engine *e, const char *name, const char *text, size_t len,
                 struct error *err)
{
    _cleanup_free_ char *dir = strdup(name);
    char *slash = dir ? strrchr(dir, '/') : NULL;
    _cleanup_close_ int fd = -1;

    if (!dir)
        return error_oom(err);
    if (!slash)
        return atomicfile_write(e->dirfd, name, text, len, 0600, false, err);
    *slash = '\0';
    fd = pathfd_make_dirs(e->dirfd, dir, 0700, err);
    return fd < 0 ? -1 : atomicfile_write(fd, slash + 1, text, len, 0600, false, err);
}

/* repx-sandbox-init beside the socket: where it is installed may be a place that a
 * daemon, or root on a network file system, cannot read. */
static int copy_init(const struct engine *e, int channel, struct error *err)
{
    _cleanup_close_ int from = pathfd_open_user(e->tools->init, O_RDONLY, err);
    _cleanup_close_ int to = -1;
    struct stat st;
    off_t done = 0;

    if (from < 0)
        return error_context(err, "the sandbox's init");
    if (trust_program(from, e->tools->init, err) < 0)
        return -1;
    to = openat(channel, "init", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (to < 0 || fstat(from, &st) < 0 || fchmod(to, 0755) < 0)
        return error_sys(err, errno, "cannot copy %s to %s", e->tools->init, e->dir);
    while (done < st.st_size)
        if (sendfile(to, from, &done, (size_t)(st.st_size - done)) <= 0)
            return error_sys(err, errno, "cannot copy %s to %s", e->tools->init,
                             e->dir);
    return 0;
}

/* A socket's path has 107 bytes; through the descriptor of its directory it is short.
 */
static int listen_at(struct engine *e, int channel, struct error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/socket",
             channel);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, 1) < 0)
        return error_sys(err, errno, "cannot make a socket in %s", e->dir);
    e->listen_fd = steal_fd(&fd);
    return 0;
}

static int open_channel(struct engine *e, struct error *err)
{
    _cleanup_close_ int channel = pathfd_make_dirs(e->dirfd, "channel", 0755, err);

    if (channel < 0)
        return -1;
    if (fchmod(channel, 0755) < 0)
        return error_sys(err, errno, "cannot prepare %s", e->dir);
    return copy_init(e, channel, err) < 0 ? -1 : listen_at(e, channel, err);
}

/* The lock of all directories, shared, keeps a sweep away from one that is not locked
 * yet. */
static int make_dir(struct engine *e, const char *parent, struct error *err)
{
    _cleanup_(lockfile_release) struct lockfile all = LOCKFILE_INIT;
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_sys(err, errno, "cannot get random bytes");
    snprintf(e->id, sizeof(e->id), ID_PREFIX "%016llx", (unsigned long long)random);
    e->dir = str_printf("%s/%s", parent, e->id);
    if (!e->dir)
        return error_oom(err);
    if (lockfile_take(&all, e->parent_fd, LOCK, false, err) < 0)
        return -1;
    if (mkdirat(e->parent_fd, e->id, 0700) < 0)
        return error_sys(err, errno, "cannot make the directory %s", e->dir);
    e->dirfd =
        pathfd_open_nofollow(e->parent_fd, e->id, O_RDONLY | O_DIRECTORY, 0, err);
    if (e->dirfd < 0)
        return -1;
    if (lockfile_take(&e->lock, e->dirfd, LOCK, true, err) < 0)
        return -1;
    return engine_write(e, NAME, e->backend->name, strlen(e->backend->name), err);
}

int engine_make_short(const struct engine *e, struct error *err)
{
    _cleanup_free_ char *path = str_printf(ENGINE_SHORT "/%s", e->id);
    _cleanup_close_ int fd = path ? trust_private_dir(path, err) : error_oom(err);

    /* for who finds it and wonders */
    if (fd >= 0 && symlinkat(e->dir, fd, "launch") < 0)
        return error_sys(err, errno, "cannot write to %s", path);
    return steal_fd(&fd);
}

/* What was mounted by podman as root is gone when its container is; the directory goes
 * last, because a sweep finds the rest by it. */
static void remove_dir(int parent_fd, const char *id, const char *dir)
{
    _cleanup_close_ int parent = -1;
    struct error err = ERROR_INIT;

    parent = pathfd_open_user(ENGINE_SHORT, O_RDONLY | O_DIRECTORY, &err);
    if (parent < 0 || pathfd_remove_tree(parent, id, &err) < 0 ||
        pathfd_remove_tree(parent_fd, id, &err) < 0)
        log_debug("%s is left for the next launch: %s", dir, err.text);
}

static bool read_engine_name(int dirfd, struct buf *out)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = pathfd_open_nofollow(dirfd, NAME, O_RDONLY, 0, &ignored);

    return fd >= 0 && pathfd_read_all(fd, 64, out, &ignored) == 0;
}

/* The directory of a launch that lives is locked. */
static void sweep_one(int parent_fd, const char *parent, const char *id,
                      const struct runtime_tools *tools)
{
    struct error err = ERROR_INIT;
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;
    _cleanup_buf_ struct buf name = BUF_INIT;
    _cleanup_free_ char *dir = str_printf("%s/%s", parent, id);
    _cleanup_close_ int fd =
        pathfd_open_nofollow(parent_fd, id, O_RDONLY | O_DIRECTORY, 0, &err);
    const struct runtime_backend *b;

    if (!dir || fd < 0 || lockfile_try(&lock, fd, LOCK, true, &err) != 0)
        return;
    /* a name is the last thing that is written before anything is started */
    if (read_engine_name(fd, &name)) {
        b = runtime_find(buf_str(&name));
        if (b && b->remove && b->remove(tools, dir, id, &err) < 0) {
            log_debug("container %s of a killed launch: %s", id, err.text);
            return;
        }
    }
    remove_dir(parent_fd, id, dir);
}

/* Removes what killed launches have left. Another launch that begins, or sweeps, does
 * not have to be waited for. */
static void sweep(int parent_fd, const char *parent, const struct runtime_tools *tools)
{
    _cleanup_(lockfile_release) struct lockfile all = LOCKFILE_INIT;
    struct error ignored = ERROR_INIT;
    _cleanup_closedir_ DIR *dir = NULL;
    int copy = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *d;

    dir = copy < 0 ? NULL : fdopendir(copy);
    if (!dir || lockfile_try(&all, parent_fd, LOCK, true, &ignored) != 0) {
        if (!dir)
            cleanup_closep(&copy);
        return;
    }
    while ((d = readdir(dir)))
        if (strncmp(d->d_name, ID_PREFIX, strlen(ID_PREFIX)) == 0)
            sweep_one(parent_fd, parent, d->d_name, tools);
}

static void fill_words(struct engine *e, const struct plan *plan)
{
    if (plan->joined) {
        strv_add(&e->words, INIT_MODE_HOLD);
        return;
    }
    strv_add(&e->words, plan->interactive ? INIT_MODE_TERMINAL : INIT_MODE_JOB);
    strv_add(&e->words, plan->cwd ? plan->cwd : "/");
    strv_extend(&e->words, strv_argv(&plan->argv));
    strv_extend(&e->env, strv_argv(&plan->env));
}

static int fill(struct engine *e, const struct plan *plan, struct error *err)
{
    _cleanup_free_ char *parent = NULL;

    if (!e->tools->state_dir)
        return error_fail(err, "%s needs a directory on this node; set node_local_path",
                          e->backend->name);
    parent = str_printf("%s/" ENGINES, e->tools->state_dir);
    if (!parent)
        return error_oom(err);
    e->parent_fd = trust_private_dir(parent, err);
    if (e->parent_fd < 0)
        return -1;
    sweep(e->parent_fd, parent, e->tools);
    if (make_dir(e, parent, err) < 0 || open_channel(e, err) < 0)
        return -1;
    fill_words(e, plan);
    return strv_check(&e->words, err) < 0 ? -1 : strv_check(&e->env, err);
}

struct engine *engine_new(const struct runtime_backend *backend,
                          const struct runtime_tools *tools, const struct plan *plan,
                          struct error *err)
{
    struct engine *e = calloc(1, sizeof(*e));

    if (!e) {
        error_oom(err);
        return NULL;
    }
    e->backend = backend;
    e->tools = tools;
    e->parent_fd = e->dirfd = e->listen_fd = -1;
    e->lock = (struct lockfile)LOCKFILE_INIT;
    if (fill(e, plan, err) < 0) {
        engine_free(e);
        return NULL;
    }
    return e;
}

void engine_free(struct engine *e)
{
    struct error err = ERROR_INIT;

    if (!e)
        return;
    cleanup_closep(&e->listen_fd);
    if (e->dirfd >= 0) {
        if (e->may_remain && e->backend->remove(e->tools, e->dir, e->id, &err) < 0)
            log_debug("container %s: %s", e->id, err.text);
        remove_dir(e->parent_fd, e->id, e->dir);
    }
    lockfile_release(&e->lock);
    cleanup_closep(&e->dirfd);
    cleanup_closep(&e->parent_fd);
    strv_release(&e->words);
    strv_release(&e->env);
    strv_release(&e->checks);
    free(e->dir);
    free(e);
}
