#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "image/image.h"
#include "launch/imagearg.h"
#include "launch/meter.h"
#include "launch/prepare.h"
#include "runtime/supervise.h"

/* Opens the session and the image that the only argument names. */
static int open_argument(struct session *s, struct image *img,
                         const struct request *req, char *const *env,
                         int (*open_store)(struct session *s, struct error *err),
                         struct error *err)
{
    _cleanup_free_ char *path = NULL;
    const char *text;

    if (one_argument(req, "IMAGE", &text, err) < 0 ||
        session_init(s, req, env, err) < 0 || image_argument(s, text, &path, err) < 0)
        return -1;
    return open_store(s, err) < 0 ? -1 : image_open_cached(img, path, &s->store, err);
}

static void words(struct buf *out, const char *label, const struct strv *v)
{
    if (v->count == 0)
        return;
    buf_addf(out, "%s:", label);
    for (size_t i = 0; i < v->count; i++) {
        buf_addc(out, ' ');
        quote_printable(out, v->items[i]);
    }
    buf_addc(out, '\n');
}

static void inspect_text(const struct image *img, struct buf *out)
{
    uint64_t bytes = 0;

    buf_adds(out, "image: ");
    quote_printable(out, img->path);
    buf_addf(out, "\nkind: %s\n", image_kind_name(img->kind));
    if (img->id.hex[0])
        buf_addf(out, "id: sha256:%s\n", img->id.hex);
    if (img->has_config)
        buf_addf(out, "config: sha256:%s\n", img->config.hex);
    if (img->os && img->architecture) {
        buf_adds(out, "platform: ");
        quote_printable(out, img->os);
        buf_addc(out, '/');
        quote_printable(out, img->architecture);
        buf_addc(out, '\n');
    }
    words(out, "entrypoint", &img->entrypoint);
    words(out, "cmd", &img->cmd);
    words(out, "env", &img->env);
    if (img->workdir) {
        buf_adds(out, "workdir: ");
        quote_printable(out, img->workdir);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < img->n_layers; i++)
        bytes += img->layers[i].size;
    if (img->n_layers > 0)
        buf_addf(out, "layers: %zu, %.1f MB as stored\n", img->n_layers,
                 (double)bytes / 1e6);
    for (size_t i = 0; i < img->n_layers; i++)
        if (img->layers[i].diff_id.hex[0])
            buf_addf(out, "  sha256:%s  %10.1f MB\n", img->layers[i].diff_id.hex,
                     (double)img->layers[i].size / 1e6);
}

static json_t *strings_json(const struct strv *v)
{
    json_t *a = json_array();

    for (size_t i = 0; i < v->count; i++)
        json_array_append_new(a, json_string(v->items[i]));
    return a;
}

static json_t *digest_json(const struct digest *d)
{
    return d->hex[0] ? json_sprintf("sha256:%s", d->hex) : json_null();
}

static json_t *string_or_null(const char *s)
{
    return s ? json_string(s) : json_null();
}

static int inspect_json(const struct image *img, struct buf *out, struct error *err)
{
    json_t *o = json_object(), *layers = json_array();

    for (size_t i = 0; i < img->n_layers; i++) {
        json_t *l = json_object();

        json_object_set_new(l, "diff_id", digest_json(&img->layers[i].diff_id));
        json_object_set_new(l, "size", json_integer((json_int_t)img->layers[i].size));
        json_array_append_new(layers, l);
    }
    json_object_set_new(o, "path", string_or_null(img->path));
    json_object_set_new(o, "kind", json_string(image_kind_name(img->kind)));
    json_object_set_new(o, "id", digest_json(&img->id));
    json_object_set_new(o, "config",
                        img->has_config ? digest_json(&img->config) : json_null());
    json_object_set_new(o, "os", string_or_null(img->os));
    json_object_set_new(o, "architecture", string_or_null(img->architecture));
    json_object_set_new(o, "entrypoint", strings_json(&img->entrypoint));
    json_object_set_new(o, "cmd", strings_json(&img->cmd));
    json_object_set_new(o, "env", strings_json(&img->env));
    json_object_set_new(o, "workdir", string_or_null(img->workdir));
    json_object_set_new(o, "layers", layers);
    return json_text(o, out, err);
}

static int inspect_main(const struct request *req, char *const *env, int *exit_code,
                        struct error *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct image img = IMAGE_INIT;
    struct session s = {0};
    int r = open_argument(&s, &img, req, env, session_open_store, err);

    if (r == 0)
        r = image_look_at_layers(&img, err);

    if (r == 0 && req->json)
        r = inspect_json(&img, &out, err);
    else if (r == 0)
        inspect_text(&img, &out);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    image_release(&img);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_image_inspect = {
    .name = "image inspect",
    .options = FOR_EXEC | FOR_LAB | FOR_CONFIG | FOR_JSON,
    .synopsis = "IMAGE [--json]",
    .summary = "What an image is: kind, digests, layers, command",
    .main = inspect_main,
};

static int prepare_report(const struct image *img, const struct image_rootfs *root,
                          bool json, struct error *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    json_t *o;

    if (!json) {
        buf_adds(&out, root->path);
        buf_addc(&out, '\n');
        return print_text(buf_str(&out), err);
    }
    o = json_object();
    json_object_set_new(o, "id", digest_json(&img->id));
    json_object_set_new(o, "rootfs", string_or_null(root->path));
    json_object_set_new(o, "mode", json_string(image_rootfs_mode(root)));
    json_object_set_new(o, "shared", json_boolean(root->shared));
    json_object_set_new(o, "extracted", json_boolean(root->extracted));
    json_object_set_new(o, "bytes_read", json_integer((json_int_t)root->bytes));
    json_object_set_new(o, "wait_s", json_real((double)root->wait_ns / 1e9));
    json_object_set_new(o, "extract_s", json_real((double)root->extract_ns / 1e9));
    return json_text(o, &out, err) < 0 ? -1 : print_text(buf_str(&out), err);
}

static int prepare_main(const struct request *req, char *const *env, int *exit_code,
                        struct error *err)
{
    struct image_rootfs root = IMAGE_ROOTFS_INIT;
    struct image img = IMAGE_INIT;
    struct session s = {0};
    struct meter meter;
    int r;

    if (supervise_prepare(err) < 0)
        return -1;
    r = open_argument(&s, &img, req, env, session_open_chosen_store, err);
    if (r == 0)
        r = session_find_tools(&s, err);
    if (r == 0) {
        /* as the launches will want it that take the first runtime of the list; the
         * site's store is for all of them */
        if (s.settled.runtimes.count > 0 && !s.store.shared)
            launch_choose_form(&s, s.settled.runtimes.items[0]);
        meter_init(&meter, img.reference, NULL);
        r = image_prepare(&img, &s.store, &meter.hooks, &root, err);
        meter_finish(&meter);
    }
    if (r == 0)
        r = prepare_report(&img, &root, req->json, err);
    image_rootfs_release(&root);
    image_release(&img);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_image_prepare = {
    .name = "image prepare",
    .options = FOR_EXEC | FOR_LAB | FOR_CONFIG | FOR_JSON | FOR_SHARED,
    .synopsis = "[--shared] IMAGE [--json]",
    .summary = "Put an image into the node-local store, print its tree",
    .details = "With --shared root puts it into the store that all users of this node\n"
               "read: shared_store in [policy] of the site's configuration.\n",
    .main = prepare_main,
};
