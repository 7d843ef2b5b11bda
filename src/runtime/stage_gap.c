/* Where many mount points lie below a directory that the image does not have, that
 * directory is shown from the layer of ours by a bind, not by overlay, which would look
 * for each of its entries again and make an inode for each. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/pathset.h"
#include "runtime/stage_internal.h"
#include "sys/mountfd.h"
#include "sys/pathfd.h"

struct gap {
    char *path;
    size_t points;
};

struct gaps {
    struct pathset image; /* the image's own directories */
    struct pathset paths; /* of items, by number */
    struct gap *items;    /* room for one for each mount */
    size_t n;
};

static void gaps_release(struct gaps *g)
{
    pathset_release(&g->image);
    pathset_release(&g->paths);
    for (size_t i = 0; i < g->n; i++)
        free(g->items[i].path);
    free(g->items);
}

/* Counts a mount point where the image ends on the way to it. */
static int count_point(struct gaps *g, const char *dest, struct error *err)
{
    const struct pathset_item *above = pathset_cover(&g->image, dest), *known;
    size_t n = above && strcmp(above->path, "/") != 0 ? strlen(above->path) : 0;
    _cleanup_free_ char *path = NULL;

    if (dest[n] == '\0')
        return 0;
    n += 1 + strcspn(dest + n + 1, "/");
    if (dest[n] == '\0')
        return 0; /* the mount point itself is what the image lacks */
    path = strndup(dest, n);
    if (!path)
        return error_oom(err);
    known = pathset_find(&g->paths, path);
    if (known) {
        g->items[known->value].points++;
        return 0;
    }
    pathset_add(&g->paths, path, g->n);
    g->items[g->n++] = (struct gap){.path = steal_ptr(path), .points = 1};
    return g->paths.failed ? error_oom(err) : 0;
}

static int count_all(struct gaps *g, const struct plan *plan, const bool *on_root,
                     struct error *err)
{
    g->items = calloc(plan->n_mounts + 1, sizeof(*g->items));
    for (size_t i = 0; i < plan->n_dirs; i++)
        pathset_add(&g->image, plan->dirs[i].path, i);
    if (!g->items || g->image.failed)
        return error_oom(err);
    for (size_t i = 0; i < plan->n_mounts; i++)
        if (on_root[i] && count_point(g, plan->mounts[i].dest, err) < 0)
            return -1;
    return 0;
}

int stage_find_gap(const struct plan *plan, const bool *on_root, size_t least,
                   char **out, struct error *err)
{
    _cleanup_(gaps_release) struct gaps g = {.image = PATHSET_INIT,
                                             .paths = PATHSET_INIT};
    struct gap *most = NULL;

    *out = NULL;
    if (count_all(&g, plan, on_root, err) < 0)
        return -1;
    for (size_t i = 0; i < g.n; i++)
        if (g.items[i].points >= least && (!most || g.items[i].points > most->points))
            most = &g.items[i];
    if (most)
        *out = steal_ptr(most->path);
    return 0;
}

int stage_show_gap(const struct assembly *a, int skeleton, const char *gap,
                   struct error *err)
{
    const unsigned attrs = MOUNTFD_RO | MOUNTFD_NOSUID | MOUNTFD_NODEV;
    _cleanup_close_ int source =
        pathfd_open_nofollow(skeleton, gap + 1, O_PATH | O_DIRECTORY, 0, err);
    _cleanup_close_ int mount = source < 0 ? -1 : mountfd_clone(source, "", err);
    _cleanup_close_ int target = -1;

    if (mount < 0 || mountfd_restrict(mount, attrs, false, err) < 0)
        return -1;
    target = pathfd_open_nofollow(a->root, gap + 1, O_PATH | O_DIRECTORY, 0, err);
    return target < 0 ? -1 : mountfd_attach(mount, target, err);
}
