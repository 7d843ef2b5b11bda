/* What a crash of the machine may take, and what not any more.
 *
 * An image is used as soon as it is complete, out of the page cache: its record says in
 * which boot that was, and another boot does not believe it. Once its data is known to
 * be on the disk, its directory and those of its layers carry the mark that lets it
 * outlive a boot. Writing out in the launch itself would take longer than everything
 * else in it (decision 25). */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/store_private.h"

/* The kernel writes what is older than 30 seconds (vm.dirty_expire_centisecs), looking
 * every 5: by then syncfs has next to nothing left to do for an image. */
#define SETTLE_AFTER 60

struct marks {
    int *fds;
    size_t n;
};

static void marks_release(struct marks *m)
{
    for (size_t i = 0; i < m->n; i++)
        close(m->fds[i]);
    free(m->fds);
}

static int open_entry(int parent, const char *hex)
{
    return openat(parent, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opened before the sync: what has the layer's name afterwards may be another one. A
 * layer that is left out costs an extraction after a crash. */
static int open_layers(struct store *s, int rootfs, struct marks *m, struct error *err)
{
    _cleanup_strv_ struct strv layers = STRV_INIT;

    if (store_record_layers(rootfs, &layers, err) < 0)
        return -1;
    m->fds = calloc(layers.count + 1, sizeof(*m->fds));
    if (!m->fds)
        return error_oom(err);
    for (size_t i = 0; i < layers.count; i++) {
        int fd = open_entry(s->layers_fd, layers.items[i]);

        if (fd >= 0)
            m->fds[m->n++] = fd;
    }
    return 0;
}

int store_settle_at(struct store *s, int dirfd, struct error *err)
{
    _cleanup_(marks_release) struct marks layers = {0};

    if (open_layers(s, dirfd, &layers, err) < 0)
        return -1;
    if (syncfs(dirfd) < 0)
        return error_sys(err, errno, "cannot write the image to the disk");
    for (size_t i = 0; i < layers.n; i++)
        if (store_record_mark_durable(layers.fds[i], err) < 0)
            return -1;
    return store_record_mark_durable(dirfd, err);
}

static bool is_due(int dirfd)
{
    struct stat st;

    return faccessat(dirfd, STORE_DURABLE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
           fstatat(dirfd, STORE_RECORD, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           time(NULL) - st.st_mtim.tv_sec >= SETTLE_AFTER;
}

void store_settle(struct store *s, const struct digest *id)
{
    _cleanup_close_ int dir = open_entry(s->rootfs_fd, id->hex);
    struct lockfile lock = LOCKFILE_INIT;
    struct error ignored = ERROR_INIT;

    if (dir < 0 || !is_due(dir))
        return;
    if (lockfile_try(&lock, s->locks_fd, "settle.lock", true, &ignored) == 0 &&
        is_due(dir))
        store_settle_at(s, dir, &ignored);
    lockfile_release(&lock);
}
