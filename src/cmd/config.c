#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "launch/session.h"

static int config_json(const struct session *s, struct buf *out, struct error *err)
{
    const struct strv *o = &s->settled.origins;
    json_t *root = json_object(), *values = json_object(), *files = json_array();

    for (size_t i = 0; i + 2 < o->count; i += 3) {
        json_t *v = json_object();

        json_object_set_new(v, "value", json_string(o->items[i + 1]));
        json_object_set_new(v, "origin", json_string(o->items[i + 2]));
        json_object_set_new(values, o->items[i], v);
    }
    for (size_t i = 0; i < s->config.files.count; i++)
        json_array_append_new(files, json_string(s->config.files.items[i]));
    json_object_set_new(root, "files", files);
    json_object_set_new(root, "values", values);
    return json_text(root, out, err);
}

static int config_text(const struct session *s, struct buf *out, struct error *err)
{
    const struct strv *o = &s->settled.origins;

    for (size_t i = 0; i < s->config.files.count; i++) {
        buf_adds(out, "# read: ");
        quote_printable(out, s->config.files.items[i]);
        buf_addc(out, '\n');
    }
    if (s->config.files.count == 0)
        buf_adds(out, "# no configuration file was found\n");
    for (size_t i = 0; i + 2 < o->count; i += 3) {
        buf_addf(out, "%s = ", o->items[i]);
        quote_printable(out, o->items[i + 1]);
        buf_adds(out, "  # ");
        quote_printable(out, o->items[i + 2]);
        buf_addc(out, '\n');
    }
    return buf_check(out, err);
}

static int config_main(const struct request *req, char *const *env, int *exit_code,
                       struct error *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct session s;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = no_arguments(req, "config", err);
    if (r == 0)
        r = req->json ? config_json(&s, &out, err) : config_text(&s, &out, err);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_config = {
    .name = "config",
    .options = FOR_LAUNCH | FOR_CONFIG | FOR_JSON,
    .synopsis = "[--json] [OPTION...]",
    .summary = "The settings in force and where each comes from",
    .main = config_main,
};
