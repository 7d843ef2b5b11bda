/* When all entries are there: times, notes, and the lines for verification. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/treewriter_private.h"
#include "sys/pathfd.h"

/* Links to links to links: archivers name the first file each time. */
#define SORTS_MAX 8

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* An entry that came after its content made the directory no longer only implied. */
static int drop_declared(struct treewriter *w, struct error *err)
{
    _cleanup_strv_ struct strv declared = STRV_INIT, implied = STRV_INIT;
    size_t i;

    if (w->notes.implied.count == 0)
        return 0;
    for (i = 0; i < w->n_dirs; i++)
        strv_add(&declared, w->dirs[i].name);
    if (strv_check(&declared, err) < 0)
        return -1;
    strv_sort(&declared);
    for (i = 0; i < w->notes.implied.count; i++)
        if (!declared.count ||
            !bsearch(&w->notes.implied.items[i], declared.items, declared.count,
                     sizeof(*declared.items), compare_names))
            strv_add(&implied, w->notes.implied.items[i]);
    if (strv_check(&implied, err) < 0)
        return -1;
    strv_release(&w->notes.implied);
    w->notes.implied = implied;
    implied = (struct strv)STRV_INIT;
    return 0;
}

/* A later entry of the same name takes the place of a link that waits for its target.
 */
static int drop_replaced_links(struct treewriter *w, struct error *err)
{
    _cleanup_strv_ struct strv links = STRV_INIT;
    size_t i;

    for (i = 0; i + 1 < w->notes.links.count; i += 2) {
        _cleanup_close_ int fd = -1;

        fd = pathfd_open_in_root(w->rootfd, w->notes.links.items[i],
                                 O_PATH | O_NOFOLLOW, 0, err);
        if (fd >= 0)
            continue;
        error_clear(err);
        strv_add(&links, w->notes.links.items[i]);
        strv_add(&links, w->notes.links.items[i + 1]);
    }
    if (strv_check(&links, err) < 0)
        return -1;
    strv_release(&w->notes.links);
    w->notes.links = links;
    links = (struct strv)STRV_INIT;
    return 0;
}

int treewriter_finish(struct treewriter *w, struct error *err)
{
    size_t i;

    if (treewriter_settle(w, err) < 0)
        return -1;
    treewriter_forget_parent(w);
    for (i = 0; i < w->n_dirs; i++) {
        const struct treewriter_dir *d = &w->dirs[i];
        struct timespec times[2] = {d->mtime, d->mtime};
        _cleanup_close_ int fd = -1;

        fd = pathfd_open_in_root(w->rootfd, d->name[0] ? d->name : ".", DIR_FLAGS, 0,
                                 err);
        if (fd >= 0)
            futimens(fd, times);
        else
            error_clear(err); /* a later entry has replaced the directory */
    }
    return drop_declared(w, err) < 0 ? -1 : drop_replaced_links(w, err);
}

static int by_name(const void *a, const void *b)
{
    const struct treewriter_dir *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : x->order < y->order ? -1 : 1;
}

/* Of several entries for one directory the last counts. */
static int add_dirs(struct treewriter *w, struct treesum *t, struct error *err)
{
    struct stat st;
    size_t i;

    if (fstat(w->rootfd, &st) < 0)
        return error_sys(err, errno, "cannot stat the tree");
    if (treesum_add(t, strdup(""), treesum_dir(st.st_mode & 07777), err) < 0)
        return -1;
    if (w->n_dirs > 0)
        qsort(w->dirs, w->n_dirs, sizeof(*w->dirs), by_name);
    for (i = 0; i < w->n_dirs; i++) {
        const struct treewriter_dir *d = &w->dirs[i];

        if (!d->name[0] || (i + 1 < w->n_dirs && strcmp(d->name, d[1].name) == 0))
            continue;
        if (treesum_add(t, strdup(d->name), treesum_dir(d->mode), err) < 0)
            return -1;
    }
    for (i = 0; i < w->notes.implied.count; i++)
        if (treesum_add(t, strdup(w->notes.implied.items[i]), treesum_dir(IMPLIED_MODE),
                        err) < 0)
            return -1;
    return 0;
}

/* Links have their targets' lines. 1 when one is not known. */
static int add_hardlinks(struct treewriter *w, struct treesum *t, struct error *err)
{
    size_t i, sorts = 0;
    struct treesum first = {t->lines, t->n, 0};

    for (i = 0; i + 1 < w->hardlinks.count; i += 2) {
        const struct treesum_line *line =
            treesum_find(&first, w->hardlinks.items[i + 1]);

        /* A link to a link of this list: sort what there is, and look again. */
        if (!line && t->n > first.n && sorts++ < SORTS_MAX) {
            treesum_sort(t);
            first = (struct treesum){t->lines, t->n, 0};
            line = treesum_find(&first, w->hardlinks.items[i + 1]);
        }
        if (!line)
            return 1;
        if (treesum_add(t, strdup(w->hardlinks.items[i]), strdup(line->what), err) < 0)
            return -1;
        first.lines = t->lines; /* it may have moved */
    }
    treesum_sort(t);
    return 0;
}

/* 0; 1 when only a look at the tree can tell; -1. */
static int sums_of_entries(struct treewriter *w, struct treesum *out, struct error *err)
{
    int rc;

    if (w->aliased || w->replaced || !w->files.exact)
        return 1;
    if (treesum_append(out, &w->files.sums, err) < 0 ||
        treesum_append(out, &w->sums, err) < 0 || add_dirs(w, out, err) < 0)
        return -1;
    treesum_sort(out);
    rc = add_hardlinks(w, out, err);
    if (rc != 0)
        treesum_release(out);
    return rc;
}

int treewriter_sums(struct treewriter *w, struct treesum *out,
                    const struct image_progress *progress, struct error *err)
{
    struct treesum_options o = {.progress = progress};
    int rc = sums_of_entries(w, out, err);

    return rc == 1 ? treesum_walk(out, w->rootfd, &o, err) : rc;
}
