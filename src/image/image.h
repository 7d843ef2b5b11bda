/* image: from a reference to a verified root filesystem on this node.
 *
 * image_open finds out which kind the reference is and reads its manifest and config, both
 * small. image_prepare makes the tree (store_acquire) or returns at once when the store has
 * it. Sources of the rules: OCI image-spec v1 (layout, manifest, layer), the Docker image
 * archive v1.2, FACTS-REPX section 1 and 4 (lab images).
 */
#ifndef REPX_IMAGE_IMAGE_H
#define REPX_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "image/digest.h"

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
    struct digest blob;    /* of the bytes as stored; not set when undeclared (docker) */
    bool has_blob;
    char *path;    /* file name inside the image directory or archive */
    uint64_t size; /* bytes as stored */
};

struct image {
    enum image_kind kind;
    char *reference; /* as the user gave it */
    char *path;      /* canonical path of directory or file */
    int fd;          /* of path; a directory or a regular file */
    struct digest id;    /* key of the root filesystem: OCI ChainID of the layers */
    struct digest config; /* digest of the config blob; has_config */
    bool has_config;
    char *architecture, *os; /* from the config, NULL unknown */
    struct image_layer *layers; /* bottom first */
    size_t n_layers;
    struct strv env; /* the config's Env */
    struct strv entrypoint, cmd;
    char *workdir; /* NULL none */
};

#define IMAGE_INIT {.fd = -1}

/* Opens a reference: a path to one of the kinds above. OCI layouts with several manifests
 * take ":TAG" or "@sha256:..." behind the path, else the only one for this architecture. */
int image_open(struct image *img, const char *reference, struct error *err);
void image_release(struct image *img);

/* A root filesystem that may be used until image_rootfs_release: it holds a shared lock so
 * that eviction leaves it alone. */
struct image_rootfs {
    char *path;        /* absolute host path of the tree */
    int dirfd;         /* of the tree, O_PATH|O_DIRECTORY */
    int lockfd;        /* shared lock, -1 for a plain directory */
    bool extracted;    /* this call extracted it, otherwise it was there */
    uint64_t bytes;    /* read while extracting */
    uint64_t wait_ns;  /* time waiting for another extraction */
    uint64_t extract_ns;
};

#define IMAGE_ROOTFS_INIT {.dirfd = -1, .lockfd = -1}

int image_prepare(struct image *img, struct store *store, struct image_rootfs *out,
                  struct error *err);
void image_rootfs_release(struct image_rootfs *r);

#endif
