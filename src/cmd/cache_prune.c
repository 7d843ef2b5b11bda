#include <jansson.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "launch/session.h"

static int prune_json(const struct store_pruned *p, bool dry_run, struct buf *out,
                      struct error *err)
{
    json_t *o = json_object(), *a = json_array();

    for (size_t i = 0; i < p->n; i++) {
        const struct store_gone *g = &p->items[i];
        json_t *item = json_object();

        json_object_set_new(item, "id", json_sprintf("sha256:%s", g->id.hex));
        json_object_set_new(item, "name", g->name ? json_string(g->name) : json_null());
        json_object_set_new(item, "bytes", json_integer((json_int_t)g->bytes));
        json_object_set_new(item, "used", json_integer(g->used));
        json_array_append_new(a, item);
    }
    json_object_set_new(o, "dry_run", json_boolean(dry_run));
    json_object_set_new(o, "images", a);
    json_object_set_new(o, "layers", json_integer((json_int_t)p->layers));
    json_object_set_new(o, "bytes", json_integer((json_int_t)p->bytes));
    json_object_set_new(o, "left_bytes", json_integer((json_int_t)p->left));
    json_object_set_new(o, "leftovers", json_integer((json_int_t)p->leftovers));
    return json_text(o, out, err);
}

static int prune_text(const struct store_pruned *p, bool dry_run, struct buf *out,
                      struct error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct store_gone *g = &p->items[i];

        buf_addf(out, "sha256:%.12s %10.1f MB  ", g->id.hex, (double)g->bytes / 1e6);
        quote_printable(out, g->name ? g->name : "(leftover)");
        buf_addc(out, '\n');
    }
    buf_addf(out, "%s %zu images and %llu layers: %.1f MB; %.1f MB stay\n",
             dry_run ? "would remove" : "removed", p->n, (unsigned long long)p->layers,
             (double)p->bytes / 1e6, (double)p->left / 1e6);
    if (p->leftovers)
        buf_addf(out, "and %llu small files that images had left\n",
                 (unsigned long long)p->leftovers);
    return buf_check(out, err);
}

/* --all, --max-size, or the limits of the configuration. */
static int prune_goal(const struct session *s, const struct request *req,
                      struct store_prune *goal, struct error *err)
{
    *goal = (struct store_prune)STORE_PRUNE_INIT;
    goal->dry_run = req->dry_run;
    goal->all = req->all;
    goal->min_free = s->settled.cache_min_free;
    if (s->settled.cache_max_size)
        goal->max_size = s->settled.cache_max_size;
    if (req->max_size && !parse_size(req->max_size, &goal->max_size))
        return error_usage(err, "--max-size: \"%.100s\" is no size; write 50G or 500M",
                           req->max_size);
    if (!req->all && !req->max_size && !s->settled.cache_max_size &&
        !s->settled.cache_min_free)
        return error_usage(err, "there is no limit to prune to; give --max-size or "
                                "--all, or set cache_max_size or cache_min_free");
    return 0;
}

static int cache_prune_main(const struct request *req, char *const *env, int *exit_code,
                            struct error *err)
{
    _cleanup_(store_pruned_release) struct store_pruned done = STORE_PRUNED_INIT;
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct store_prune goal;
    struct session s;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = no_arguments(req, "cache prune", err);
    if (r == 0)
        r = prune_goal(&s, req, &goal, err);
    if (r == 0)
        r = session_open_chosen_store(&s, err);
    if (r == 0)
        r = store_prune(&s.store, &goal, &done, err);
    if (r == 0)
        r = req->json ? prune_json(&done, req->dry_run, &out, err)
                      : prune_text(&done, req->dry_run, &out, err);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_cache_prune = {
    .name = "cache prune",
    .options = FOR_CONFIG | FOR_CACHE | FOR_JSON | FOR_SHARED,
    .synopsis = "[--dry-run] [--max-size SIZE | --all] [--json]",
    .summary = "Remove unused images, the longest unused first",
    .details = "Without --max-size and --all the limits of the configuration count:\n"
               "cache_max_size and cache_min_free. Images that a launch uses stay.\n"
               "--shared: in the site's store, for root.\n",
    .main = cache_prune_main,
};
