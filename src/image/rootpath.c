#include "image/rootpath.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/roottree.h"

#define LINKS_MAX 40

struct walk {
    const struct roottree *tree;
    struct buf path;  /* resolved so far, "" is the root */
    size_t existing;  /* length of the part that exists */
    bool missing;     /* what follows does not exist */
    mode_t mode;      /* of the existing part */
    char *rest;       /* still to do; owned */
    const char *next; /* inside rest */
    int links;
};

void rootpath_release(struct rootpath *p)
{
    free(p->path);
    free(p->existing);
    *p = (struct rootpath){0};
}

static void go_up(struct walk *w)
{
    while (w->path.len > 0 && w->path.data[--w->path.len] != '/')
        continue;
    if (w->path.data)
        w->path.data[w->path.len] = '\0';
    if (w->path.len > w->existing)
        return;
    /* A parent of something that exists is a directory. */
    if (w->path.len < w->existing)
        w->mode = S_IFDIR;
    w->existing = w->path.len;
    w->missing = false;
}

static int follow(struct walk *w, const char *target, struct error *err)
{
    char *rest;

    if (++w->links > LINKS_MAX)
        return error_sys(err, ELOOP, "too many symbolic links in the image");
    rest = str_printf("%s/%s", target, w->next);
    if (!rest)
        return error_oom(err);
    free(w->rest);
    w->rest = rest;
    w->next = rest;
    if (target[0] == '/') {
        w->path.len = 0;
        if (w->path.data)
            w->path.data[0] = '\0';
        w->existing = 0;
    }
    w->mode = S_IFDIR;
    return 0;
}

/* Looks at the resolved directory's child. 0: done, it exists or not; 1: a link was
 * taken. */
static int look(struct walk *w, const char *name, struct error *err)
{
    _cleanup_close_ int fd = -1;
    _cleanup_buf_ struct buf path = BUF_INIT;
    char target[PATH_MAX];
    struct stat st;
    ssize_t n;
    int rc;

    if (w->missing || !S_ISDIR(w->mode)) {
        w->missing = true;
        return 0;
    }
    buf_addf(&path, "%s%s%s", buf_str(&w->path), w->path.len ? "/" : "", name);
    if (buf_check(&path, err) < 0)
        return -1;
    rc = roottree_look(w->tree, buf_str(&path), &st, &fd, err);
    if (rc < 0)
        return -1;
    if (rc == 1) {
        w->missing = true;
        return 0;
    }
    if (!S_ISLNK(st.st_mode)) {
        w->mode = st.st_mode;
        return 0;
    }
    n = readlinkat(fd, "", target, sizeof(target) - 1);
    if (n < 0)
        return error_sys(err, errno, "cannot read the link \"/%s/%s\" of the image",
                         buf_str(&w->path), name);
    target[n] = '\0';
    return follow(w, target, err) < 0 ? -1 : 1;
}

static int step(struct walk *w, struct error *err)
{
    size_t n = strcspn(w->next, "/");
    _cleanup_free_ char *name = strndup(w->next, n);
    int rc;

    if (!name)
        return error_oom(err);
    w->next += n;
    w->next += strspn(w->next, "/");
    if (n == 0 || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        go_up(w);
        return 0;
    }
    rc = look(w, name, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (w->path.len > 0)
        buf_addc(&w->path, '/');
    buf_adds(&w->path, name);
    if (!w->missing)
        w->existing = w->path.len;
    return buf_check(&w->path, err);
}

int rootpath_resolve(int rootfd, const char *path, struct rootpath *out,
                     struct error *err)
{
    struct roottree_layer layer = {.fd = rootfd};
    const struct roottree tree = {.layers = &layer, .n_layers = 1};

    return rootpath_resolve_tree(&tree, path, out, err);
}

int rootpath_resolve_tree(const struct roottree *tree, const char *path,
                          struct rootpath *out, struct error *err)
{
    struct walk w = {.tree = tree, .mode = S_IFDIR};
    int rc = 0;

    w.rest = strdup(path);
    w.next = w.rest;
    if (!w.rest)
        rc = error_oom(err);
    while (rc == 0 && *w.next)
        rc = step(&w, err);
    if (rc == 0) {
        out->path = str_printf("/%s", buf_str(&w.path));
        out->existing = str_printf("/%.*s", (int)w.existing, buf_str(&w.path));
        out->mode = w.mode;
        if (!out->path || !out->existing)
            rc = error_oom(err);
    }
    if (rc < 0)
        rootpath_release(out);
    free(w.rest);
    buf_release(&w.path);
    return rc;
}
