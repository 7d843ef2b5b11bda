#include "base/pathset.h"

#include <stdlib.h>
#include <string.h>

void pathset_release(struct pathset *s)
{
    free(s->items);
    *s = (struct pathset)PATHSET_INIT;
}

/* Compares an item with the first len bytes of path. */
static int compare(const char *item, const char *path, size_t len)
{
    int order = strncmp(item, path, len);

    return order ? order : item[len] != '\0';
}

/* Where the path of this length is, or would have to be. */
static size_t position(const struct pathset *s, const char *path, size_t len,
                       bool *found)
{
    size_t low = 0, high = s->count;

    *found = false;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = compare(s->items[mid].path, path, len);

        if (order == 0) {
            *found = true;
            return mid;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

bool pathset_add(struct pathset *s, const char *path, size_t value)
{
    bool found;
    size_t at = position(s, path, strlen(path), &found);

    if (found || s->failed)
        return false;
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 32;
        struct pathset_item *more = reallocarray(s->items, cap, sizeof(*more));

        if (!more) {
            s->failed = true;
            return false;
        }
        s->items = more;
        s->cap = cap;
    }
    memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(*s->items));
    s->items[at] = (struct pathset_item){path, value};
    s->count++;
    return true;
}

const struct pathset_item *pathset_cover(const struct pathset *s, const char *path)
{
    size_t len = strlen(path), at;
    bool found;

    while (len > 0) {
        at = position(s, path, len, &found);
        if (found)
            return &s->items[at];
        if (len == 1)
            break;
        while (len > 0 && path[len - 1] != '/')
            len--;
        /* "/" itself comes last */
        if (len > 1)
            len--;
    }
    return NULL;
}
