/* The root image: symbolic links of a root directory, nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/linktar.h"
#include "runtime/docker.h"
#include "runtime/runtime_internal.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"

#define REPOSITORY "repx-launch/root"
#define IMPORT_LOCK "docker-import.lock"

static int read_link(int dir, const char *name, struct strv *names,
                     struct strv *targets, struct error *err)
{
    char target[4096];
    struct stat st;
    ssize_t n;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_sys(err, errno, "cannot look at the root of the sandbox");
    if (!S_ISLNK(st.st_mode))
        return 0;
    n = readlinkat(dir, name, target, sizeof(target) - 1);
    if (n < 0)
        return error_sys(err, errno, "cannot read the link %s", name);
    target[n] = '\0';
    strv_add(names, name);
    strv_add(targets, target);
    return 0;
}

static int list_links(const struct engine *e, struct strv *names, struct strv *targets,
                      struct error *err)
{
    _cleanup_close_ int dir =
        pathfd_open_nofollow(e->dirfd, ENGINE_ROOTFS, O_RDONLY | O_DIRECTORY, 0, err);
    _cleanup_strv_ struct strv all = STRV_INIT;

    /* in order: the same links, the same image */
    if (dir < 0 || pathfd_names(dir, &all, err) < 0)
        return -1;
    for (size_t i = 0; i < all.count; i++)
        if (read_link(dir, all.items[i], names, targets, err) < 0)
            return -1;
    return strv_check(names, err) < 0 ? -1 : strv_check(targets, err);
}

/* docker WORDS...; 0, 1 failed, -1. */
static int run_docker(const struct engine *e, const char *const *words, int stdin_fd,
                      struct error *err)
{
    _cleanup_strv_ struct strv argv = STRV_INIT, env = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;

    docker_globals(e->tools, e->dir, &argv);
    for (; *words; words++)
        strv_add(&argv, *words);
    if (strv_check(&argv, err) < 0 || docker_env(e->dir, &env, err) < 0)
        return -1;
    return engine_run(strv_argv(&argv), strv_argv(&env), stdin_fd, &output, err);
}

static int has_image(const struct engine *e, const char *tag, struct error *err)
{
    struct error ignored = ERROR_INIT;
    const char *const words[] = {"image", "inspect", "--format", "{{.Id}}", tag, NULL};
    int r = run_docker(e, words, -1, &ignored);

    if (r < 0)
        *err = ignored;
    return r < 0 ? -1 : r == 0;
}

static int import(const struct engine *e, const char *tag, const struct buf *tar,
                  struct error *err)
{
    const char *const words[] = {"import", "--change", "LABEL repx-launch=root",
                                 "-",      tag,        NULL};
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;
    _cleanup_close_ int fd = fdio_memfd("repx-root", buf_str(tar), tar->len, err);
    int there;

    if (fd < 0 || lockfile_take(&lock, e->parent_fd, IMPORT_LOCK, true, err) < 0)
        return -1;
    there = has_image(e, tag, err); /* somebody else was first */
    if (there != 0)
        return there < 0 ? -1 : 0;
    if (run_docker(e, words, fd, err) != 0)
        return error_context(err, "cannot import the root image");
    return 0;
}

int docker_root_image(const struct engine *e, char **tag, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT, targets = STRV_INIT;
    _cleanup_buf_ struct buf tar = BUF_INIT;
    struct digest digest;
    int there;

    if (list_links(e, &names, &targets, err) < 0 ||
        linktar_write(&names, &targets, &tar, err) < 0 ||
        digest_of(buf_str(&tar), tar.len, &digest, err) < 0)
        return -1;
    *tag = str_printf(REPOSITORY ":%s", digest.hex);
    if (!*tag)
        return error_oom(err);
    there = has_image(e, *tag, err);
    return there > 0 ? 0 : there < 0 ? -1 : import(e, *tag, &tar, err);
}
