/* Extraction and composition of arbitrary bytes: nothing may appear outside the tree.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "image/compose.h"
#include "image/digest.h"
#include "image/layerstream.h"
#include "image/source.h"
#include "image/treewriter.h"
#include "image/unpack.h"
#include "sys/pathfd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory_blob {
    struct blob blob;
    const uint8_t *data;
    size_t size;
};

static ssize_t memory_read(struct blob *b, void *data, size_t cap, struct error *err)
{
    struct memory_blob *m = (struct memory_blob *)b;
    size_t n = m->size < 1000 ? m->size : 1000;

    n = n < cap ? n : cap;
    memcpy(data, m->data, n);
    m->data += n;
    m->size -= n;
    return (ssize_t)n;
}

static void memory_free(struct blob *b)
{
}

/* A file of a few GiB from a few bytes is legal (sparse, compressed) and only slow
 * here. */
static int too_much(void *arg)
{
    unsigned *calls = arg;

    return ++*calls > 20000;
}

static int extract(const uint8_t *data, size_t size, int tree, struct treewriter *w,
                   struct error *err)
{
    struct memory_blob memory = {{memory_read, memory_free}, data, size};
    unsigned calls = 0;
    struct image_progress progress = {.cancelled = too_much, .arg = &calls};
    struct layerstream_options options = {.hash_blob = true, .progress = &progress};
    struct digest diff, blob;
    struct layerstream *ls = layerstream_new(&memory.blob, &options, err);
    int rc;

    rc = ls ? unpack(ls, w, err) : -1;
    if (rc == 0)
        rc = layerstream_finish(ls, &diff, &blob, err);
    layerstream_free(&ls);
    return rc;
}

/* The directory holds "tree" and "root" and nothing else. */
static void check_canary(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (!d)
        abort();
    while ((e = readdir(d)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, "tree") != 0 &&
            strcmp(e->d_name, "root") != 0)
            abort();
    closedir(d);
}

static void run(const uint8_t *data, size_t size, int dir)
{
    int tree = openat(dir, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error err = ERROR_INIT;
    struct treewriter w;
    struct compose c;

    if (tree < 0 || root < 0)
        abort();
    treewriter_init(&w, tree);
    compose_init(&c, root, NULL);
    if (extract(data, size, tree, &w, &err) == 0 &&
        compose_layer(&c, tree, &w.notes, &err) == 0)
        compose_finish(&c, &err);
    compose_release(&c);
    treewriter_release(&w);
    close(tree);
    close(root);
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
    if (dir < 0 || mkdirat(dir, "tree", 0700) < 0 || mkdirat(dir, "root", 0700) < 0)
        abort();
    run(data, size, dir);
    check_canary(dir);
    /* whatever was made can be removed again */
    if (pathfd_empty_dir(dir, &err) < 0)
        abort();
    close(dir);
    if (rmdir(path) < 0)
        abort();
    return 0;
}
