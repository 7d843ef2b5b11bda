/* image_prepare: the store's tree of an image, made when it is not there. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/refs.h"
#include "image/store_build.h"
#include "image/store_overlay.h"
#include "image/store_private.h"
#include "sys/fdio.h"

void image_rootfs_release(struct image_rootfs *r)
{
    free(r->path);
    roottree_release(&r->tree);
    cleanup_closep(&r->dirfd);
    cleanup_closep(&r->lockfd);
    *r = (struct image_rootfs)IMAGE_ROOTFS_INIT;
}

const char *image_rootfs_mode(const struct image_rootfs *r)
{
    if (r->tree.merged)
        return "overlay";
    return r->lockfd >= 0 ? "flat" : "directory";
}

/* Fills tree of a whole tree. */
static int add_tree(struct image_rootfs *out, struct error *err)
{
    int fd = openat(out->dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return error_sys(err, errno, "cannot open the root filesystem");
    return roottree_add(&out->tree, fd, NULL, NULL, err);
}

static int use_directory(struct image *img, struct image_rootfs *out, struct error *err)
{
    out->path = strdup(img->path);
    if (!out->path)
        return error_oom(err);
    out->dirfd = openat(img->fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (out->dirfd < 0)
        return error_sys(err, errno, "cannot open the directory");
    return add_tree(out, err);
}

/* The tree of the entry below dir, as layers when that will do. 0, 1 not usable, -1. */
static int find_tree(struct store *s, int dir, const char *hex,
                     struct image_rootfs *out, struct error *err)
{
    int rc;

    out->dirfd = openat(dir, STORE_ROOT, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (out->dirfd >= 0) {
        out->path = str_printf("%s/rootfs/%s/" STORE_ROOT, s->path, hex);
        return out->path ? add_tree(out, err) : error_oom(err);
    }
    if (!s->overlay)
        return 1;
    rc = store_overlay_read(s, dir, &out->tree, err);
    if (rc != 0)
        return rc;
    out->path = str_printf("%s/rootfs/%s", s->path, hex);
    return out->path ? 0 : error_oom(err);
}

int store_find(struct store *s, const struct digest *id, struct image_rootfs *out,
               struct error *err)
{
    struct store_entry entry = {.id = *id};
    _cleanup_close_ int dir = -1, used = -1;
    int rc;

    dir = openat(s->rootfs_fd, entry.id.hex,
                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* Something else of that name is no entry; who makes one removes it first. */
    if (dir < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 1;
    if (dir < 0)
        return error_sys(err, errno, "cannot open \"%s/rootfs/%s\"", s->path,
                         entry.id.hex);
    rc = store_record_read_rootfs(dir, &entry, err);
    free(entry.name);
    if (rc == 0 && !store_boot_counts(dir))
        return 1;
    if (rc != 0)
        return rc;
    rc = find_tree(s, dir, entry.id.hex, out, err);
    if (rc != 0)
        return rc;
    /* For the eviction's order only: a disk that is full or read-only does not matter.
     */
    used = openat(dir, STORE_USED,
                  O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (used >= 0)
        futimens(used, NULL);
    return 0;
}

/* A tar of a tree has no declared digest: what the store remembers of it, or what
 * reading it tells. */
static int recall_from(struct store *s, struct store_work *w, struct error *err)
{
    struct image memo = IMAGE_INIT, *img = w->image;
    int rc;

    memo.ref = img->ref;
    rc = refs_load(s, &memo, err);
    if (rc == 0 && memo.kind == IMAGE_ROOTFS_TAR && memo.n_layers == 1) {
        img->id = memo.id;
        img->layers[0].diff_id = memo.layers[0].diff_id;
    } else if (rc == 0) {
        rc = 1;
    }
    image_release(&memo);
    return rc;
}

static int recall(struct store_work *w, struct error *err)
{
    int rc = recall_from(w->store, w, err);

    return rc == 1 && w->store->site ? recall_from(w->store->site, w, err) : rc;
}

static int find(struct store_work *w, struct image_rootfs *out, struct error *err)
{
    return store_find(w->store, &w->image->id, out, err);
}

static int learn_id(struct store_work *w, struct error *err)
{
    _cleanup_free_ char *name = str_printf("ref-%s.lock", w->image->ref.hex);
    int rc;

    if (!name)
        return error_oom(err);
    rc = recall(w, err);
    if (rc <= 0)
        return rc;
    rc = store_work_lock(w, &w->lock, name, true, err);
    if (rc == 0)
        rc = recall(w, err);
    if (rc == 1) {
        rc = store_layer_learn(w, err);
        if (rc == 0)
            rc = refs_save(w->store, w->image, err);
    }
    lockfile_release(&w->lock);
    return rc;
}

/* Whoever waits only wants what the other one makes: together, as readers, and not one
 * after the other. 1: the other one has made nothing. */
static int await_other(struct store_work *w, const char *name, struct image_rootfs *out,
                       struct error *err)
{
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;

    if (store_work_lock(w, &lock, name, false, err) < 0)
        return -1;
    return find(w, out, err);
}

static int build_locked(struct store_work *w, struct image_rootfs *out,
                        struct error *err)
{
    _cleanup_free_ char *name = str_printf("rootfs-%s.lock", w->image->id.hex);
    struct error ignored = ERROR_INIT;
    int rc;

    if (!name)
        return error_oom(err);
    rc = store_work_try(w, &w->lock, name, err);
    if (rc == 1) {
        rc = await_other(w, name, out, err);
        if (rc <= 0)
            return rc;
        rc = store_work_lock(w, &w->lock, name, true, err);
    }
    if (rc < 0)
        return -1;
    rc = find(w, out, err);
    if (rc == 1) {
        rc = store_boot_confirm_rootfs(w->store, &w->image->id, &w->progress, err);
        rc = rc == 0 ? find(w, out, err) : rc;
    }
    if (rc == 1) {
        rc = store_build(w, err);
        if (rc == 0) {
            out->extracted = true;
            if (w->image->ref.hex[0])
                refs_save(w->store, w->image, &ignored);
            rc = find(w, out, err);
        }
        if (rc == 1)
            rc = error_fail(err,
                            "\"%s/rootfs/%s\" vanished after it was made; is another "
                            "program cleaning the store?",
                            w->store->path, w->image->id.hex);
    }
    lockfile_release(&w->lock);
    return rc;
}

/* Root fills the site's store: without a .use lock, on which users can sit. */
static int acquire_shared(struct store_work *w, struct image_rootfs *out,
                          struct error *err)
{
    if (build_locked(w, out, err) < 0)
        return -1;
    out->shared = true;
    return store_shared_offer(w->store, &w->image->id, err);
}

static int acquire(struct store_work *w, struct image_rootfs *out, struct error *err)
{
    _cleanup_free_ char *name = NULL;
    struct lockfile use = LOCKFILE_INIT;
    int rc;

    if (!w->image->id.hex[0] && learn_id(w, err) < 0)
        return -1;
    if (store_site_find(w->store, &w->image->id, out) == 0)
        return 0;
    if (w->store->shared)
        return acquire_shared(w, out, err);
    name = str_printf("rootfs-%s.use", w->image->id.hex);
    if (!name)
        return error_oom(err);
    /* First the use, then the look: an eviction takes this lock exclusively. */
    if (store_work_lock(w, &use, name, false, err) < 0)
        return -1;
    out->lockfd = use.fd;
    rc = find(w, out, err);
    return rc == 1 ? build_locked(w, out, err) : rc;
}

int image_prepare(struct image *img, struct store *store,
                  const struct image_progress *progress, struct image_rootfs *out,
                  struct error *err)
{
    uint64_t start = fdio_monotonic_ns(), spent;
    struct store_work w;
    int rc;

    *out = (struct image_rootfs)IMAGE_ROOTFS_INIT;
    if (img->kind == IMAGE_ROOTFS_DIR)
        return use_directory(img, out, err);
    if (!store)
        return error_fail(err,
                          "image \"%.300s\" must be extracted and there is no store "
                          "for it; set node_local_path or base_path",
                          img->reference);
    store_work_init(&w, store, img, progress);
    rc = acquire(&w, out, err);
    if (rc < 0 && (err->errnum == ENOSPC || err->errnum == EDQUOT)) {
        image_rootfs_release(out);
        if (store_space_rescue(store, w.needed)) {
            error_clear(err);
            store_work_init(&w, store, img, progress);
            rc = acquire(&w, out, err);
        }
    }
    if (rc < 0) {
        error_context(err, "image \"%.300s\"", img->reference);
        image_rootfs_release(out);
        return store_space_explain(store, w.needed, err);
    }
    spent = fdio_monotonic_ns() - start;
    out->bytes = w.done;
    out->wait_ns = w.waited_ns;
    out->extract_ns = out->extracted && spent > w.waited_ns ? spent - w.waited_ns : 0;
    return 0;
}
