#include "image/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/manifest.h"
#include "image/refs.h"
#include "image/source.h"
#include "image/store.h"
#include "image/store_private.h"
#include "image/tarstream.h"
#include "sys/pathfd.h"

const char *image_kind_name(enum image_kind kind)
{
    switch (kind) {
    case IMAGE_DOCKER_DIR:
        return "docker-dir";
    case IMAGE_DOCKER_ARCHIVE:
        return "docker-archive";
    case IMAGE_OCI_DIR:
        return "oci-dir";
    case IMAGE_OCI_ARCHIVE:
        return "oci-archive";
    case IMAGE_ROOTFS_DIR:
        return "rootfs-dir";
    case IMAGE_ROOTFS_TAR:
        return "rootfs-tar";
    }
    return "unknown";
}

void image_clear_content(struct image *img)
{
    size_t i;

    for (i = 0; i < img->n_layers; i++)
        free(img->layers[i].path);
    free(img->layers);
    img->layers = NULL;
    img->n_layers = 0;
    free(img->architecture);
    free(img->os);
    free(img->workdir);
    img->architecture = img->os = img->workdir = NULL;
    strv_release(&img->files);
    strv_release(&img->env);
    strv_release(&img->entrypoint);
    strv_release(&img->cmd);
    img->files = img->env = img->entrypoint = img->cmd = (struct strv)STRV_INIT;
    img->id.hex[0] = img->config.hex[0] = '\0';
    img->has_config = false;
}

void image_release(struct image *img)
{
    image_clear_content(img);
    free(img->reference);
    free(img->path);
    free(img->selector);
    if (img->fd >= 0)
        close(img->fd);
    *img = (struct image)IMAGE_INIT;
}

/* Where a selector begins in a reference: "@sha256:..." or ":TAG" without a slash. */
static const char *find_selector(const char *reference)
{
    const char *at = strstr(reference, "@sha256:"), *colon;
    struct digest d;

    if (at && digest_parse(at + 1, &d))
        return at;
    colon = strrchr(reference, ':');
    return colon && colon != reference && colon[1] && !strchr(colon, '/') ? colon
                                                                          : NULL;
}

int image_look_at_layer(struct image_layer *l, size_t index, struct source *src,
                        struct error *err)
{
    struct source_stat st;
    int rc = source_stat(src, l->path, &st, err);

    if (rc < 0)
        return error_context(err, "layer %zu", index);
    if (rc == 1)
        return error_fail(err,
                          "layer %zu, \"%.200s\", is missing; the image is incomplete, "
                          "copy it again",
                          index, l->path);
    if (l->has_blob && l->size != st.size)
        return error_fail(
            err,
            "layer %zu, \"%s\", has %llu bytes and not the number that the "
            "manifest says; the image is damaged, copy it again",
            index, l->path, (unsigned long long)st.size);
    l->size = st.size;
    l->compressed = st.compressed;
    return 0;
}

int image_look_at_layers(struct image *img, struct error *err)
{
    struct source src;
    size_t i;

    if (!img->unseen)
        return 0;
    source_dir_init(&src, img->fd);
    for (i = 0; i < img->n_layers; i++)
        if (image_look_at_layer(&img->layers[i], i + 1, &src, err) < 0)
            return -1;
    img->unseen = false;
    return 0;
}

/* Opens the path, which may itself contain a colon: the whole reference goes first. */
static int open_path(struct image *img, const char *reference, char **selector,
                     struct error *err)
{
    const char *split = find_selector(reference);
    _cleanup_free_ char *path = NULL;

    *selector = strdup("");
    img->fd = pathfd_open_user(reference, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
    if (img->fd >= 0) {
        img->path = pathfd_canonical(reference, err);
        return img->path ? 0 : -1;
    }
    if (err->errnum != ENOENT && err->errnum != ENOTDIR)
        return -1;
    if (!split)
        return error_hint(err, "the image must be a path to a directory or a tar file");
    path = strndup(reference, (size_t)(split - reference));
    free(*selector);
    *selector = strdup(split + 1);
    if (!path || !*selector)
        return error_oom(err);
    error_clear(err);
    img->fd = pathfd_open_user(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
    if (img->fd < 0)
        return error_hint(err, "the image must be a path to a directory or a tar file");
    img->path = pathfd_canonical(path, err);
    return img->path ? 0 : -1;
}

static int chain_id(struct image *img, struct error *err)
{
    _cleanup_free_ struct digest *ids = calloc(img->n_layers, sizeof(*ids));
    size_t i;

    if (!ids)
        return error_oom(err);
    for (i = 0; i < img->n_layers; i++)
        ids[i] = img->layers[i].diff_id;
    return digest_chain(ids, img->n_layers, &img->id, err);
}

/* A plain tree: any entry makes it one. */
static int check_rootfs_dir(struct image *img, const char *selector, struct error *err)
{
    struct dirent *entry;
    bool any = false;
    DIR *dir;
    int fd;

    if (selector[0])
        return error_fail(err,
                          "a root filesystem directory has no tags, but \"%.200s\" "
                          "was asked for",
                          selector);
    fd = openat(img->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return error_sys(err, errno, "cannot read the directory");
    }
    while (!any && (entry = readdir(dir)))
        any = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    if (!any)
        return error_fail(err, "the directory is empty; an image directory has a "
                               "manifest.json, an oci-layout or a file system tree");
    img->kind = IMAGE_ROOTFS_DIR;
    return 0;
}

static int open_dir(struct image *img, const char *selector, bool lazy,
                    struct error *err)
{
    struct source src;
    int rc;

    source_dir_init(&src, img->fd);
    src.lazy = lazy;
    src.names = &img->files;
    img->kind = IMAGE_DOCKER_DIR;
    rc = manifest_docker_load(img, &src, selector, err);
    if (rc == 1) {
        img->kind = IMAGE_OCI_DIR;
        rc = manifest_oci_load(img, &src, selector, err);
    }
    if (rc == 1)
        return check_rootfs_dir(img, selector, err);
    return rc < 0 ? -1 : chain_id(img, err);
}

/* The layers are looked at when they will be needed: what is wrong with them is said
 * before anything is done. */
static int open_known_dir(struct image *img, const char *selector, struct store *store,
                          struct error *err)
{
    if (open_dir(img, selector, store != NULL, err) < 0)
        return -1;
    if (!img->unseen || image_is_there(img, store))
        return 0;
    return image_look_at_layers(img, err);
}

/* A tar of a tree is one layer whose digest nobody declares. */
static int open_rootfs_tar(struct image *img, const struct stat *st,
                           const char *selector, struct error *err)
{
    char magic[TARSTREAM_MAGIC_LEN];
    struct image_layer *layer;
    ssize_t n;

    if (selector[0])
        return error_fail(err,
                          "the tar has no manifest.json or oci-layout, so there is "
                          "no image \"%.200s\" in it",
                          selector);
    n = pread(img->fd, magic, sizeof(magic), 0);
    if (n < 0)
        return error_sys(err, errno, "cannot read");
    layer = image_add_layer(img, img->path, err);
    if (!layer)
        return -1;
    layer->size = (uint64_t)st->st_size;
    layer->compressed = tarstream_is_compressed(magic, (size_t)n);
    img->kind = IMAGE_ROOTFS_TAR;
    return 0;
}

static int read_archive(struct image *img, const struct stat *st, const char *selector,
                        struct error *err)
{
    _cleanup_(source_release) struct source src = SOURCE_INIT;
    int rc = 1;

    if (st->st_size == 0)
        return error_fail(err, "the file is empty");
    source_archive_init(&src, img->fd);
    if (source_archive_index(&src, err) < 0)
        return -1;
    if (!src.rootfs) {
        img->kind = IMAGE_DOCKER_ARCHIVE;
        rc = manifest_docker_load(img, &src, selector, err);
    }
    if (rc == 1 && !src.rootfs) {
        img->kind = IMAGE_OCI_ARCHIVE;
        rc = manifest_oci_load(img, &src, selector, err);
    }
    if (rc == 1)
        return open_rootfs_tar(img, st, selector, err);
    return rc < 0 ? -1 : chain_id(img, err);
}

static int open_file(struct image *img, struct store *store, const struct stat *st,
                     const char *selector, struct error *err)
{
    struct error ignored = ERROR_INIT;
    int rc;

    if (refs_key(&img->ref, img->path, st, selector, err) < 0)
        return -1;
    rc = refs_load(store, img, err);
    if (rc == 1 && store && store->site)
        rc = refs_load(store->site, img, err);
    if (rc <= 0)
        return rc;
    if (read_archive(img, st, selector, err) < 0)
        return -1;
    if (store && img->id.hex[0])
        refs_save(store, img, &ignored); /* a full disk only costs the hint */
    return 0;
}

int image_open_cached(struct image *img, const char *reference, struct store *store,
                      struct error *err)
{
    struct stat st;
    int rc;

    *img = (struct image)IMAGE_INIT;
    img->reference = strdup(reference);
    if (!img->reference)
        rc = error_oom(err);
    else
        rc = open_path(img, reference, &img->selector, err);
    if (rc == 0 && fstat(img->fd, &st) < 0)
        rc = error_sys(err, errno, "cannot stat");
    if (rc == 0 && S_ISDIR(st.st_mode))
        rc = open_known_dir(img, img->selector, store, err);
    else if (rc == 0 && S_ISREG(st.st_mode))
        rc = open_file(img, store, &st, img->selector, err);
    else if (rc == 0)
        rc = error_fail(err, "neither a directory nor a regular file");
    if (rc < 0) {
        error_context(err, "image \"%.300s\"", reference);
        image_release(img);
    }
    return rc;
}

bool image_is_there(const struct image *img, struct store *store)
{
    return img->id.hex[0] && (store_has(store, &img->id) ||
                              (store->site && store_has(store->site, &img->id)));
}

int image_open(struct image *img, const char *reference, struct error *err)
{
    return image_open_cached(img, reference, NULL, err);
}
