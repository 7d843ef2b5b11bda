#include "lab/labpages.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"

/* Each step is a bijection of the state and, for a given state, of the word: two inputs
 * that differ in one word cannot end in the same state. */
static uint64_t mix(uint64_t state, uint64_t word)
{
    state = (state ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return state ^ (state >> 29);
}

uint64_t labpages_checksum(const void *data, size_t len, uint64_t salt)
{
    const unsigned char *p = data;
    uint64_t state = mix(salt, len), word;

    for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        state = mix(state, word);
    }
    word = 0;
    memcpy(&word, p, len);
    return mix(mix(state, word), 0);
}

void labpages_put(struct buf *out, uint64_t v, size_t bytes)
{
    char text[8];

    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)(unsigned char)(v >> (8 * i));
    buf_add(out, text, bytes);
}

uint64_t labpages_get(const unsigned char *p, size_t bytes)
{
    uint64_t v = 0;

    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

void labpages_write(const struct buf *data, uint64_t salt, struct buf *file)
{
    static const char zeros[LABPAGES_DATA];

    for (size_t at = 0, page = 0; at < data->len; at += LABPAGES_DATA, page++) {
        size_t n = data->len - at, start = file->len;

        if (n > LABPAGES_DATA)
            n = LABPAGES_DATA;
        buf_add(file, data->data + at, n);
        buf_add(file, zeros, LABPAGES_DATA - n);
        if (file->failed)
            return;
        labpages_put(
            file, labpages_checksum(file->data + start, LABPAGES_DATA, salt + page), 8);
    }
}

void labpages_init(struct labpages *p, int fd, uint64_t size, uint64_t salt)
{
    p->fd = fd;
    p->size = size;
    p->salt = salt;
    memset(p->number, 0, sizeof(p->number));
}

static int read_page(struct labpages *p, uint64_t page, unsigned char *raw,
                     struct error *err)
{
    size_t done = 0;

    while (done < LABPAGES_SIZE) {
        ssize_t n = pread(p->fd, raw + done, LABPAGES_SIZE - done,
                          (off_t)(page * LABPAGES_SIZE + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_sys(err, errno, "cannot read the lab's index");
        if (n == 0)
            return error_fail(err, "the lab's index is cut short");
        done += (size_t)n;
    }
    if (labpages_get(raw + LABPAGES_DATA, 8) !=
        labpages_checksum(raw, LABPAGES_DATA, p->salt + page))
        return error_fail(err, "page %llu of the lab's index is damaged",
                          (unsigned long long)page);
    return 0;
}

/* Its page in memory; NULL with err. */
static const unsigned char *get_page(struct labpages *p, uint64_t page,
                                     struct error *err)
{
    size_t slot = page % LABPAGES_CACHED;

    if (p->number[slot] == page + 1)
        return p->pages[slot];
    p->number[slot] = 0;
    if (read_page(p, page, p->pages[slot], err) < 0)
        return NULL;
    p->number[slot] = page + 1;
    return p->pages[slot];
}

int labpages_read(struct labpages *p, uint64_t offset, void *out, size_t len,
                  struct error *err)
{
    unsigned char *to = out;

    if (offset > p->size || len > p->size - offset)
        return error_fail(err, "the lab's index refers to what it does not have");
    while (len > 0) {
        size_t at = offset % LABPAGES_DATA;
        size_t n = LABPAGES_DATA - at < len ? LABPAGES_DATA - at : len;
        const unsigned char *page = get_page(p, offset / LABPAGES_DATA, err);

        if (!page)
            return -1;
        memcpy(to, page + at, n);
        to += n;
        offset += n;
        len -= n;
    }
    return 0;
}

const unsigned char *labpages_view(struct labpages *p, uint64_t offset, size_t len,
                                   void *room, struct error *err)
{
    size_t at = offset % LABPAGES_DATA;
    const unsigned char *page;

    if (len == 0 || len > LABPAGES_DATA - at || offset > p->size ||
        len > p->size - offset)
        return labpages_read(p, offset, room, len, err) < 0 ? NULL : room;
    page = get_page(p, offset / LABPAGES_DATA, err);
    return page ? page + at : NULL;
}
