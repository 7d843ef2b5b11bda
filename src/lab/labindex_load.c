/* An index found, believed only when the lab's files are what they were. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/labindex.h"
#include "lab/labpages.h"
#include "lab/metadata.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define HEAD_MAX ((size_t)64 << 20)

static int open_file(const struct lab *lab, const struct lab_options *opts,
                     const char *suffix, struct error *err)
{
    char name[64];

    if (labindex_name(lab, opts, suffix, name, sizeof(name), err) < 0)
        return -1;
    return pathfd_open_nofollow(opts->index->dirfd, name, LAB_READ_FLAGS, 0, err);
}

static int read_head(struct labindex *ix, struct lab *lab,
                     const struct lab_options *opts)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    _cleanup_close_ int fd = open_file(lab, opts, ".lab", &why);

    if (fd < 0 || pathfd_read_all(fd, HEAD_MAX, &text, &why) < 0) {
        if (why.errnum != ENOENT)
            log_debug("lab %s: its index is not used: %s", lab->path, why.text);
        return 1;
    }
    return labindex_head_read(ix, lab, buf_str(&text), text.len);
}

static int open_jobs(struct labindex *ix, const struct lab *lab,
                     const struct lab_options *opts)
{
    uint64_t pages = ix->size / LABPAGES_DATA + (ix->size % LABPAGES_DATA != 0);
    struct error ignored = ERROR_INIT;
    struct stat st;

    ix->fd = open_file(lab, opts, ".jobs", &ignored);
    if (ix->fd < 0 || fstat(ix->fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size != pages * LABPAGES_SIZE)
        return 1;
    ix->pages = malloc(sizeof(*ix->pages));
    if (!ix->pages)
        return 1;
    labpages_init(ix->pages, ix->fd, ix->size, ix->salt);
    return 0;
}

/* Manifest and metadata: changed means that the index is of another lab. */
static bool sources_same(struct labindex *ix, const struct lab *lab,
                         const char *manifest, const struct lab_options *opts,
                         bool *refresh)
{
    struct lab_stamps *read = &ix->sources.read;
    struct error ignored = ERROR_INIT;
    struct lab_stamp now;

    if (read->n == 0 || strcmp(read->items[0].path, manifest) != 0)
        return false;
    for (size_t i = 0; i < read->n; i++)
        if (lab_stamp_check(&read->items[i], lab->fd, ix->sources.began_ns, opts,
                            refresh, &now, &ignored) != 0)
            return false;
    return true;
}

/* The files that every job of the lab may use: what was changed is damage. */
static int check_common(struct labindex *ix, const struct lab *lab,
                        const struct lab_options *opts, bool *refresh,
                        struct error *err)
{
    struct lab_stamps *files = &ix->sources.files;

    for (size_t i = 0; i < files->n; i++) {
        struct lab_stamp now;
        int r = lab_stamp_check(&files->items[i], lab->fd, ix->sources.began_ns, opts,
                                refresh, &now, err);

        if (r == 1)
            lab_digest_error(files->items[i].path, now.sha256, files->items[i].sha256,
                             err);
        if (r != 0)
            return error_hint(err, LAB_DAMAGED_HINT);
    }
    return 0;
}

/* New stamps in the old index. That it cannot be written costs time, nothing else. */
static void write_head(struct labindex *ix, const struct lab *lab,
                       const struct lab_options *opts, uint64_t began_ns)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    char name[64];

    ix->sources.began_ns = began_ns;
    if (labindex_head_write(ix, lab, &text, &why) < 0 ||
        labindex_name(lab, opts, ".lab", name, sizeof(name), &why) < 0 ||
        atomicfile_write(opts->index->dirfd, name, text.data, text.len, 0600, false,
                         &why) < 0)
        log_debug("lab %s: its index cannot be brought up to date: %s", lab->path,
                  why.text);
}

static int load(struct labindex *ix, struct lab *lab, const char *manifest,
                const struct lab_options *opts, struct error *err)
{
    uint64_t began = lab_stamp_now();
    bool refresh = false;
    int r;

    if (read_head(ix, lab, opts) != 0 || (opts->verify && !ix->verified) ||
        !sources_same(ix, lab, manifest, opts, &refresh) ||
        open_jobs(ix, lab, opts) != 0)
        return 1;
    if (opts->verify && check_common(ix, lab, opts, &refresh, err) < 0)
        return -1;
    r = labindex_select(ix, lab, opts, err);
    if (r == 0 && refresh && opts->index->build)
        write_head(ix, lab, opts, began);
    return r;
}

int labindex_load(struct lab *lab, const char *manifest, const struct lab_options *opts,
                  struct error *err)
{
    struct labindex ix = LABINDEX_INIT;
    int r = load(&ix, lab, manifest, opts, err);

    labindex_release(&ix);
    return r;
}
