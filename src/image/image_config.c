/* The image config: OCI image-spec config.md, which docker's is a superset of. */
#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "image/jsonutil.h"
#include "image/manifest.h"

#define WHAT "the image config"

const char *image_host_architecture(void)
{
    static const struct {
        const char *kernel, *image;
    } names[] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i686", "386"}};
    static struct utsname host;
    size_t i;

    if (!host.machine[0] && uname(&host) < 0)
        return "";
    for (i = 0; i < array_size(names); i++)
        if (strcmp(host.machine, names[i].kernel) == 0)
            return names[i].image;
    return host.machine;
}

struct image_layer *image_add_layer(struct image *img, const char *path,
                                    struct error *err)
{
    struct image_layer *layers;

    if (img->n_layers >= MANIFEST_LAYERS_MAX) {
        error_fail(err, "the image has more than %zu layers", MANIFEST_LAYERS_MAX);
        return NULL;
    }
    layers = realloc(img->layers, (img->n_layers + 1) * sizeof(*layers));
    if (!layers) {
        error_oom(err);
        return NULL;
    }
    img->layers = layers;
    layers += img->n_layers;
    memset(layers, 0, sizeof(*layers));
    layers->path = strdup(path);
    if (!layers->path) {
        error_oom(err);
        return NULL;
    }
    img->n_layers++;
    return layers;
}

static int parse_diff_ids(struct image *img, const json_t *root, struct error *err)
{
    const json_t *ids = json_object_get(json_object_get(root, "rootfs"), "diff_ids");
    size_t i;

    if (!json_is_array(ids))
        return error_fail(err, WHAT " has no array rootfs.diff_ids");
    if (json_array_size(ids) != img->n_layers)
        return error_fail(err,
                          "the manifest lists %zu layers and " WHAT
                          " %zu; the image is damaged, copy it again",
                          img->n_layers, json_array_size(ids));
    for (i = 0; i < img->n_layers; i++) {
        const char *text = json_string_value(json_array_get(ids, i));

        if (!digest_parse(text, &img->layers[i].diff_id))
            return error_fail(err,
                              "rootfs.diff_ids[%zu] in " WHAT
                              " is not a sha256 digest: \"%.100s\"",
                              i, text ? text : "");
    }
    return 0;
}

static int check_env(const struct strv *env, struct error *err)
{
    size_t i;

    for (i = 0; i < env->count; i++)
        if (!strchr(env->items[i], '=') || env->items[i][0] == '=')
            return error_fail(err,
                              "\"Env\" in " WHAT " has \"%.100s\", which is not "
                              "NAME=VALUE",
                              env->items[i]);
    return 0;
}

int image_config_parse(struct image *img, const char *text, size_t len,
                       struct error *err)
{
    _cleanup_json_ json_t *root = jsonutil_parse(text, len, WHAT, err);
    const json_t *config;

    if (!root)
        return -1;
    if (!json_is_object(root))
        return error_fail(err, WHAT " is not a JSON object");
    config = json_object_get(root, "config");
    if (config && !json_is_object(config) && !json_is_null(config))
        return error_fail(err, "\"config\" in " WHAT " is not an object");
    if (jsonutil_copy(root, "architecture", &img->architecture, WHAT, err) < 0 ||
        jsonutil_copy(root, "os", &img->os, WHAT, err) < 0 ||
        jsonutil_strings(config, "Env", &img->env, WHAT, err) < 0 ||
        jsonutil_strings(config, "Entrypoint", &img->entrypoint, WHAT, err) < 0 ||
        jsonutil_strings(config, "Cmd", &img->cmd, WHAT, err) < 0 ||
        jsonutil_copy(config, "WorkingDir", &img->workdir, WHAT, err) < 0 ||
        check_env(&img->env, err) < 0)
        return -1;
    return parse_diff_ids(img, root, err);
}
