#include "image/store_catalog.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/store_private.h"
#include "sys/pathfd.h"

int store_catalog_names(struct store *s, int dirfd, struct strv *names,
                        struct error *err)
{
    _cleanup_strv_ struct strv all = STRV_INIT;

    if (pathfd_names(dirfd, &all, err) < 0)
        return error_context(err, "the store \"%s\"", s->path);
    for (size_t i = 0; i < all.count; i++)
        if (is_lower_hex(all.items[i], DIGEST_HEX_LEN))
            strv_add(names, all.items[i]);
    return strv_check(names, err);
}

static int load_layers(struct store_catalog *c, struct store *s, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    size_t i;

    if (store_catalog_names(s, s->layers_fd, &names, err) < 0)
        return -1;
    c->layers = calloc(names.count + 1, sizeof(*c->layers));
    if (!c->layers)
        return error_oom(err);
    for (i = 0; i < names.count; i++) {
        struct catalog_layer *l = &c->layers[c->n_layers++];
        struct store_layer_record record = {0};

        memcpy(l->id.hex, names.items[i], DIGEST_HEX_LEN + 1);
        if (store_record_check_layer(s, &l->id, &record, err) < 0)
            return -1;
        l->bytes = record.bytes;
        c->bytes += l->bytes;
    }
    return 0;
}

static int load_image(struct store_catalog *c, struct store *s, const char *hex,
                      struct error *err)
{
    struct catalog_image *i = &c->images[c->n_images];
    _cleanup_close_ int fd = -1;
    struct digest sums;
    struct stat st;
    size_t k;
    int rc;

    fd = openat(s->rootfs_fd, hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    c->n_images++;
    memcpy(i->e.id.hex, hex, DIGEST_HEX_LEN + 1);
    i->merged = store_record_sums(fd, &sums);
    rc = store_record_read_rootfs(fd, &i->e, err);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    i->e.used = i->e.created;
    if (fstatat(fd, STORE_USED, &st, AT_SYMLINK_NOFOLLOW) == 0)
        i->e.used = st.st_mtim.tv_sec;
    if (store_record_layers(fd, &i->layers, err) < 0)
        return -1;
    for (k = 0; k < i->layers.count; k++) {
        struct catalog_layer *l = store_catalog_layer(c, i->layers.items[k]);

        if (l)
            l->users++;
    }
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct catalog_image *x = a, *y = b;

    if (x->e.used != y->e.used)
        return x->e.used < y->e.used ? -1 : 1;
    return strcmp(x->e.id.hex, y->e.id.hex);
}

static int load(struct store_catalog *c, struct store *s, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    size_t i;

    if (load_layers(c, s, err) < 0 ||
        store_catalog_names(s, s->rootfs_fd, &names, err) < 0)
        return -1;
    c->images = calloc(names.count + 1, sizeof(*c->images));
    if (!c->images)
        return error_oom(err);
    for (i = 0; i < names.count; i++)
        if (load_image(c, s, names.items[i], err) < 0)
            return -1;
    qsort(c->images, c->n_images, sizeof(*c->images), by_age);
    return 0;
}

int store_catalog_load(struct store_catalog *c, struct store *s, struct error *err)
{
    int rc;

    *c = (struct store_catalog)STORE_CATALOG_INIT;
    rc = load(c, s, err);
    if (rc < 0)
        store_catalog_release(c);
    return rc;
}

void store_catalog_release(struct store_catalog *c)
{
    size_t i;

    for (i = 0; i < c->n_images; i++) {
        free(c->images[i].e.name);
        strv_release(&c->images[i].layers);
    }
    free(c->images);
    free(c->layers);
    *c = (struct store_catalog)STORE_CATALOG_INIT;
}

static int compare_id(const void *key, const void *layer)
{
    return strcmp(key, ((const struct catalog_layer *)layer)->id.hex);
}

struct catalog_layer *store_catalog_layer(struct store_catalog *c, const char *hex)
{
    if (!c->n_layers)
        return NULL;
    return bsearch(hex, c->layers, c->n_layers, sizeof(*c->layers), compare_id);
}
