/* pathset: absolute, normal paths ("/a/b", no "." or ".."), each with a number, asked
 * by whether one of them is at or above a path. A launch with hundreds of mounts asks
 * that for each of them, which must not become a square. */
#ifndef REPX_BASE_PATHSET_H
#define REPX_BASE_PATHSET_H

#include <stdbool.h>
#include <stddef.h>

struct pathset_item {
    const char *path; /* borrowed: lives as long as the set */
    size_t value;
};

struct pathset {
    struct pathset_item *items; /* sorted by path */
    size_t count, cap;
    bool failed; /* out of memory: answers are not to be believed */
};

#define PATHSET_INIT                                                                   \
    {                                                                                  \
        NULL, 0, 0, false                                                              \
    }

void pathset_release(struct pathset *s);

/* Adds the path; one that is there keeps its value. False: it was there. */
bool pathset_add(struct pathset *s, const char *path, size_t value);

/* The item at the path itself; NULL: none. */
const struct pathset_item *pathset_find(const struct pathset *s, const char *path);

/* The item at the path or the nearest above it; NULL: none. "/" is above everything. */
const struct pathset_item *pathset_cover(const struct pathset *s, const char *path);

#endif
