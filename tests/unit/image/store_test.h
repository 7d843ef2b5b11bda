/* store_test: a store, an image and its root filesystem in a temporary directory, for
 * the tests of the store. */
#ifndef TEST_STORE_TEST_H
#define TEST_STORE_TEST_H

#include "image/store_private.h"
#include "unit/image/image_test.h"

static struct error err;
static struct store store; /* below "s" */
static struct image img;
static struct image_rootfs rootfs;

/* All but the store itself. */
static inline int store_setup_closed(void **state)
{
    error_clear(&err);
    store = (struct store)STORE_INIT;
    img = (struct image)IMAGE_INIT;
    rootfs = (struct image_rootfs)IMAGE_ROOTFS_INIT;
    return test_setup(state);
}

static inline int store_setup(void **state)
{
    if (store_setup_closed(state) < 0)
        return -1;
    return store_open(&store, test_path("s"), &err);
}

static inline int store_teardown(void **state)
{
    image_rootfs_release(&rootfs);
    image_release(&img);
    store_release(&store);
    return test_teardown(state);
}

#endif
