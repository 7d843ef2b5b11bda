/* fsfill: makes the files of a tree and does nothing else: the file system's own limit,
 * which no program that extracts images can get below.
 *
 *   fsfill LIST DIRECTORY THREADS
 *
 * LIST has for each entry TYPE, octal MODE, SIZE, PATH and TARGET, each ended by a NUL;
 * TYPE is d(irectory), f(ile), l(ink) or h(ard link); parents come before what is in
 * them. Directories are made first, then the threads share files, then hard links are
 * made. File content is one block of memory, again and again: nothing is read, unpacked
 * or hashed.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, BATCH = 32, FIELDS = 5 };

struct entry {
    char type;
    mode_t mode;
    uint64_t size;
    const char *path, *target;
};

struct fill {
    int dir;
    struct entry *entries;
    size_t count;
    atomic_size_t next;
    char *block; /* CHUNK bytes of content */
};

static void fail(const char *what)
{
    fprintf(stderr, "fsfill: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_content(const struct fill *f, int fd, const struct entry *e)
{
    for (uint64_t left = e->size; left > 0;) {
        ssize_t n = write(fd, f->block, left < CHUNK ? (size_t)left : CHUNK);

        if (n < 0)
            fail(e->path);
        left -= (uint64_t)n;
    }
}

static void make_file(const struct fill *f, const struct entry *e)
{
    int fd = openat(f->dir, e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        fail(e->path);
    write_content(f, fd, e);
    if (fchmod(fd, e->mode) < 0)
        fail(e->path);
    close(fd);
}

static void make_entry(const struct fill *f, const struct entry *e)
{
    if (e->type == 'f')
        make_file(f, e);
    else if (e->type == 'l' && symlinkat(e->target, f->dir, e->path) < 0)
        fail(e->path);
}

/* Neighbours in the list are neighbours in a directory: a thread takes some at a time.
 */
static void *worker(void *arg)
{
    struct fill *f = arg;
    size_t i;

    while ((i = atomic_fetch_add(&f->next, BATCH)) < f->count) {
        for (size_t k = i; k < i + BATCH && k < f->count; k++)
            make_entry(f, &f->entries[k]);
    }
    return NULL;
}

static void run_workers(struct fill *f, int threads)
{
    pthread_t *ids = calloc((size_t)threads, sizeof(*ids));

    if (!ids)
        fail("memory");
    for (int i = 1; i < threads; i++) {
        errno = pthread_create(&ids[i], NULL, worker, f);
        if (errno != 0)
            fail("thread");
    }
    worker(f);
    for (int i = 1; i < threads; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}

static void for_type(struct fill *f, char type,
                     void (*make)(struct fill *, struct entry *))
{
    for (size_t i = 0; i < f->count; i++)
        if (f->entries[i].type == type)
            make(f, &f->entries[i]);
}

static void make_dir(struct fill *f, struct entry *e)
{
    if (mkdirat(f->dir, e->path, 0700) < 0)
        fail(e->path);
}

static void make_hard_link(struct fill *f, struct entry *e)
{
    if (linkat(f->dir, e->target, f->dir, e->path, 0) < 0)
        fail(e->path);
}

static void set_mode(struct fill *f, struct entry *e)
{
    if (fchmodat(f->dir, e->path, e->mode, 0) < 0)
        fail(e->path);
}

static char *read_file(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *data;

    if (fd < 0 || fstat(fd, &st) < 0)
        fail(path);
    *size = (size_t)st.st_size;
    data = malloc(*size + 1);
    if (!data || read(fd, data, *size) != (ssize_t)*size)
        fail(path);
    data[*size] = '\0';
    close(fd);
    return data;
}

static void parse(struct fill *f, char *data, size_t size)
{
    const char *field[FIELDS];
    size_t n = 0;

    f->entries = calloc(size / FIELDS + 1, sizeof(*f->entries));
    if (!f->entries)
        fail("memory");
    for (char *p = data; p < data + size; p += strlen(p) + 1) {
        field[n++] = p;
        if (n < FIELDS)
            continue;
        n = 0;
        f->entries[f->count++] =
            (struct entry){.type = field[0][0],
                           .mode = (mode_t)strtoul(field[1], NULL, 8),
                           .size = strtoull(field[2], NULL, 10),
                           .path = field[3],
                           .target = field[4]};
    }
    errno = EINVAL;
    if (n != 0)
        fail("the list");
}

int main(int argc, char **argv)
{
    struct fill f = {.dir = -1};
    size_t size;
    char *data;

    if (argc != 4) {
        fprintf(stderr, "usage: fsfill LIST DIRECTORY THREADS\n");
        return 2;
    }
    umask(0);
    data = read_file(argv[1], &size);
    parse(&f, data, size);
    f.block = malloc(CHUNK);
    f.dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!f.block || f.dir < 0)
        fail(argv[2]);
    memset(f.block, 'x', CHUNK);
    for_type(&f, 'd', make_dir);
    run_workers(&f, (int)strtol(argv[3], NULL, 10));
    for_type(&f, 'h', make_hard_link);
    for_type(&f, 'd', set_mode);
    return 0;
}
