/* KEY.lab: what the lab was read from, what it is, and where its jobs are. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/labcodec.h"
#include "lab/labindex.h"
#include "lab/labpages.h"
#include "lab/metadata.h"
#include "sys/lockfile.h"
#include "sys/pathfd.h"

static const char magic[8] = "repx-lab";

/* To be raised whenever the form changes, and whenever what reading a lab checks or
 * makes of it does. */
#define LAYOUT 1

#define SUFFIX ".lab"
#define HEAD_MAX ((size_t)64 << 20)

/* A temporary file older than this has no writer any more. */
#define ABANDONED_SECONDS 3600

void labindex_release(struct labindex *ix)
{
    lab_sources_release(&ix->sources);
    free(ix->lists);
    free(ix->pages);
    free(ix->record);
    if (ix->fd >= 0)
        close(ix->fd);
    *ix = (struct labindex)LABINDEX_INIT;
}

int labindex_name(const struct lab *lab, const struct lab_options *opts,
                  const char *suffix, char *out, size_t size, struct error *err)
{
    char hex[65];

    if (opts->index->digest(lab->path, strlen(lab->path), hex, err) < 0)
        return -1;
    snprintf(out, size, "%.32s%s", hex, suffix);
    return 0;
}

/* Magic, layout and path come first: the sweep reads no more. */
static void code_start(struct labcodec *c, char **path)
{
    uint64_t layout = LAYOUT;

    labcodec_u64(c, &layout);
    c->failed |= layout != LAYOUT;
    labcodec_text(c, path);
}

static void code_lab(struct labcodec *c, struct labindex *ix, struct lab *lab)
{
    labcodec_text(c, &lab->id);
    labcodec_string(c, &lab->version);
    labcodec_string(c, &lab->repx_version);
    labcodec_string(c, &lab->git_hash);
    ix->n_runs = lab->n_runs;
    labcodec_count(c, &ix->n_runs, 7);
    if (!c->out) {
        lab->runs = calloc(ix->n_runs + 1, sizeof(*lab->runs));
        ix->lists = calloc(ix->n_runs + 1, sizeof(*ix->lists));
        c->failed |= !lab->runs || !ix->lists;
    }
    for (size_t i = 0; i < ix->n_runs && !c->failed; i++) {
        lab->n_runs = c->out ? lab->n_runs : i + 1;
        labcodec_run(c, &lab->runs[i]);
        labcodec_size(c, &ix->lists[i].n);
        labcodec_u64(c, &ix->lists[i].first);
    }
}

static void code_index(struct labcodec *c, struct labindex *ix)
{
    labcodec_bool(c, &ix->verified);
    labcodec_u64(c, &ix->sources.began_ns);
    labcodec_stamps(c, &ix->sources.read);
    labcodec_stamps(c, &ix->sources.files);
    labcodec_u64(c, &ix->salt);
    labcodec_u64(c, &ix->size);
    labcodec_size(c, &ix->n_jobs);
    labcodec_u64(c, &ix->table);
    labcodec_size(c, &ix->n_names);
    labcodec_u64(c, &ix->names);
}

int labindex_head_write(const struct labindex *ix, const struct lab *lab,
                        struct buf *out, struct error *err)
{
    _cleanup_buf_ struct buf body = BUF_INIT;
    struct labcodec c = labcodec_writer(&body);
    /* the codec's functions change nothing when they write */
    struct labindex copy = *ix;
    struct lab lab_copy = *lab;

    code_start(&c, &lab_copy.path);
    code_index(&c, &copy);
    code_lab(&c, &copy, &lab_copy);
    if (buf_check(&body, err) < 0)
        return -1;
    if (c.failed)
        return error_fail(err, "lab %s cannot be indexed", lab->path);
    buf_add(out, magic, sizeof(magic));
    labpages_put(out, labpages_checksum(body.data, body.len, 0), 8);
    buf_add(out, body.data, body.len);
    return buf_check(out, err);
}

static bool fits(uint64_t offset, size_t n, size_t entry, uint64_t size)
{
    return offset <= size && n <= (size - offset) / entry;
}

/* Every table lies inside the file. */
static bool tables_fit(const struct labindex *ix)
{
    if (!fits(ix->table, ix->n_jobs, LABINDEX_TABLE_ENTRY, ix->size) ||
        !fits(ix->names, ix->n_names, LABINDEX_NAME_ENTRY, ix->size))
        return false;
    for (size_t i = 0; i < ix->n_runs; i++)
        if (!fits(ix->lists[i].first, ix->lists[i].n, LABINDEX_LIST_ENTRY, ix->size))
            return false;
    return true;
}

/* The part behind magic and checksum; NULL when these are not right. */
static const unsigned char *body_of(const void *data, size_t len)
{
    const unsigned char *p = data;
    const size_t start = sizeof(magic) + 8;

    if (len < start || memcmp(p, magic, sizeof(magic)) != 0 ||
        labpages_get(p + sizeof(magic), 8) !=
            labpages_checksum(p + start, len - start, 0))
        return NULL;
    return p + start;
}

int labindex_head_read(struct labindex *ix, struct lab *lab, const void *data,
                       size_t len)
{
    const unsigned char *body = body_of(data, len);
    _cleanup_free_ char *path = NULL;
    struct labcodec c;

    if (!body)
        return 1;
    c = labcodec_reader(body, len - (size_t)(body - (const unsigned char *)data));
    code_start(&c, &path);
    if (c.failed || strcmp(path, lab->path) != 0)
        return 1;
    code_index(&c, ix);
    if (!c.failed)
        code_lab(&c, ix, lab);
    return c.failed || c.data != c.end || !tables_fit(ix);
}

/* The lab of an index file is gone, or the file is of no use. */
static bool is_dead(int dirfd, const char *name)
{
    _cleanup_close_ int fd =
        openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = NULL;
    const unsigned char *body;
    struct labcodec c;

    if (fd < 0 || pathfd_read_all(fd, HEAD_MAX, &text, &ignored) < 0)
        return false;
    body = body_of(buf_str(&text), text.len);
    if (!body)
        return true;
    c = labcodec_reader(body, text.len - (size_t)(body - (unsigned char *)text.data));
    code_start(&c, &path);
    return c.failed || (access(path, F_OK) < 0 && errno == ENOENT);
}

static bool is_abandoned(int dirfd, const char *name)
{
    struct stat st;

    return name[0] == '.' && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && st.st_mtime + ABANDONED_SECONDS < time(NULL);
}

/* Not while somebody makes it anew: the lab may have come back. */
static void remove_index(int dirfd, const char *name)
{
    int stem = (int)(strlen(name) - strlen(SUFFIX));
    _cleanup_free_ char *jobs = str_printf("%.*s.jobs", stem, name);
    _cleanup_free_ char *lock_name = str_printf("%.*s.lock", stem, name);
    struct lockfile lock = LOCKFILE_INIT;
    struct error ignored = ERROR_INIT;

    if (!jobs || !lock_name ||
        lockfile_try(&lock, dirfd, lock_name, true, &ignored) != 0) {
        lockfile_release(&lock);
        return;
    }
    unlinkat(dirfd, name, 0);
    unlinkat(dirfd, jobs, 0);
    lockfile_unlink(&lock, dirfd, lock_name, &ignored);
    lockfile_release(&lock);
}

void labindex_sweep(int dirfd)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    struct error ignored = ERROR_INIT;

    if (lab_list_dir(dirfd, ".", &names, &ignored) < 0)
        return;
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i], *dot = strrchr(name, '.');

        if (is_abandoned(dirfd, name))
            unlinkat(dirfd, name, 0);
        else if (dot && dot != name && strcmp(dot, SUFFIX) == 0 && is_dead(dirfd, name))
            remove_index(dirfd, name);
    }
}
