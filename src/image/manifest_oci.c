/* The OCI image layout: oci-layout, index.json, and everything else in blobs/sha256/
 * under its digest (OCI image-spec image-layout.md, image-index.md, manifest.md). */
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/jsonutil.h"
#include "image/manifest.h"
#include "image/source.h"

#define REF_NAME "org.opencontainers.image.ref.name"
#define INDEX_DEPTH_MAX 4

static const char *const index_types[] = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json"};

static const char *const layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip"};

static bool one_of(const char *text, const char *const *list, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

static int descriptor_digest(const json_t *descriptor, const char *what,
                             struct digest *out, struct error *err)
{
    const char *text = jsonutil_string(descriptor, "digest", what, err);

    if (!text)
        return -1;
    if (!digest_parse(text, out))
        return error_fail(err, "%s has the digest \"%.100s\"; only sha256 is supported",
                          what, text);
    return 0;
}

static char *blob_name(const struct digest *d, struct error *err)
{
    char *name = str_printf("blobs/sha256/%s", d->hex);

    if (!name)
        error_oom(err);
    return name;
}

/* A JSON blob, verified against its digest. */
static int read_blob(struct source *src, const struct digest *d, const char *what,
                     struct buf *text, struct error *err)
{
    _cleanup_free_ char *name = blob_name(d, err);
    struct digest actual;
    int rc;

    if (!name)
        return -1;
    rc = source_read_file(src, name, text, err);
    if (rc < 0)
        return -1;
    if (rc == 1)
        return error_fail(err,
                          "%s, \"%s\", is missing; the image is incomplete, copy it "
                          "again",
                          what, name);
    if (digest_of(buf_str(text), text->len, &actual, err) < 0)
        return -1;
    if (!digest_equal(d, &actual))
        return error_fail(err,
                          "%s should have the digest sha256:%s and has sha256:%s; the "
                          "image is damaged, copy it again",
                          what, d->hex, actual.hex);
    return 0;
}

static bool platform_fits(const json_t *descriptor)
{
    const json_t *platform = json_object_get(descriptor, "platform");
    const char *arch = json_string_value(json_object_get(platform, "architecture"));
    const char *os = json_string_value(json_object_get(platform, "os"));

    return (!arch || strcmp(arch, image_host_architecture()) == 0) &&
           (!os || strcmp(os, "linux") == 0);
}

static bool selected(const json_t *descriptor, const char *selector)
{
    const json_t *notes = json_object_get(descriptor, "annotations");
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));
    const char *ref = json_string_value(json_object_get(notes, REF_NAME));

    if (strncmp(selector, "sha256:", 7) == 0)
        return digest && strcmp(digest, selector) == 0;
    return ref && strcmp(ref, selector) == 0;
}

static const json_t *choose(const json_t *index, const char *selector,
                            struct error *err)
{
    const json_t *list = json_object_get(index, "manifests"), *found = NULL;
    size_t i, n = 0;

    for (i = 0; i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);

        if (selector[0] ? selected(d, selector) : platform_fits(d)) {
            found = d;
            n++;
        }
    }
    /* One tag may stand for several platforms. */
    for (i = 0; n > 1 && selector[0] && i < json_array_size(list); i++) {
        const json_t *d = json_array_get(list, i);

        if (selected(d, selector) && platform_fits(d)) {
            found = d;
            n = 1;
        }
    }
    if (n == 1)
        return found;
    if (selector[0])
        error_fail(err, "the index has %s image \"%.200s\"", n ? "more than one" : "no",
                   selector);
    else if (n == 0)
        error_fail(err, "the index has no image for linux/%s",
                   image_host_architecture());
    else
        error_fail(err,
                   "the index has %zu images; choose one with PATH:TAG or "
                   "PATH@sha256:DIGEST",
                   n);
    return NULL;
}

static int add_layer(struct image *img, struct source *src, const json_t *descriptor,
                     struct error *err)
{
    const char *type = jsonutil_string(descriptor, "mediaType", "a layer", err);
    const json_t *size = json_object_get(descriptor, "size");
    _cleanup_free_ char *name = NULL;
    struct image_layer *layer;
    struct digest digest;

    if (!type || descriptor_digest(descriptor, "a layer", &digest, err) < 0)
        return -1;
    if (!one_of(type, layer_types, array_size(layer_types)))
        return error_fail(err,
                          "layer %zu is of the type \"%.100s\", which is not "
                          "supported",
                          img->n_layers + 1, type);
    name = blob_name(&digest, err);
    if (!name)
        return -1;
    if (!json_is_integer(size) || json_integer_value(size) < 0)
        return error_fail(err, "layer %zu has no size in the manifest",
                          img->n_layers + 1);
    layer = image_add_layer(img, name, err);
    if (!layer)
        return -1;
    layer->blob = digest;
    layer->has_blob = true;
    layer->size = (uint64_t)json_integer_value(size);
    img->unseen = src->lazy;
    return src->lazy ? 0 : image_look_at_layer(layer, img->n_layers, src, err);
}

static int load_manifest(struct image *img, struct source *src, const json_t *manifest,
                         struct error *err)
{
    const json_t *config = json_object_get(manifest, "config");
    const json_t *layers = json_object_get(manifest, "layers");
    _cleanup_buf_ struct buf text = BUF_INIT;
    size_t i;

    if (!json_is_array(layers) || json_array_size(layers) == 0)
        return error_fail(err, "the manifest lists no layers");
    for (i = 0; i < json_array_size(layers); i++)
        if (add_layer(img, src, json_array_get(layers, i), err) < 0)
            return -1;
    if (descriptor_digest(config, "the manifest's config", &img->config, err) < 0)
        return -1;
    img->has_config = true;
    if (read_blob(src, &img->config, "the image config", &text, err) < 0)
        return -1;
    return image_config_parse(img, text.data, text.len, err);
}

/* Follows an index of indexes down to a manifest. */
static int descend(struct image *img, struct source *src, const json_t *index,
                   const char *selector, struct error *err)
{
    _cleanup_json_ json_t *owned = NULL;
    int depth;

    for (depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
        _cleanup_buf_ struct buf text = BUF_INIT;
        const json_t *descriptor;
        const char *type;
        struct digest digest;
        json_t *blob;

        descriptor = choose(index, depth == 0 ? selector : "", err);
        if (!descriptor ||
            descriptor_digest(descriptor, "the index", &digest, err) < 0 ||
            read_blob(src, &digest, "the manifest", &text, err) < 0)
            return -1;
        blob = jsonutil_parse(text.data, text.len, "the manifest", err);
        if (!blob)
            return -1;
        json_decref(owned); /* descriptor pointed into it */
        owned = blob;
        index = blob;
        type = json_string_value(json_object_get(blob, "mediaType"));
        if (!json_object_get(blob, "manifests") &&
            !(type && one_of(type, index_types, array_size(index_types))))
            return load_manifest(img, src, blob, err);
    }
    return error_fail(err, "its indexes are nested more than %d deep", INDEX_DEPTH_MAX);
}

int manifest_oci_load(struct image *img, struct source *src, const char *selector,
                      struct error *err)
{
    _cleanup_json_ json_t *layout = NULL, *index = NULL;
    const char *version;
    int rc;

    rc = jsonutil_load(src, "oci-layout", &layout, err);
    if (rc != 0)
        return rc;
    version = jsonutil_string(layout, "imageLayoutVersion", "oci-layout", err);
    if (!version)
        return -1;
    if (strncmp(version, "1.", 2) != 0)
        return error_fail(err, "the OCI layout has version \"%.50s\"; 1.x is supported",
                          version);
    rc = jsonutil_load(src, "index.json", &index, err);
    if (rc == 1)
        return error_fail(err, "the OCI layout has no index.json");
    return rc < 0 ? -1 : descend(img, src, index, selector, err);
}
