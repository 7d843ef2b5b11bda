#include "image/rootsums.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "image/layernotes.h"

void rootsums_release(struct rootsums *r)
{
    treesum_release(&r->lines);
}

int rootsums_add(struct rootsums *r, int layerdir, const struct digest *sums,
                 const struct layernotes *notes, struct error *err)
{
    _cleanup_(treesum_release) struct treesum layer = TREESUM_INIT;
    int rc;

    if (r->unknown)
        return 0;
    rc = treesum_read(&layer, layerdir, sums, err);
    if (rc == 0)
        rc = treesum_compose(&r->lines, &layer, notes, err);
    r->unknown = rc == 1;
    return rc < 0 ? -1 : 0;
}

int rootsums_write(struct rootsums *r, int rootfd, int dirfd,
                   const struct image_progress *progress, struct digest *sum,
                   struct error *err)
{
    struct treesum_options o = {.progress = progress};

    if (r->unknown) {
        treesum_release(&r->lines);
        if (treesum_walk(&r->lines, rootfd, &o, err) < 0)
            return error_context(err, "the checksums");
    }
    return treesum_write(&r->lines, dirfd, sum, err) < 0
               ? error_context(err, "the checksums")
               : 0;
}
