/* store_catalog: what the store holds at one moment, for eviction and verification:
 * every root filesystem with its layers, every layer with its users. Directories
 * without a usable record are in it too, because they take space. */
#ifndef REPX_IMAGE_STORE_CATALOG_H
#define REPX_IMAGE_STORE_CATALOG_H

#include <stdbool.h>

#include "base/strv.h"
#include "image/store.h"

struct error;

struct catalog_layer {
    struct digest id;
    uint64_t bytes; /* of its files */
    size_t users;   /* images whose record names it */
    bool keep, held, gone, bad;
};

struct catalog_image {
    struct store_entry e; /* without in_use; name NULL: a leftover */
    struct strv layers;   /* hex */
    bool busy, gone;
    bool merged; /* left as layers */
};

struct store_catalog {
    struct catalog_layer *layers; /* by id */
    size_t n_layers;
    struct catalog_image *images; /* least recently used first */
    size_t n_images;
    uint64_t bytes; /* of all layers */
};

#define STORE_CATALOG_INIT                                                             \
    {                                                                                  \
        0                                                                              \
    }

int store_catalog_load(struct store_catalog *c, struct store *s, struct error *err);
void store_catalog_release(struct store_catalog *c);

/* NULL when the store has no such layer. Borrowed. */
struct catalog_layer *store_catalog_layer(struct store_catalog *c, const char *hex);

/* The names of the entries below layers/ or rootfs/, sorted. */
int store_catalog_names(struct store *s, int dirfd, struct strv *names,
                        struct error *err);

#endif
