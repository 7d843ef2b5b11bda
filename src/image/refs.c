#include "image/refs.h"

#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/jsonutil.h"
#include "image/manifest.h"
#include "image/source.h"
#include "image/store.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

#define REFS_VERSION 1
#define WHAT "a file in the store's refs/"

int refs_key(struct digest *key, const char *path, const struct stat *st,
             const char *selector, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    buf_addf(&text, "%s\n%llu %llu %lld %lld.%09ld %lld.%09ld\n%s", path,
             (unsigned long long)st->st_dev, (unsigned long long)st->st_ino,
             (long long)st->st_size, (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
             (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, selector);
    return buf_check(&text, err) < 0 ? -1 : digest_of(text.data, text.len, key, err);
}

static json_t *json_of_strings(const struct strv *v)
{
    json_t *array = json_array();
    size_t i;

    for (i = 0; i < v->count; i++)
        json_array_append_new(array, json_string(v->items[i]));
    return array;
}

static json_t *json_of_layers(const struct image *img)
{
    json_t *array = json_array();
    size_t i;

    for (i = 0; i < img->n_layers; i++) {
        const struct image_layer *l = &img->layers[i];

        json_array_append_new(
            array, json_pack("{s:s, s:s, s:s, s:I, s:b}", "diff_id", l->diff_id.hex,
                             "blob", l->has_blob ? l->blob.hex : "", "path", l->path,
                             "size", (json_int_t)l->size, "compressed", l->compressed));
    }
    return array;
}

int refs_save(struct store *store, const struct image *img, struct error *err)
{
    _cleanup_json_ json_t *root = NULL;
    _cleanup_free_ char *text = NULL;

    root = json_pack(
        "{s:i, s:s, s:i, s:s, s:s, s:s*, s:s*, s:s*, s:o, s:o, s:o, s:o}", "version",
        REFS_VERSION, "file", img->path, "kind", (int)img->kind, "id", img->id.hex,
        "config_digest", img->has_config ? img->config.hex : "", "architecture",
        img->architecture, "os", img->os, "WorkingDir", img->workdir, "Env",
        json_of_strings(&img->env), "Entrypoint", json_of_strings(&img->entrypoint),
        "Cmd", json_of_strings(&img->cmd), "layers", json_of_layers(img));
    /* A path that is not UTF-8 cannot be in JSON: such an archive is read again. */
    if (!root)
        return 0;
    text = json_dumps(root, JSON_COMPACT);
    if (!text)
        return error_oom(err);
    return atomicfile_write(store->refs_fd, img->ref.hex, text, strlen(text), 0644,
                            false, err);
}

static bool hex_member(const json_t *object, const char *key, struct digest *out)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || (text[0] && !is_lower_hex(text, DIGEST_HEX_LEN)))
        return false;
    memcpy(out->hex, text, strlen(text) + 1);
    return true;
}

static int load_layers(struct image *img, const json_t *root, struct error *err)
{
    const json_t *array = json_object_get(root, "layers");
    size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        const json_t *j = json_array_get(array, i);
        const char *path = jsonutil_string(j, "path", WHAT, err);
        struct image_layer *l;

        l = path ? image_add_layer(img, path, err) : NULL;
        if (!l)
            return -1;
        if (!hex_member(j, "diff_id", &l->diff_id) || !l->diff_id.hex[0] ||
            !hex_member(j, "blob", &l->blob))
            return error_fail(err, WHAT " has no digests");
        l->has_blob = l->blob.hex[0] != '\0';
        l->size = (uint64_t)json_integer_value(json_object_get(j, "size"));
        l->compressed = json_is_true(json_object_get(j, "compressed"));
    }
    return img->n_layers ? 0 : error_fail(err, WHAT " has no layers");
}

static int load(struct image *img, const char *text, size_t len, struct error *err)
{
    _cleanup_json_ json_t *root = jsonutil_parse(text, len, WHAT, err);
    json_int_t kind = json_integer_value(json_object_get(root, "kind"));

    if (!root)
        return -1;
    if (json_integer_value(json_object_get(root, "version")) != REFS_VERSION ||
        (kind != IMAGE_DOCKER_ARCHIVE && kind != IMAGE_OCI_ARCHIVE &&
         kind != IMAGE_ROOTFS_TAR) ||
        !hex_member(root, "id", &img->id) || !img->id.hex[0] ||
        !hex_member(root, "config_digest", &img->config))
        return error_fail(err, WHAT " is not of this version");
    img->kind = (enum image_kind)kind;
    img->has_config = img->config.hex[0] != '\0';
    if (jsonutil_copy(root, "architecture", &img->architecture, WHAT, err) < 0 ||
        jsonutil_copy(root, "os", &img->os, WHAT, err) < 0 ||
        jsonutil_copy(root, "WorkingDir", &img->workdir, WHAT, err) < 0 ||
        jsonutil_strings(root, "Env", &img->env, WHAT, err) < 0 ||
        jsonutil_strings(root, "Entrypoint", &img->entrypoint, WHAT, err) < 0 ||
        jsonutil_strings(root, "Cmd", &img->cmd, WHAT, err) < 0)
        return -1;
    return load_layers(img, root, err);
}

bool refs_image(const struct store *store, const char *name, struct digest *id)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_json_ json_t *root = NULL;
    _cleanup_close_ int fd = -1;
    struct error ignored = ERROR_INIT;

    fd = openat(store->refs_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || pathfd_read_all(fd, SOURCE_JSON_MAX, &text, &ignored) < 0)
        return false;
    root = jsonutil_parse(text.data, text.len, WHAT, &ignored);
    return root && hex_member(root, "id", id) && id->hex[0];
}

int refs_load(struct store *store, struct image *img, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = -1;
    struct error ignored = ERROR_INIT;

    if (!store || !img->ref.hex[0])
        return 1;
    fd = openat(store->refs_fd, img->ref.hex,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    /* EACCES: of the site's store, which may have some that are not for everybody */
    if (fd < 0 && errno != ENOENT && errno != EACCES)
        return error_sys(err, errno, "cannot open refs/%s in \"%s\"", img->ref.hex,
                         store->path);
    if (fd < 0)
        return 1;
    if (pathfd_read_all(fd, SOURCE_JSON_MAX, &text, &ignored) == 0 &&
        load(img, text.data, text.len, &ignored) == 0)
        return 0;
    /* Only a hint: a damaged one is dropped and the archive is read again. */
    unlinkat(store->refs_fd, img->ref.hex, 0);
    image_clear_content(img);
    return 1;
}
