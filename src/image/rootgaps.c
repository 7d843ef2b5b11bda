#include "image/rootgaps.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

void rootgaps_release(struct rootgaps *g)
{
    for (size_t i = 0; i < g->n; i++)
        free(g->items[i].path);
    free(g->items);
    pathset_release(&g->paths);
    *g = (struct rootgaps)ROOTGAPS_INIT;
}

static int grow(struct rootgaps *g)
{
    size_t cap = g->cap ? 2 * g->cap : 8;
    struct rootgap *more;

    if (g->n < g->cap)
        return 0;
    more = reallocarray(g->items, cap, sizeof(*more));
    if (!more)
        return -1;
    g->items = more;
    g->cap = cap;
    return 0;
}

void rootgaps_note(struct rootgaps *g, const char *path, const struct rootpath *found)
{
    size_t existing = strlen(found->existing), end;
    char *gap;

    /* a path that came out as it went in met no link */
    if (strcmp(found->path, path) != 0 || path[existing] == '\0')
        return;
    end = existing + 1; /* in the next component, which is not empty */
    end += strcspn(path + end, "/");
    gap = strndup(path, end);
    if (!gap || grow(g) < 0 || !pathset_add(&g->paths, gap, g->n)) {
        free(gap);
        return;
    }
    g->items[g->n++] =
        (struct rootgap){.path = gap, .existing = existing, .mode = found->mode};
}

int rootgaps_resolve(const struct rootgaps *g, const char *path, struct rootpath *out,
                     struct error *err)
{
    const struct pathset_item *item = pathset_cover(&g->paths, path);
    const struct rootgap *gap;

    if (!item || !is_relative_path(path + 1))
        return 1;
    gap = &g->items[item->value];
    out->path = strdup(path);
    out->existing = strndup(path, gap->existing);
    out->mode = gap->mode;
    if (out->path && out->existing)
        return 0;
    rootpath_release(out);
    return error_oom(err);
}
