#include "image/archive_walker.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/tarstream.h"

/* The first read at a place and after each skip; then twice as much each time. Headers
 * that are far from each other cost a page and not a block each. */
#define FIRST_READ ((size_t)4096)

struct walker {
    struct archive *a;
    int fd;
    uint64_t start; /* of the walk */
    off_t offset, size;
    size_t next; /* bytes of the next read */
    char data[TARSTREAM_BLOCK];
};

static la_ssize_t walker_read(struct archive *a, void *arg, const void **data)
{
    struct walker *w = arg;
    ssize_t n;

    do {
        n = pread(w->fd, w->data, w->next, w->offset);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        archive_set_error(a, errno, "cannot read: %s", strerror(errno));
        return ARCHIVE_FATAL;
    }
    w->offset += n;
    w->next = 2 * w->next < sizeof(w->data) ? 2 * w->next : sizeof(w->data);
    *data = w->data;
    return n;
}

static la_int64_t walker_skip(struct archive *a, void *arg, la_int64_t request)
{
    struct walker *w = arg;

    (void)a;
    /* Not past the end: the read that follows must see that the file is too short. */
    if (request > w->size - w->offset)
        request = w->offset < w->size ? w->size - w->offset : 0;
    w->offset += request;
    w->next = FIRST_READ;
    return request;
}

void walker_free(struct walker **w)
{
    if (!*w)
        return;
    tarstream_free(&(*w)->a);
    free(*w);
    *w = NULL;
}

struct walker *walker_new(int fd, uint64_t offset, struct error *err)
{
    _cleanup_(walker_free) struct walker *w = calloc(1, sizeof(*w));
    struct stat st;

    if (!w) {
        error_oom(err);
        return NULL;
    }
    if (fstat(fd, &st) < 0) {
        error_sys(err, errno, "cannot stat the archive");
        return NULL;
    }
    w->fd = fd;
    w->start = offset;
    w->offset = (off_t)offset;
    w->size = st.st_size;
    w->next = FIRST_READ;
    w->a = tarstream_new_tar(true, err);
    if (!w->a)
        return NULL;
    archive_read_set_read_callback(w->a, walker_read);
    archive_read_set_skip_callback(w->a, walker_skip);
    archive_read_set_callback_data(w->a, w);
    if (archive_read_open1(w->a) != ARCHIVE_OK) {
        error_fail(err, "not a tar archive: %s", archive_error_string(w->a));
        return NULL;
    }
    return steal_ptr(w);
}

int walker_next(struct walker *w, struct archive_entry **entry, char *name,
                struct error *err)
{
    const char *raw;
    int rc;

    rc = tarstream_next(w->a, entry, err);
    if (rc != 0)
        return rc;
    raw = archive_entry_pathname(*entry);
    if (!raw)
        return error_fail(err, "a member of the archive has no readable name");
    if (tarstream_plain_name(raw, name, err) < 0)
        return error_context(err, "member \"%.200s\" of the archive", raw);
    return 0;
}

ssize_t walker_data(struct walker *w, void *data, size_t cap, struct error *err)
{
    la_ssize_t n = archive_read_data(w->a, data, cap);

    return n < 0 ? error_fail(err, "the archive is damaged or cut short: %s",
                              archive_error_string(w->a))
                 : n;
}

uint64_t walker_position(const struct walker *w)
{
    return w->start + (uint64_t)archive_read_header_position(w->a);
}

bool walker_is_plain(const struct walker *w)
{
    return archive_filter_code(w->a, 0) == ARCHIVE_FILTER_NONE;
}
