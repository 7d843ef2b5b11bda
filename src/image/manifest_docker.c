/* The docker archive: manifest.json is an array of {Config, RepoTags, Layers}; layers
 * are tars named in it, bottom first (Docker image specification v1.2). RepX's images
 * are this, unpacked in a directory. */
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/jsonutil.h"
#include "image/manifest.h"
#include "image/source.h"
#include "image/tarstream.h"

#define MANIFEST_FILE "manifest.json"

static bool has_tag(const json_t *entry, const char *tag)
{
    const json_t *tags = json_object_get(entry, "RepoTags");
    size_t i, len = strlen(tag);

    for (i = 0; i < json_array_size(tags); i++) {
        const char *text = json_string_value(json_array_get(tags, i));
        size_t n = text ? strlen(text) : 0;

        if (n == len && strcmp(text, tag) == 0)
            return true;
        if (n > len && text[n - len - 1] == ':' && strcmp(text + n - len, tag) == 0)
            return true;
    }
    return false;
}

static const json_t *choose(const json_t *list, const char *selector, struct error *err)
{
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0) {
        error_fail(err, MANIFEST_FILE " is not an array with an image");
        return NULL;
    }
    /* As RepX does: without a choice the first one. */
    if (!selector[0])
        return json_array_get(list, 0);
    for (i = 0; i < json_array_size(list); i++)
        if (has_tag(json_array_get(list, i), selector))
            return json_array_get(list, i);
    error_fail(err, MANIFEST_FILE " has no image with the tag \"%.200s\"", selector);
    return NULL;
}

/* The digest that a config file's name promises: "<hex>.json" or "blobs/sha256/<hex>".
 */
static bool named_digest(const char *name, struct digest *out)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    char hex[DIGEST_HEX_LEN + 1];

    if (strlen(base) < DIGEST_HEX_LEN ||
        (base[DIGEST_HEX_LEN] && strcmp(base + DIGEST_HEX_LEN, ".json") != 0))
        return false;
    memcpy(hex, base, DIGEST_HEX_LEN);
    hex[DIGEST_HEX_LEN] = '\0';
    if (!is_lower_hex(hex, DIGEST_HEX_LEN))
        return false;
    memcpy(out->hex, hex, sizeof(hex));
    return true;
}

static int load_config(struct image *img, struct source *src, const char *name,
                       struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct digest promised;
    int rc = source_read_file(src, name, &text, err);

    if (rc < 0)
        return -1;
    if (rc == 1)
        return error_fail(err,
                          MANIFEST_FILE " names the config \"%.200s\", which is "
                                        "missing",
                          name);
    if (digest_of(buf_str(&text), text.len, &img->config, err) < 0)
        return -1;
    img->has_config = true;
    if (named_digest(name, &promised) && !digest_equal(&promised, &img->config))
        return error_fail(
            err,
            "the config \"%.200s\" has the digest sha256:%s; the image is "
            "damaged, copy it again",
            name, img->config.hex);
    return image_config_parse(img, text.data, text.len, err);
}

static int add_layer(struct image *img, struct source *src, const char *raw,
                     struct error *err)
{
    struct image_layer *layer;
    char name[PATH_MAX];

    if (tarstream_plain_name(raw, name, err) < 0)
        return error_context(err, "layer \"%.200s\"", raw);
    if (raw[0] == '/' || !name[0])
        return error_fail(err,
                          "the manifest names a layer \"%.200s\", which is not a "
                          "file inside the image",
                          raw);
    layer = image_add_layer(img, name, err);
    if (!layer)
        return -1;
    img->unseen = src->lazy;
    return src->lazy ? 0 : image_look_at_layer(layer, img->n_layers, src, err);
}

int manifest_docker_load(struct image *img, struct source *src, const char *selector,
                         struct error *err)
{
    _cleanup_strv_ struct strv layers = STRV_INIT;
    _cleanup_json_ json_t *list = NULL;
    const json_t *entry;
    const char *config;
    size_t i;
    int rc;

    rc = jsonutil_load(src, MANIFEST_FILE, &list, err);
    if (rc != 0)
        return rc;
    entry = choose(list, selector, err);
    if (!entry)
        return -1;
    config = jsonutil_string(entry, "Config", MANIFEST_FILE, err);
    if (!config || jsonutil_strings(entry, "Layers", &layers, MANIFEST_FILE, err) < 0)
        return -1;
    if (layers.count == 0)
        return error_fail(err, MANIFEST_FILE " lists no layers");
    for (i = 0; i < layers.count; i++)
        if (add_layer(img, src, layers.items[i], err) < 0)
            return -1;
    return load_config(img, src, config, err);
}
