#include "image/store_overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/layernotes.h"
#include "image/store_private.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define FILE_NAME "overlay"
#define FILE_MAX ((size_t)16 * 1024 * 1024)

/* The kernel's limit is 500 (OVL_MAX_STACK), with ours on top. */
#define LAYERS_MAX 490
/* Looks at implied directories, all layers counted: what compose does is cheaper then.
 */
#define LOOKS_MAX 20000
#define PREFIX_DEPTH_MAX 16

static int open_layer_dir(struct store *s, const char *hex)
{
    return openat(s->layers_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static char *layer_path(const struct store *s, const char *hex)
{
    return str_printf("%s/layers/%s/" STORE_TREE, s->path, hex);
}

/* The only entry of a directory, when that is a directory: its name, owned. 0; 1. */
static int only_child(int fd, char **name, struct error *err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    _cleanup_free_ char *only = NULL;
    struct dirent *e;
    struct stat st;

    if (!dir) {
        cleanup_closep(&copy);
        return error_sys(err, errno, "cannot read a directory of an extracted layer");
    }
    while ((errno = 0, e = readdir(dir))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (only)
            return 1;
        only = strdup(e->d_name);
        if (!only)
            return error_oom(err);
    }
    if (errno)
        return error_sys(err, errno, "cannot read a directory of an extracted layer");
    if (!only || fstatat(fd, only, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISDIR(st.st_mode))
        return 1;
    *name = steal_ptr(only);
    return 0;
}

/* What everything in the layer is below (roottree.h). */
static char *find_prefix(int tree, struct error *err)
{
    _cleanup_buf_ struct buf prefix = BUF_INIT;
    _cleanup_close_ int fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    buf_adds(&prefix, "");
    for (int depth = 0; fd >= 0 && depth < PREFIX_DEPTH_MAX; depth++) {
        _cleanup_free_ char *name = NULL;
        int rc = only_child(fd, &name, err), next;

        if (rc < 0)
            return NULL;
        if (rc == 1)
            break;
        next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            break;
        close(fd);
        fd = next;
        buf_addf(&prefix, "%s%s", prefix.len ? "/" : "", name);
    }
    if (buf_check(&prefix, err) < 0)
        return NULL;
    return buf_steal(&prefix);
}

/* The notes of all layers, and the paths that some layer only implies. */
struct notes {
    struct layernotes *items;
    size_t n;
    struct strv implied;
};

static void notes_release(struct notes *n)
{
    size_t i;

    for (i = 0; i < n->n; i++)
        layernotes_release(&n->items[i]);
    free(n->items);
    strv_release(&n->implied);
}

static int add_layer(struct store *s, const char *hex, struct roottree *tree,
                     struct layernotes *notes, struct error *err)
{
    _cleanup_close_ int dir = open_layer_dir(s, hex), fd = -1;
    _cleanup_free_ char *path = layer_path(s, hex), *prefix = NULL;

    if (dir >= 0)
        fd = openat(dir, STORE_TREE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open a layer of the store");
    if (!path)
        return error_oom(err);
    if (layernotes_read(notes, dir, err) < 0)
        return -1;
    prefix = find_prefix(fd, err);
    return prefix ? roottree_add(tree, steal_fd(&fd), path, prefix, err) : -1;
}

static int load(struct store *s, const struct image *img, struct roottree *tree,
                struct notes *notes, struct error *err)
{
    const size_t most = LOOKS_MAX / img->n_layers;
    size_t i;

    notes->items = calloc(img->n_layers + 1, sizeof(*notes->items));
    if (!notes->items)
        return error_oom(err);
    for (i = 0; i < img->n_layers; i++) {
        struct layernotes *n = &notes->items[notes->n++];

        if (add_layer(s, img->layers[i].diff_id.hex, tree, n, err) < 0)
            return error_context(err, "layer %zu of %zu", i + 1, img->n_layers);
        strv_extend(&notes->implied, strv_argv(&n->implied));
        if (notes->implied.count > most)
            strv_sort_unique(&notes->implied);
        if (notes->implied.count > most)
            break; /* too many, whatever the others say */
    }
    strv_sort_unique(&notes->implied);
    return strv_check(&notes->implied, err);
}

/* What a path is when layers are applied one after the other. */
struct applied {
    enum { NOTHING, DIRECTORY, LINK, OTHER } what;
    bool declared; /* DIRECTORY: some layer has an entry for it; st says what */
    bool on_top;   /* by the topmost layer that has the directory */
    struct stat st;
};

/* Applies one layer. 0; 1: compose would follow a link here. */
static int apply(const struct roottree *tree, size_t i, const struct layernotes *notes,
                 const char *path, struct applied *a, struct error *err)
{
    const struct roottree one = {.layers = &tree->layers[i], .n_layers = 1};
    struct stat st;
    int rc = roottree_look(&one, path, &st, NULL, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (!S_ISDIR(st.st_mode)) {
        *a = (struct applied){.what = S_ISLNK(st.st_mode) ? LINK : OTHER};
        return 0;
    }
    if (!layernotes_is_implied(notes, path)) {
        *a = (struct applied){
            .what = DIRECTORY, .declared = true, .on_top = true, .st = st};
        return 0;
    }
    if (a->what == LINK)
        return 1;
    if (a->what != DIRECTORY)
        *a = (struct applied){.what = DIRECTORY};
    a->on_top = false;
    return 0;
}

/* Corrections for what is implied on top of something declared. 0; 1 as apply. */
static int correct(struct roottree *tree, const struct notes *notes, struct error *err)
{
    size_t i, k;

    for (i = 0; i < notes->implied.count; i++) {
        const char *path = notes->implied.items[i];
        struct applied a = {.what = NOTHING};

        for (k = 0; k < tree->n_layers; k++) {
            int rc = apply(tree, k, &notes->items[k], path, &a, err);

            if (rc != 0)
                return rc;
        }
        if (a.what == DIRECTORY && a.declared && !a.on_top &&
            roottree_add_dir(tree, path, a.st.st_mode & 0777, &a.st.st_mtim, err) < 0)
            return -1;
    }
    return 0;
}

static const char *reason(const struct notes *notes, size_t n_layers)
{
    size_t i;

    if (n_layers == 0)
        return "it has no layers";
    if (n_layers > LAYERS_MAX)
        return "it has more layers than overlay takes";
    if (notes->implied.count > LOOKS_MAX / n_layers)
        return "its layers declare few of their directories";
    for (i = 0; i < notes->n; i++) {
        if (notes->items[i].markers)
            return "a layer removes files";
        if (notes->items[i].links.count > 0)
            return "a layer links files of another";
    }
    return NULL;
}

static int plan(struct store *s, const struct image *img, struct roottree *tree,
                struct notes *notes, const char **why, struct error *err)
{
    int rc;

    if (img->n_layers == 0 || img->n_layers > LAYERS_MAX) {
        *why = reason(notes, img->n_layers);
        return 1;
    }
    if (load(s, img, tree, notes, err) < 0)
        return -1;
    *why = reason(notes, img->n_layers);
    if (*why)
        return 1;
    rc = correct(tree, notes, err);
    if (rc == 1)
        *why = "a layer has files behind a link of another";
    return rc;
}

int store_overlay_plan(struct store *s, const struct image *img, struct roottree *tree,
                       const char **why, struct error *err)
{
    struct notes notes = {.implied = STRV_INIT};
    int rc = plan(s, img, tree, &notes, why, err);

    notes_release(&notes);
    tree->merged = true;
    if (rc != 0)
        roottree_release(tree);
    return rc;
}

int store_overlay_write(int dirfd, const struct image *img, const struct roottree *tree,
                        struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    size_t i;

    for (i = 0; i < tree->n_layers; i++) {
        buf_addf(&text, "l%s", img->layers[i].diff_id.hex);
        buf_addc(&text, '\0');
        buf_adds(&text, tree->layers[i].prefix);
        buf_addc(&text, '\0');
    }
    for (i = 0; i < tree->n_dirs; i++) {
        const struct roottree_dir *d = &tree->dirs[i];

        buf_addf(&text, "d%o %lld %ld %s", (unsigned)d->mode,
                 (long long)d->mtime.tv_sec, d->mtime.tv_nsec, d->path);
        buf_addc(&text, '\0');
    }
    if (buf_check(&text, err) < 0)
        return -1;
    return atomicfile_write(dirfd, FILE_NAME, buf_str(&text), text.len, 0644, false,
                            err);
}

/* The layer's record makes it one: a directory without is being removed. 0; 1. */
static int recall_layer(struct store *s, struct roottree *tree, const char *hex,
                        const char *prefix, struct error *err)
{
    _cleanup_free_ char *path = layer_path(s, hex);
    char record[DIGEST_HEX_LEN + sizeof("/" STORE_RECORD)];

    if (!path)
        return error_oom(err);
    if (!is_lower_hex(hex, DIGEST_HEX_LEN))
        return 1;
    snprintf(record, sizeof(record), "%s/" STORE_RECORD, hex);
    if (faccessat(s->layers_fd, record, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 1;
    return roottree_add(tree, -1, path, prefix, err);
}

static int recall_dir(struct roottree *tree, const char *text, struct error *err)
{
    long long seconds;
    struct timespec mtime;
    unsigned mode;
    int n = 0;
    long ns;

    if (sscanf(text, "%o %lld %ld %n", &mode, &seconds, &ns, &n) != 3 || n == 0)
        return 1;
    mtime = (struct timespec){(time_t)seconds, ns};
    return roottree_add_dir(tree, text + n, mode & 0777, &mtime, err);
}

static int parse(struct store *s, const struct buf *text, struct roottree *tree,
                 struct error *err)
{
    const char *p = text->data, *end = p + text->len;

    if (text->len == 0 || end[-1] != '\0')
        return 1;
    while (p < end) {
        const char *first = p + 1, *next = p + strlen(p) + 1;
        int rc = 1;

        if (*p == 'd') {
            rc = recall_dir(tree, first, err);
        } else if (*p == 'l' && next < end) {
            rc = recall_layer(s, tree, first, next, err);
            next += strlen(next) + 1;
        }
        if (rc != 0)
            return rc;
        p = next;
    }
    return 0;
}

int store_overlay_read(struct store *s, int dirfd, struct roottree *tree,
                       struct error *err)
{
    _cleanup_close_ int fd =
        openat(dirfd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_buf_ struct buf text = BUF_INIT;
    int rc;

    if (fd < 0)
        return errno == ENOENT ? 1 : error_sys(err, errno, "cannot open \"overlay\"");
    rc = pathfd_read_all(fd, FILE_MAX, &text, err);
    if (rc == 0)
        rc = parse(s, &text, tree, err);
    tree->merged = true;
    if (rc != 0)
        roottree_release(tree);
    return rc;
}
