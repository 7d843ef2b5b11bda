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

const struct pathset_item *pathset_find(const struct pathset *s, const char *path)
{
    bool found;
    size_t at = position(s, path, strlen(path), &found);

    return found ? &s->items[at] : NULL;
}

/* The length of the deepest directory above the first len bytes of path that is no
 * longer than most; 1 is "/" itself, 0 that there is none. */
static size_t above(const char *path, size_t len, size_t most)
{
    if (len <= 1)
        return 0;
    if (most >= len)
        most = len - 1;
    while (most > 0 && path[most] != '/')
        most--;
    return most > 1 ? most : 1;
}

/* All that sorts between a directory and what is below it begins with that directory:
 * so does the item before the path, and what the two have in common is as long as an
 * item above the path can be. */
const struct pathset_item *pathset_cover(const struct pathset *s, const char *path)
{
    size_t len = strlen(path);

    while (len > 0) {
        bool found;
        size_t at = position(s, path, len, &found), common = 0;
        const char *before;

        if (found)
            return &s->items[at];
        if (at == 0)
            break;
        before = s->items[at - 1].path;
        while (common < len && before[common] == path[common])
            common++;
        len = above(path, len, common);
    }
    return NULL;
}
