/* manifest: the readers of the two image formats. Both fill an image whose kind and fd
 * are set from the JSON files of a source, and check all they can without reading
 * layers. */
#ifndef REPX_IMAGE_MANIFEST_H
#define REPX_IMAGE_MANIFEST_H

#include <stddef.h>

#include "image/image.h"

struct buf;
struct error;
struct source;

/* More layers than any builder makes (docker: 127). */
#define MANIFEST_LAYERS_MAX ((size_t)1024)

/* selector: "", a tag, or "sha256:<hex>". Return 1 when there is no manifest file. */
int manifest_docker_load(struct image *img, struct source *src, const char *selector,
                         struct error *err);
int manifest_oci_load(struct image *img, struct source *src, const char *selector,
                      struct error *err);

/* The config file's JSON: environment, entrypoint, architecture, and the layers'
 * diff_ids, whose number must be that of the layers (already in img). */
int image_config_parse(struct image *img, const char *text, size_t len,
                       struct error *err);

/* Appends an empty layer; NULL with err. */
struct image_layer *image_add_layer(struct image *img, const char *path,
                                    struct error *err);
/* Looks at the layer's file; the image declares its blob's size (l->size) or no blob.
 */
int image_look_at_layer(struct image_layer *l, size_t index, struct source *src,
                        struct error *err);

/* Takes out what a manifest or a memory of one has filled in: layers, config, id. */
void image_clear_content(struct image *img);

/* This machine's architecture as images name it ("amd64", "arm64"), else uname's. */
const char *image_host_architecture(void);

#endif
