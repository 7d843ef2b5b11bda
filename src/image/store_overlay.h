/* store_overlay: root filesystems that are their layers, merged by overlay when they
 * are mounted, so that nothing is composed.
 *
 * Not every image can be one. What overlay shows has to be exactly what compose would
 * make: no whiteouts (they are files in our layers), no hard links into other layers,
 * no directory that a layer only implies where one below has a link. A directory that
 * is only implied on top, and declared below, keeps its attributes through a
 * correction.
 *
 * File "overlay" in the entry: "l<hex>\0<prefix>\0" for each layer, bottom first, and
 * "d<mode> <seconds> <nanoseconds> <path>\0" for each correction.
 */
#ifndef REPX_IMAGE_STORE_OVERLAY_H
#define REPX_IMAGE_STORE_OVERLAY_H

#include "image/roottree.h"

struct error;
struct image;
struct store;

/* Fills tree for the image, whose layers are in the store. 0; 1: it has to be composed,
 * why (static text) says so; -1. */
int store_overlay_plan(struct store *s, const struct image *img, struct roottree *tree,
                       const char **why, struct error *err);

/* The file below dirfd; not durable by itself. */
int store_overlay_write(int dirfd, const struct image *img, const struct roottree *tree,
                        struct error *err);

/* 0; 1: the entry below dirfd is no overlay, or one whose layers are not all there. */
int store_overlay_read(struct store *s, int dirfd, struct roottree *tree,
                       struct error *err);

#endif
