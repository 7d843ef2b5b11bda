/* compose: extracted layers applied bottom to top into one tree, with hard links. OCI
 * image-spec layer.md, "Applying Changesets": directories merge, anything else
 * replaces;
 * ".wh.NAME" removes NAME of the layers below, ".wh..wh..opq" all they have in the
 * directory, wherever in the layer the marker stands. */
#ifndef REPX_IMAGE_COMPOSE_H
#define REPX_IMAGE_COMPOSE_H

#include "base/strv.h"
#include "image/progress.h"

struct error;
struct layernotes;
struct compose_dir;

struct compose {
    int rootfd; /* borrowed; a fresh directory */
    const struct image_progress *progress;
    struct compose_dir *dirs; /* whose times are set at the end */
    size_t n_dirs, cap_dirs;
};

void compose_init(struct compose *c, int rootfd, const struct image_progress *progress);
void compose_release(struct compose *c);

/* Adds the next layer. layerfd is its tree; both trees belong to the user and nobody
 * else can write into them. */
int compose_layer(struct compose *c, int layerfd, const struct layernotes *notes,
                  struct error *err);

/* Sets the directories' times, which the links made later. */
int compose_finish(struct compose *c, struct error *err);

#endif
