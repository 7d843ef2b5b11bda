#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "launch/session.h"

static json_t *damage_json(const struct store_damage *d)
{
    json_t *o = json_object(), *problems = json_array();

    for (size_t k = 0; k < d->problems.count; k++) {
        json_t *text = json_string(d->problems.items[k]);

        json_array_append_new(problems,
                              text ? text : json_string("(a name that is not UTF-8)"));
    }
    json_object_set_new(o, "kind", json_string(d->layer ? "layer" : "image"));
    json_object_set_new(o, "id", json_sprintf("sha256:%s", d->id.hex));
    json_object_set_new(o, "name", d->name ? json_string(d->name) : json_null());
    json_object_set_new(o, "problems", problems);
    json_object_set_new(o, "n_problems", json_integer((json_int_t)d->n_problems));
    json_object_set_new(o, "removed", json_boolean(d->removed));
    return o;
}

static int verify_json(const struct store_verified *v, struct buf *out,
                       struct error *err)
{
    json_t *o = json_object(), *a = json_array();

    for (size_t i = 0; i < v->n; i++)
        json_array_append_new(a, damage_json(&v->damaged[i]));
    json_object_set_new(o, "layers", json_integer((json_int_t)v->layers));
    json_object_set_new(o, "images", json_integer((json_int_t)v->images));
    json_object_set_new(o, "bytes", json_integer((json_int_t)v->bytes));
    json_object_set_new(o, "damaged", a);
    return json_text(o, out, err);
}

static int verify_text(const struct store_verified *v, struct buf *out,
                       struct error *err)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct store_damage *d = &v->damaged[i];

        buf_addf(out, "damaged %s sha256:%.12s", d->layer ? "layer" : "image",
                 d->id.hex);
        if (d->name) {
            buf_addc(out, ' ');
            quote_printable(out, d->name);
        }
        buf_adds(out, d->removed ? ": removed, the next launch makes it again\n"
                                 : ": in use and not removed, verify again later\n");
        for (size_t k = 0; k < d->problems.count; k++) {
            buf_adds(out, "  ");
            quote_printable(out, d->problems.items[k]);
            buf_addc(out, '\n');
        }
        if (d->n_problems > d->problems.count)
            buf_addf(out, "  and %zu more\n", d->n_problems - d->problems.count);
    }
    buf_addf(out, "verified %llu images and %llu layers, %.1f MB: %zu damaged\n",
             (unsigned long long)v->images, (unsigned long long)v->layers,
             (double)v->bytes / 1e6, v->n);
    return buf_check(out, err);
}

static int cache_verify_main(const struct request *req, char *const *env,
                             int *exit_code, struct error *err)
{
    _cleanup_(store_verified_release) struct store_verified v = STORE_VERIFIED_INIT;
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct session s;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = no_arguments(req, "cache verify", err);
    if (r == 0)
        r = session_open_chosen_store(&s, err);
    if (r == 0)
        r = store_verify(&s.store, NULL, &v, err);
    if (r == 0)
        r = req->json ? verify_json(&v, &out, err) : verify_text(&v, &out, err);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    session_release(&s);
    *exit_code = v.n > 0;
    return r;
}

const struct command cmd_cache_verify = {
    .name = "cache verify",
    .options = FOR_CONFIG | FOR_JSON | FOR_SHARED,
    .synopsis = "[--json] [--shared]",
    .summary = "Check every file of the store, remove what is damaged",
    .details = "Reads all layers and compares them with the checksums of their\n"
               "extraction. Damaged layers are removed with the images made of them;\n"
               "the next launch extracts them again. Exit code 1: damage was found.\n",
    .main = cache_verify_main,
};
