/* Mount points: looked up and made below a root that nothing can lead out of. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/stage_internal.h"
#include "sys/pathfd.h"

/* The directory that dest's last component is in, and that component. */
static int open_parent(int root, const char *dest, const char **name,
                       struct error *err);

/* The directory at path, made with its parents when it is missing. */
static int make_dir(int root, const char *path, struct error *err)
{
    const char *name;
    _cleanup_close_ int parent = -1;
    int fd = pathfd_open_in_root(root, path, O_PATH | O_DIRECTORY, 0, err);

    if (fd >= 0 || err->errnum != ENOENT)
        return fd;
    error_clear(err);
    parent = open_parent(root, path, &name, err);
    if (parent < 0)
        return -1;
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return error_sys(err, errno, "cannot make the directory '%s' in the sandbox",
                         path);
    return pathfd_open_in_root(root, path, O_PATH | O_DIRECTORY, 0, err);
}

static int open_parent(int root, const char *dest, const char **name, struct error *err)
{
    const char *slash = strrchr(dest, '/');
    _cleanup_free_ char *dir = NULL;

    *name = slash ? slash + 1 : dest;
    if (!slash || slash == dest)
        return pathfd_open_in_root(root, "/", O_PATH | O_DIRECTORY, 0, err);
    dir = strndup(dest, (size_t)(slash - dest));
    return dir ? make_dir(root, dir, err) : error_oom(err);
}

static int make_file(int root, const char *dest, struct error *err)
{
    const char *name;
    _cleanup_close_ int parent = open_parent(root, dest, &name, err);
    _cleanup_close_ int fd = -1;

    if (parent < 0)
        return -1;
    fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0644);
    if (fd < 0 && errno != EEXIST)
        return error_sys(err, errno, "cannot make the file '%s' in the sandbox", dest);
    return pathfd_open_in_root(root, dest, O_PATH, 0, err);
}

int stage_point(int root, const char *dest, enum stage_point type, struct error *err)
{
    int fd;

    if (type == STAGE_POINT_DIR)
        return make_dir(root, dest, err);
    fd = pathfd_open_in_root(root, dest, O_PATH, 0, err);
    if (fd >= 0 || err->errnum != ENOENT)
        return fd;
    error_clear(err);
    return make_file(root, dest, err);
}

int stage_symlink(int root, const char *target, const char *dest, struct error *err)
{
    const char *name;
    _cleanup_close_ int parent = open_parent(root, dest, &name, err);

    if (parent < 0)
        return -1;
    if (symlinkat(target, parent, name) < 0)
        return error_sys(err, errno, "cannot make the link '%s' in the sandbox", dest);
    return 0;
}

/* Is dest at or below dir? Both absolute and normal. */
static bool is_within(const char *dest, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(dest, dir, n) == 0 && (dest[n] == '\0' || dest[n] == '/');
}

bool stage_on_root(const struct plan *plan, size_t i)
{
    const char *dest = plan->mounts[i].dest;

    if (strcmp(dest, "/") == 0 || plan->mounts[i].kind == PLAN_MOUNT_REMOUNT_RO)
        return false;
    for (size_t k = 0; k < i; k++) {
        const struct plan_mount *m = &plan->mounts[k];

        if (m->kind != PLAN_MOUNT_DIR && m->kind != PLAN_MOUNT_SYMLINK &&
            strcmp(m->dest, "/") != 0 && is_within(dest, m->dest))
            return false;
    }
    return true;
}

enum stage_point stage_point_of(const struct assembly *a, size_t i)
{
    struct stat st;

    switch (a->plan->mounts[i].kind) {
    case PLAN_MOUNT_DATA:
        return STAGE_POINT_FILE;
    case PLAN_MOUNT_BIND_RO:
    case PLAN_MOUNT_BIND_RW:
    case PLAN_MOUNT_BIND_DEV:
        /* not staged (below /proc): a directory */
        if (a->sources[i] >= 0 && fstat(a->sources[i], &st) == 0 &&
            !S_ISDIR(st.st_mode))
            return STAGE_POINT_FILE;
        return STAGE_POINT_DIR;
    default:
        return STAGE_POINT_DIR;
    }
}
