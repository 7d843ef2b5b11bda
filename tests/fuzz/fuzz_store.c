/* The store's own files as arbitrary bytes: records, checksums, notes, what is
 * remembered of an archive. Whatever they say, listing, looking for a tree, verifying
 * and pruning end, what is outside stays, and a prune leaves an empty store.
 *
 * The input is split at bytes 0xff: the root filesystem's record, its sums, the layer's
 * record, its sums, its notes, the ref, the root filesystem's list for overlay. "@"
 * stands for 64 hex digits, the id of both. */
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "image/layernotes.h"
#include "image/refs.h"
#include "image/store_private.h"
#include "sys/pathfd.h"

#define ID "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
#define PLACE "s/repx/" STORE_NAME "/"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int rc)
{
    if (rc < 0)
        abort();
}

/* The next part of the input as a file. */
static void write_part(int dir, const char *name, const uint8_t **p, const uint8_t *end)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    must(fd);
    for (; *p < end && **p != 0xff; ++*p)
        must((int)(**p == '@' ? write(fd, ID, strlen(ID)) : write(fd, *p, 1)));
    if (*p < end)
        ++*p;
    close(fd);
}

static void fill(int dir, const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        PLACE "rootfs/" ID "/record.json", PLACE "rootfs/" ID "/sums",
        PLACE "layers/" ID "/record.json", PLACE "layers/" ID "/sums",
        PLACE "layers/" ID "/notes",       PLACE "refs/" ID,
        PLACE "rootfs/" ID "/overlay",
    };
    const uint8_t *p = data, *end = data + size;
    size_t i;

    must(mkdirat(dir, PLACE "rootfs/" ID, 0700));
    must(mkdirat(dir, PLACE "rootfs/" ID "/root", 0700));
    must(mkdirat(dir, PLACE "layers/" ID, 0700));
    must(mkdirat(dir, PLACE "layers/" ID "/tree", 0700));
    must(linkat(dir, "canary", dir, PLACE "layers/" ID "/tree/file", 0));
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        write_part(dir, names[i], &p, end);
}

static void read_all(struct store *s)
{
    struct image_rootfs root = IMAGE_ROOTFS_INIT;
    struct layernotes notes = LAYERNOTES_INIT;
    struct store_entry *entries;
    struct error err = ERROR_INIT;
    struct image img = IMAGE_INIT;
    struct digest id = {ID};
    size_t n;
    int fd;

    if (store_list(s, &entries, &n, &err) == 0)
        store_entries_free(entries, n);
    error_clear(&err);
    store_find(s, &id, &root, &err);
    image_rootfs_release(&root);
    error_clear(&err);
    img.ref = id;
    refs_load(s, &img, &err);
    image_release(&img);
    error_clear(&err);
    fd = openat(s->layers_fd, ID, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && layernotes_read(&notes, fd, &err) < 0 && err.text[0] == '\0')
        abort();
    layernotes_release(&notes);
    if (fd >= 0)
        close(fd);
}

static void change_all(struct store *s)
{
    struct store_verified seen = STORE_VERIFIED_INIT;
    struct store_pruned done = STORE_PRUNED_INIT;
    struct store_prune all = STORE_PRUNE_INIT;
    struct error err = ERROR_INIT;

    must(store_verify(s, NULL, &seen, &err));
    store_verified_release(&seen);
    all.all = true;
    must(store_prune(s, &all, &done, &err));
    store_pruned_release(&done);
    if (faccessat(s->rootfs_fd, ID, F_OK, 0) == 0 ||
        faccessat(s->layers_fd, ID, F_OK, 0) == 0 ||
        faccessat(s->refs_fd, ID, F_OK, 0) == 0)
        abort();
}

static void run(int dir, const char *path, const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    char root[PATH_MAX];
    struct store s;
    struct stat st;
    int fd;

    snprintf(root, sizeof(root), "%s/s", path);
    fd = openat(dir, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    must(fd);
    close(fd);
    must(store_open(&s, root, &err));
    fill(dir, data, size);
    read_all(&s);
    change_all(&s);
    store_release(&s);
    if (fstatat(dir, "canary", &st, 0) < 0 || (st.st_mode & 07777) != 0640 ||
        st.st_size != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *tmp = getenv("TMPDIR");
    struct error err = ERROR_INIT;
    char path[PATH_MAX];
    int dir;

    snprintf(path, sizeof(path), "%s/repx-fuzz-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(path))
        abort();
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(dir);
    run(dir, path, data, size);
    must(pathfd_empty_dir(dir, &err));
    close(dir);
    must(rmdir(path));
    return 0;
}
