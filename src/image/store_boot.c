/* What a crash of the machine may have taken.
 *
 * An image is used as soon as it is complete, out of the page cache; writing it out in
 * the launch would take longer than everything else in it (decision 25). So an entry
 * says in which boots it counts, by files without content: "boot.<id>" of the boot that
 * made it, and of each that has found it to be what was made. "durable" is for all: of
 * what was made by a process that waited for the disk. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/layernotes.h"
#include "image/store_private.h"
#include "image/treesum.h"
#include "sys/pathfd.h"
#include "sys/process.h"

#define DURABLE "durable"
#define BOOT "boot."
/* Marks of other boots: two systems that share a kernel and a disk may take turns. */
#define MARKS_MAX 8

/* False: the system has no name for its boot. */
static bool boot_mark(char *name, size_t size)
{
    _cleanup_free_ char *boot = process_boot_id();

    if (!boot || !boot[0] || strchr(boot, '/'))
        return false;
    return (size_t)snprintf(name, size, BOOT "%s", boot) < size;
}

static bool has(int dirfd, const char *name)
{
    return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int make(int dirfd, const char *name, struct error *err)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                0644);
    return fd < 0 ? error_sys(err, errno, "cannot make \"%s\"", name) : 0;
}

bool store_boot_counts(int dirfd)
{
    char name[64];

    return has(dirfd, DURABLE) || (boot_mark(name, sizeof(name)) && has(dirfd, name));
}

static void drop_old_marks(int dirfd)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    struct error ignored = ERROR_INIT;
    size_t n = 0;

    if (pathfd_names(dirfd, &names, &ignored) < 0)
        return;
    for (size_t i = 0; i < names.count; i++)
        n += strncmp(names.items[i], BOOT, strlen(BOOT)) == 0;
    for (size_t i = 0; n >= MARKS_MAX && i < names.count; i++)
        if (strncmp(names.items[i], BOOT, strlen(BOOT)) == 0)
            unlinkat(dirfd, names.items[i], 0);
}

int store_boot_mark(int dirfd, struct error *err)
{
    char name[64];

    if (boot_mark(name, sizeof(name))) {
        drop_old_marks(dirfd);
        return make(dirfd, name, err);
    }
    return store_boot_sync(dirfd, err);
}

int store_boot_sync(int dirfd, struct error *err)
{
    if (syncfs(dirfd) < 0)
        return error_sys(err, errno, "cannot write the image to the disk");
    return make(dirfd, DURABLE, err);
}

int store_boot_sync_all(struct store *s, const struct image *img, int dirfd,
                        struct error *err)
{
    if (store_boot_sync(dirfd, err) < 0)
        return -1;
    /* locked by the caller: what has these names was there before the sync */
    for (size_t i = 0; i < img->n_layers; i++) {
        _cleanup_close_ int fd =
            openat(s->layers_fd, img->layers[i].diff_id.hex,
                   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
            return error_sys(err, errno, "cannot open layer %zu in the store", i + 1);
        if (make(fd, DURABLE, err) < 0)
            return -1;
    }
    return 0;
}

struct teller {
    void (*problem)(void *arg, char *text);
    void *arg;
    int found; /* 1: there was one */
};

static void tell(struct teller *t, char *text)
{
    t->found = 1;
    t->problem(t->arg, text);
}

static void differs(void *arg, const char *how, const char *path)
{
    tell(arg, str_printf("%s /%s", how, path));
}

static int check_notes(int dirfd, const struct digest *notes, struct teller *t,
                       struct error *err)
{
    struct digest found;

    if (layernotes_sum(dirfd, &found, err) < 0)
        return -1;
    if (!digest_equal(&found, notes))
        tell(t, strdup("its notes are damaged"));
    return 0;
}

int store_boot_check(int dirfd, const struct store_content *c,
                     struct treesum_options *o, void (*problem)(void *arg, char *text),
                     void *arg, struct error *err)
{
    _cleanup_(treesum_release) struct treesum expected = TREESUM_INIT;
    _cleanup_(treesum_release) struct treesum found = TREESUM_INIT;
    struct teller t = {problem, arg, 0};
    _cleanup_close_ int root = -1;
    int rc = treesum_read(&expected, dirfd, &c->sums, err);

    if (rc == 1)
        tell(&t, strdup("its checksums are missing or damaged"));
    if (rc != 0)
        return rc;
    root = openat(dirfd, c->tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0) {
        tell(&t, strdup("its tree is missing"));
        return 1;
    }
    if ((c->notes && check_notes(dirfd, c->notes, &t, err) < 0) ||
        treesum_walk(&found, root, o, err) < 0)
        return -1;
    treesum_compare(&expected, &found, differs, &t);
    return t.found;
}

static void pass_over(void *arg, char *text)
{
    (void)arg;
    free(text);
}

static int confirm(int dirfd, const struct store_content *c, uint64_t bytes,
                   const struct image_progress *progress, struct error *err)
{
    struct treesum_options o = {.tolerant = true, .progress = progress, .total = bytes};
    int rc = store_boot_check(dirfd, c, &o, pass_over, NULL, err);

    return rc != 0 ? rc : store_boot_mark(dirfd, err);
}

int store_boot_confirm_layer(struct store *s, const struct digest *id,
                             const struct image_progress *progress, struct error *err)
{
    struct store_layer_record record = {0};
    struct store_content content = {.tree = STORE_TREE, .notes = &record.notes};
    _cleanup_close_ int dir = -1;

    dir =
        openat(s->layers_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || store_record_read_layer(dir, id, &record) != 0)
        return 1;
    content.sums = record.sums;
    return confirm(dir, &content, record.bytes, progress, err);
}

int store_boot_confirm_rootfs(struct store *s, const struct digest *id,
                              const struct image_progress *progress, struct error *err)
{
    struct store_entry entry = {.id = *id};
    struct store_content content = {.tree = STORE_ROOT};
    _cleanup_close_ int dir = -1;
    int rc;

    dir =
        openat(s->rootfs_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return 1;
    rc = store_record_read_rootfs(dir, &entry, err);
    free(entry.name);
    /* What was left as layers is made again of them, which are confirmed for that. */
    if (rc != 0 || store_boot_counts(dir) || store_record_sums(dir, &content.sums))
        return rc < 0 ? -1 : 1;
    return confirm(dir, &content, entry.bytes, progress, err);
}
