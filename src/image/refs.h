/* refs: what archives turned out to be, so that a launch does not read gigabytes again
 * to find a manifest at their end. Keyed by path, inode, size and times: any change of
 * the file makes another key. Only a hint about what to look for in the store: the
 * content of the store itself is verified. */
#ifndef REPX_IMAGE_REFS_H
#define REPX_IMAGE_REFS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "image/image.h"

struct error;

/* The key of the file behind img->fd, with the selector. */
int refs_key(struct digest *key, const char *path, const struct stat *st,
             const char *selector, struct error *err);

/* Fills kind, id, layers and config of img from the store's memory under img->ref. 0; 1
 * when nothing (or nothing usable) is there. */
int refs_load(struct store *store, struct image *img, struct error *err);

/* The image that refs/<name> remembers; false when it remembers nothing usable. */
bool refs_image(const struct store *store, const char *name, struct digest *id);

/* Remembers img under img->ref. */
int refs_save(struct store *store, const struct image *img, struct error *err);

#endif
