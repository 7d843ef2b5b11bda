/* The lines of layers on top of each other, by the rules of compose.h, without looking
 * at a tree. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/layernotes.h"
#include "image/treesum.h"
#include "image/treewriter.h"

static bool is_dir(const struct treesum_line *l)
{
    return l->what && l->what[0] == 'd';
}

/* The first line at or behind this path. */
static size_t lower_bound(const struct treesum *t, const char *path)
{
    size_t low = 0, high = t->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (strcmp(t->lines[mid].path, path) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void drop_line(struct treesum_line *l)
{
    free(l->what);
    l->what = NULL;
}

/* What lies below the path: those between "PATH/" and "PATH0", '0' coming next. */
static int drop_below(struct treesum *t, const char *path, struct error *err)
{
    _cleanup_free_ char *from = path[0] ? str_printf("%s/", path) : strdup("");
    size_t i, len;

    if (!from)
        return error_oom(err);
    len = strlen(from);
    for (i = lower_bound(t, from);
         i < t->n && strncmp(t->lines[i].path, from, len) == 0; i++)
        if (t->lines[i].path[0])
            drop_line(&t->lines[i]);
    return 0;
}

static int drop(struct treesum *t, const char *path, struct error *err)
{
    size_t i = lower_bound(t, path);

    if (i < t->n && strcmp(t->lines[i].path, path) == 0 && t->lines[i].what) {
        if (!is_dir(&t->lines[i])) {
            drop_line(&t->lines[i]);
            return 0;
        }
        drop_line(&t->lines[i]);
    }
    return drop_below(t, path, err);
}

/* A marker: what it hides goes, and so does its own line. */
static int apply_marker(struct treesum *t, struct treesum_line *l, const char *last,
                        struct error *err)
{
    size_t dir = last == l->path ? 0 : (size_t)(last - l->path) - 1;
    _cleanup_free_ char *path = NULL;

    if (strcmp(last, WHITEOUT_OPAQUE) == 0) {
        path = strndup(l->path, dir);
        drop_line(l);
        return path ? drop_below(t, path, err) : error_oom(err);
    }
    path = str_printf("%.*s%s%s", (int)dir, l->path, dir ? "/" : "",
                      last + strlen(WHITEOUT_PREFIX));
    drop_line(l);
    return path ? drop(t, path, err) : error_oom(err);
}

static int make_room(struct treesum *t, struct treesum *layer, struct error *err)
{
    size_t i;

    for (i = 0; i < layer->n; i++) {
        struct treesum_line *l = &layer->lines[i];
        const char *slash = strrchr(l->path, '/'), *last = slash ? slash + 1 : l->path;
        int rc = 0;

        if (strncmp(last, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
            rc = apply_marker(t, l, last, err);
        else if (!is_dir(l))
            rc = drop(t, l->path, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static void take(struct treesum *to, struct treesum_line *l)
{
    if (l->what)
        to->lines[to->n++] = *l;
    else
        free(l->path);
    *l = (struct treesum_line){NULL, NULL};
}

/* A directory that the layer only implies, over a link: where it leads to is a question
 * for compose_layer, which follows it. */
static bool follows_link(const struct treesum_line *below,
                         const struct treesum_line *above,
                         const struct layernotes *notes)
{
    return below->what && below->what[0] == 'l' && is_dir(above) &&
           layernotes_is_implied(notes, above->path);
}

/* Both have the path: the layer's line counts, but a directory that it only implies
 * does not change the one below. */
static void take_one(struct treesum *to, struct treesum_line *below,
                     struct treesum_line *above, const struct layernotes *notes)
{
    struct treesum_line *out =
        is_dir(below) && is_dir(above) && layernotes_is_implied(notes, above->path)
            ? above
            : below;

    if (above->what)
        drop_line(out);
    take(to, below);
    take(to, above);
}

/* 1: see follows_link. */
static int merge(struct treesum *t, struct treesum *layer,
                 const struct layernotes *notes, struct error *err)
{
    struct treesum merged = {calloc(t->n + layer->n + 1, sizeof(*merged.lines)), 0,
                             t->n + layer->n + 1};
    size_t i = 0, k = 0;
    int rc = 0;

    if (!merged.lines)
        return error_oom(err);
    while (i < t->n || k < layer->n) {
        struct treesum_line *a = i < t->n ? &t->lines[i] : NULL;
        struct treesum_line *b = k < layer->n ? &layer->lines[k] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);

        i += order <= 0;
        k += order >= 0;
        if (order == 0 && follows_link(a, b, notes))
            rc = 1;
        if (order == 0)
            take_one(&merged, a, b, notes);
        else
            take(&merged, order < 0 ? a : b);
    }
    t->n = layer->n = 0;
    treesum_release(t);
    *t = merged;
    return rc;
}

/* Is the directory that the name is in a directory, and not reached through a link? */
static bool has_plain_parent(const struct treesum *t, const char *name)
{
    const char *slash = strrchr(name, '/');
    _cleanup_free_ char *dir = strndup(name, slash ? (size_t)(slash - name) : 0);
    const struct treesum_line *l = dir ? treesum_find(t, dir) : NULL;

    return l && is_dir(l);
}

/* Hard links to files of the layers below. 1: one goes through a symbolic link. */
static int add_links(struct treesum *t, const struct layernotes *notes,
                     struct error *err)
{
    size_t i;

    for (i = 0; i + 1 < notes->links.count; i += 2) {
        const char *name = notes->links.items[i];
        const struct treesum_line *to = treesum_find(t, notes->links.items[i + 1]);
        struct layernotes none = LAYERNOTES_INIT;
        struct treesum one = TREESUM_INIT;
        int rc;

        if (!to || is_dir(to) || !has_plain_parent(t, name))
            return 1;
        rc = treesum_add(&one, strdup(name), strdup(to->what), err);
        if (rc == 0)
            rc = drop(t, name, err);
        if (rc == 0)
            rc = merge(t, &one, &none, err);
        treesum_release(&one);
        if (rc < 0)
            return -1;
    }
    return 0;
}

int treesum_compose(struct treesum *t, struct treesum *layer,
                    const struct layernotes *notes, struct error *err)
{
    int rc = make_room(t, layer, err);

    if (rc == 0)
        rc = merge(t, layer, notes, err);
    return rc == 0 ? add_links(t, notes, err) : rc;
}
