#include "image/treefiles.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "image/blocks.h"
#include "image/treefiles_private.h"
#include "sys/workpool.h"

/* A file of at most a block is written by whoever takes its batch. */
#define SMALL_MAX BLOCK_SIZE

struct treedir *treedir_new(int fd, struct error *err)
{
    struct treedir *d = malloc(sizeof(*d));

    if (!d) {
        close(fd);
        error_oom(err);
        return NULL;
    }
    atomic_init(&d->refs, 1);
    d->fd = fd;
    return d;
}

struct treedir *treedir_ref(struct treedir *d)
{
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void treedir_unref(struct treedir *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    close(d->fd);
    free(d);
}

void treefiles_init(struct treefiles *f, struct workpool *pool)
{
    *f = (struct treefiles){.pool = pool, .failure = ERROR_INIT, .sums = TREESUM_INIT};
    pthread_mutex_init(&f->mutex, NULL);
}

void treefiles_release(struct treefiles *f)
{
    struct error ignored = ERROR_INIT;

    if (f->large)
        treefiles_large_end(f, false);
    treefiles_batch_drop(f);
    treefiles_wait(f, &ignored);
    treesum_release(&f->sums);
    pthread_mutex_destroy(&f->mutex);
}

int treefiles_file_init(struct treefiles_file *file, struct treedir *dir,
                        const char *path, uint64_t size,
                        const struct treefiles_attr *attr, struct error *err)
{
    *file = (struct treefiles_file){.size = size, .attr = *attr, .path = strdup(path)};
    if (!file->path)
        return error_oom(err);
    file->dir = treedir_ref(dir);
    return 0;
}

void treefiles_file_release(struct treefiles_file *file)
{
    treedir_unref(file->dir);
    free(file->path);
    *file = (struct treefiles_file){0};
}

int treefiles_open(const struct treefiles *f, const struct treefiles_file *file,
                   struct error *err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const char *slash = strrchr(file->path, '/');
    const char *name = slash ? slash + 1 : file->path;
    int fd;

    fd = openat(file->dir->fd, name, flags, f->exact ? file->attr.mode : 0600);
    /* Names that differ in the layer were kept apart by the caller. */
    if (fd < 0 && errno == EEXIST)
        return error_sys(err, EEXIST,
                         "cannot make the file; does the file system take two "
                         "different names for the same?");
    return fd < 0 ? error_sys(err, errno, "cannot make the file") : fd;
}

int treefiles_close(const struct treefiles *f, const struct treefiles_file *file,
                    int fd, bool set_size, struct error *err)
{
    const struct timespec times[2] = {file->attr.mtime, file->attr.mtime};
    int failed = 0;

    if (set_size && ftruncate(fd, (off_t)file->size) < 0)
        failed = errno;
    if (!failed && !f->exact && fchmod(fd, file->attr.mode) < 0)
        failed = errno;
    if (!failed && futimens(fd, times) < 0)
        failed = errno;
    /* NFS and quotas report a full disk at close. */
    if (close(fd) < 0 && !failed && errno != EINTR)
        failed = errno;
    return failed ? error_sys(err, failed, "cannot complete the file") : 0;
}

int treefiles_done(struct treesum *sums, struct treefiles_file *file, const char *sum,
                   struct error *err)
{
    return treesum_add(sums, steal_ptr(file->path),
                       treesum_file(file->attr.mode, file->size, sum), err);
}

void treefiles_fail(struct treefiles *f, const char *path, struct error *err)
{
    error_context(err, "entry \"%.300s\"", path);
    pthread_mutex_lock(&f->mutex);
    if (f->failure.class == ERROR_NONE)
        f->failure = *err;
    pthread_mutex_unlock(&f->mutex);
    atomic_store(&f->failed, true);
}

void treefiles_add_sums(struct treefiles *f, struct treesum *sums)
{
    struct error err = ERROR_INIT;
    int rc;

    pthread_mutex_lock(&f->mutex);
    rc = treesum_append(&f->sums, sums, &err);
    pthread_mutex_unlock(&f->mutex);
    treesum_release(sums);
    if (rc < 0)
        treefiles_fail(f, "", &err);
}

void treefiles_leave(struct treefiles *f)
{
    atomic_fetch_sub_explicit(&f->outstanding, 1, memory_order_release);
}

int treefiles_begin(struct treefiles *f, struct treedir *dir, const char *path,
                    uint64_t size, const struct treefiles_attr *attr, struct error *err)
{
    if (size > SMALL_MAX)
        return treefiles_large_begin(f, dir, path, size, attr, err);
    if (treefiles_batch_is_full(f))
        treefiles_flush(f);
    return treefiles_batch_begin(f, dir, path, size, attr, err);
}

int treefiles_data(struct treefiles *f, struct block *block, const void *data,
                   size_t len, uint64_t offset, struct error *err)
{
    return f->large ? treefiles_large_data(f, block, data, len, offset, err)
                    : treefiles_batch_data(f, block, data, len, offset, err);
}

int treefiles_end(struct treefiles *f, struct error *err)
{
    if (f->large)
        treefiles_large_end(f, true);
    if (!f->pool)
        treefiles_flush(f);
    return treefiles_check(f, err);
}

void treefiles_flush(struct treefiles *f)
{
    treefiles_batch_push(f);
}

static bool is_done(void *arg)
{
    struct treefiles *f = arg;

    return atomic_load_explicit(&f->outstanding, memory_order_acquire) == 0;
}

int treefiles_wait(struct treefiles *f, struct error *err)
{
    treefiles_flush(f);
    if (f->pool && !is_done(f))
        workpool_wait(f->pool, is_done, f);
    return treefiles_check(f, err);
}

int treefiles_check(struct treefiles *f, struct error *err)
{
    if (!atomic_load(&f->failed))
        return 0;
    pthread_mutex_lock(&f->mutex);
    *err = f->failure;
    pthread_mutex_unlock(&f->mutex);
    return -1;
}
