#include "image/layernotes.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define NOTES_FILE "notes"
#define NOTES_MAX ((size_t)1 << 30)

void layernotes_release(struct layernotes *n)
{
    strv_release(&n->implied);
    strv_release(&n->links);
}

int layernotes_write(struct layernotes *n, int dirfd, struct digest *sum,
                     struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    size_t i;

    if (strv_check(&n->implied, err) < 0 || strv_check(&n->links, err) < 0)
        return -1;
    strv_sort(&n->implied);
    if (n->markers)
        buf_add(&text, "m", 2);
    for (i = 0; i < n->implied.count; i++) {
        buf_addc(&text, 'd');
        buf_add(&text, n->implied.items[i], strlen(n->implied.items[i]) + 1);
    }
    for (i = 0; i + 1 < n->links.count; i += 2) {
        buf_addc(&text, 'l');
        buf_add(&text, n->links.items[i], strlen(n->links.items[i]) + 1);
        buf_add(&text, n->links.items[i + 1], strlen(n->links.items[i + 1]) + 1);
    }
    if (buf_check(&text, err) < 0 || digest_of(text.data, text.len, sum, err) < 0)
        return -1;
    if (text.len == 0)
        return 0;
    return atomicfile_write(dirfd, NOTES_FILE, text.data, text.len, 0600, false, err);
}

/* The string at p with its NUL inside the text: the byte behind it, NULL when p is the
 * end. */
static const char *take(struct strv *v, const char *p, const char *end)
{
    if (p >= end)
        return NULL;
    strv_add(v, p);
    return p + strlen(p) + 1;
}

static int parse(struct layernotes *n, const struct buf *text, struct error *err)
{
    const char *p = text->data, *end = text->data + text->len;

    if (end[-1] != '\0')
        p = NULL;
    while (p && p < end) {
        char kind = *p++;

        if (kind == 'm' && p < end && *p == '\0') {
            n->markers = true;
            p++;
        } else if (kind == 'd')
            p = take(&n->implied, p, end);
        else if (kind == 'l')
            p = take(&n->links, p, end);
        else
            p = NULL;
        if (p && kind == 'l')
            p = take(&n->links, p, end);
    }
    if (!p)
        return error_fail(err,
                          "the notes of an extracted layer are damaged; remove the "
                          "layer from the store");
    return strv_check(&n->implied, err) < 0 ? -1 : strv_check(&n->links, err);
}

static int read_file(int dirfd, struct buf *text, struct error *err)
{
    _cleanup_close_ int fd = -1;

    fd = openat(dirfd, NOTES_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return error_sys(err, errno, "cannot open the notes of an extracted layer");
    return pathfd_read_all(fd, NOTES_MAX, text, err);
}

int layernotes_read(struct layernotes *n, int dirfd, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (read_file(dirfd, &text, err) < 0)
        return -1;
    return text.len ? parse(n, &text, err) : 0;
}

int layernotes_sum(int dirfd, struct digest *sum, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (read_file(dirfd, &text, err) < 0)
        return -1;
    return digest_of(text.data, text.len, sum, err);
}

bool layernotes_is_implied(const struct layernotes *n, const char *path)
{
    size_t low = 0, high = n->implied.count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(path, n->implied.items[mid]);

        if (order == 0)
            return true;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return false;
}
