/* image: from a reference to a verified root filesystem on this node.
 *
 * image_open finds out which kind the reference is and reads its manifest and config,
 * both small. image_prepare makes the tree (store_acquire) or returns at once when the
 * store has it. Sources of the rules: OCI image-spec v1 (layout, manifest, layer), the
 * Docker image archive v1.2, FACTS-REPX section 1 and 4 (lab images).
 */
#ifndef REPX_IMAGE_IMAGE_H
#define REPX_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "image/digest.h"
#include "image/progress.h"
#include "image/roottree.h"

struct error;
struct store;

enum image_kind {
    IMAGE_DOCKER_DIR,     /* directory with docker-archive manifest.json (RepX labs) */
    IMAGE_DOCKER_ARCHIVE, /* the same in a tar, perhaps compressed */
    IMAGE_OCI_DIR,        /* OCI image layout */
    IMAGE_OCI_ARCHIVE,
    IMAGE_ROOTFS_DIR, /* a plain tree, used in place */
    IMAGE_ROOTFS_TAR, /* a tar of a tree */
};

const char *image_kind_name(enum image_kind kind);

struct image_layer {
    struct digest diff_id; /* of the uncompressed tar */
    struct digest blob; /* of the bytes as stored; not set when undeclared (docker) */
    bool has_blob;
    char *path;      /* file name inside the image directory or archive */
    uint64_t size;   /* bytes as stored; unseen: what the manifest says, else 0 */
    bool compressed; /* as stored, so that its extracted size can only be estimated */
};

struct image {
    enum image_kind kind;
    char *reference;  /* as the user gave it */
    char *path;       /* canonical path of directory or file */
    int fd;           /* of path; a directory or a regular file */
    struct digest id; /* key of the root filesystem: OCI ChainID of the layers. Empty
                       * for IMAGE_ROOTFS_DIR always, for IMAGE_ROOTFS_TAR until it was
                       * extracted once (image_prepare fills it) */
    struct digest
        ref; /* key of what the store remembers about an archive; else empty */
    struct digest config; /* digest of the config blob; has_config */
    bool has_config;
    char *architecture, *os;    /* from the config, NULL unknown */
    struct image_layer *layers; /* bottom first */
    size_t n_layers;
    bool unseen;       /* the layers' files were not looked at (image_look_at_layers) */
    char *selector;    /* the tag or digest behind the path, "" none */
    struct strv files; /* of a directory: what was read beside the layers */
    struct strv env;   /* the config's Env */
    struct strv entrypoint, cmd;
    char *workdir; /* NULL none */
};

#define IMAGE_INIT                                                                     \
    {                                                                                  \
        .fd = -1                                                                       \
    }

/* Opens a reference: a path to one of the kinds above. Images with several manifests
 * take ":TAG" or "@sha256:..." behind the path. Without it an OCI layout gives the only
 * one for this architecture, and a docker archive its first, as RepX does. */
int image_open(struct image *img, const char *reference, struct error *err);
/* The same with a store (may be NULL), which remembers what an archive turned out to
 * be, so that it is read only once. The layers of a directory are not looked at when
 * the store has the image. */
int image_open_cached(struct image *img, const char *reference, struct store *store,
                      struct error *err);
/* Makes sure that the layers' files are there, with the declared sizes, and fills size
 * and compressed. image_prepare does it when it has to extract. */
int image_look_at_layers(struct image *img, struct error *err);
void image_release(struct image *img);

/* Is its root filesystem in the store, or the site's? Asks no lock: for hints only. */
bool image_is_there(const struct image *img, struct store *store);

/* The image file or directory that a lab or a base_path has under this name, searched
 * as RepX does: images/, artifacts/images/, artifacts/image/, image/; the name itself,
 * then with .gz, .tar, .tar.gz. name is one path component. 0 and *path (owned by the
 * caller), 1 when there is none, -1 with err. */
int image_find_in_lab(const char *lab_or_base, const char *name, char **path,
                      struct error *err);

/* A root filesystem that may be used until image_rootfs_release: it holds a shared lock
 * so that eviction leaves it alone. */
struct image_rootfs {
    char *path; /* absolute host path of the tree; merged: of the store's entry */
    int dirfd;  /* of the tree, O_PATH|O_DIRECTORY; merged: -1 */
    struct roottree tree; /* to look into it, merged or not */
    int lockfd;     /* shared flock, -1 for a plain directory: eviction leaves the tree
                     * alone as long as any copy of this descriptor is open, so it can
                     * be inherited by, or sent to, a process that outlives us */
    bool extracted; /* this call extracted it, otherwise it was there */
    bool shared;    /* it is in the site's store */
    uint64_t bytes; /* read while extracting */
    uint64_t wait_ns; /* time waiting for another extraction */
    uint64_t extract_ns;
};

#define IMAGE_ROOTFS_INIT                                                              \
    {                                                                                  \
        .dirfd = -1, .tree = ROOTTREE_INIT, .lockfd = -1                               \
    }

/* The tree of the image: found in the store or extracted, verified and published there;
 * of IMAGE_ROOTFS_DIR the directory itself. store may be NULL only for the latter. One
 * process extracts, the others wait for it as long as it lives and take over when it
 * dies. progress may be NULL. After an error nothing of the extraction is left. */
int image_prepare(struct image *img, struct store *store,
                  const struct image_progress *progress, struct image_rootfs *out,
                  struct error *err);
/* "overlay", "flat", or "directory" of a plain directory. */
const char *image_rootfs_mode(const struct image_rootfs *r);
void image_rootfs_release(struct image_rootfs *r);

#endif
