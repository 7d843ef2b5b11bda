/* store_build: a root filesystem that the store does not have yet. */
#ifndef REPX_IMAGE_STORE_BUILD_H
#define REPX_IMAGE_STORE_BUILD_H

struct error;
struct store_work;

/* Extracts the missing layers, composes all of them and publishes rootfs/<id>. The
 * caller holds the root filesystem's exclusive lock in w->lock and has seen that it is
 * absent. */
int store_build(struct store_work *w, struct error *err);

#endif
