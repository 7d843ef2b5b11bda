/* A plan for people and for programs. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "plan/build.h"

static void cleanup_json(json_t **j)
{
    json_decref(*j);
}

/* JSON text is UTF-8; paths and values need not be: those are shown escaped. */
static json_t *json_text(const char *s)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    json_t *j;

    if (!s)
        return json_null();
    j = json_string(s);
    if (j)
        return j;
    quote_printable(&b, s);
    return b.failed ? NULL : json_string(buf_str(&b));
}

static json_t *json_argv(const struct strv *v)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < v->count; i++)
        if (json_array_append_new(list, json_text(v->items[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *json_env(const struct strv *env)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < env->count; i++) {
        const char *item = env->items[i];
        _cleanup_buf_ struct buf name = BUF_INIT;

        buf_add(&name, item, strcspn(item, "="));
        if (name.failed ||
            json_object_set_new(object, buf_str(&name),
                                json_text(item + strcspn(item, "=") + 1)) < 0) {
            /* A name that is no UTF-8: shown escaped, as values are. */
            _cleanup_buf_ struct buf shown = BUF_INIT;

            quote_printable(&shown, buf_str(&name));
            json_object_set_new(object, buf_str(&shown),
                                json_text(item + strcspn(item, "=") + 1));
        }
    }
    return object;
}

static json_t *json_mounts(const struct plan *p)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < p->n_mounts; i++) {
        const struct plan_mount *m = &p->mounts[i];
        json_t *o = json_object();

        json_object_set_new(o, "kind", json_string(plan_mount_kind_name(m->kind)));
        json_object_set_new(o, "role", json_string(plan_role_name(m->role)));
        if (m->source)
            json_object_set_new(o, "source", json_text(m->source));
        json_object_set_new(o, "dest", json_text(m->dest));
        if (json_array_append_new(list, o) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

char *plan_to_json(const struct plan *p, struct error *err)
{
    _cleanup_(cleanup_json) json_t *root = json_object();
    char *text = NULL;
    int r = 0;

    r |= json_object_set_new(root, "runtime", json_text(p->runtime));
    r |= json_object_set_new(root, "image", json_text(p->image_ref));
    r |= json_object_set_new(root, "rootfs", json_text(p->rootfs));
    if (p->lowers.count > 0)
        r |= json_object_set_new(root, "layers", json_argv(&p->lowers));
    r |= json_object_set_new(
        root, "network",
        json_string(p->network == PLAN_NETWORK_HOST ? "host" : "none"));
    r |= json_object_set_new(root, "impure", json_boolean(p->impure));
    r |= json_object_set_new(root, "interactive", json_boolean(p->interactive));
    if (p->gpus.count > 0)
        r |= json_object_set_new(root, "gpus", json_argv(&p->gpus));
    r |= json_object_set_new(root, "cwd", json_text(p->cwd));
    r |= json_object_set_new(root, "argv", json_argv(&p->argv));
    r |= json_object_set_new(root, "environment", json_env(&p->env));
    r |= json_object_set_new(root, "mounts", json_mounts(p));
    if (r == 0)
        text = json_dumps(root, JSON_INDENT(2));
    if (!text)
        error_oom(err);
    return text;
}

static void text_field(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_addf(b, "%-9s ", name);
    quote_printable(b, value);
    buf_addc(b, '\n');
}

static void text_mount(struct buf *b, const struct plan_mount *m)
{
    buf_addf(b, "  %-6s  %-10s  ", plan_role_name(m->role),
             plan_mount_kind_name(m->kind));
    quote_printable(b, m->dest);
    if (m->kind == PLAN_MOUNT_DATA) {
        buf_addf(b, "  (%zu bytes)", m->source ? strlen(m->source) : 0);
    } else if (m->kind == PLAN_MOUNT_SYMLINK) {
        buf_adds(b, "  -> ");
        quote_printable(b, m->source);
    } else if (m->source && strcmp(m->source, m->dest) != 0) {
        buf_adds(b, "  from ");
        quote_printable(b, m->source);
    }
    buf_addc(b, '\n');
}

char *plan_to_text(const struct plan *p, struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    _cleanup_buf_ struct buf command = BUF_INIT;

    text_field(&b, "runtime", p->runtime);
    text_field(&b, "image", p->image_ref);
    text_field(&b, "rootfs", p->rootfs);
    if (p->lowers.count > 0)
        buf_addf(&b, "%-9s %zu, merged\n", "layers", p->lowers.count);
    text_field(&b, "network", p->network == PLAN_NETWORK_HOST ? "host" : "none");
    text_field(&b, "mode", p->impure ? "impure" : NULL);
    for (size_t i = 0; i < p->gpus.count; i++)
        text_field(&b, "gpu", p->gpus.items[i]);
    text_field(&b, "cwd", p->cwd);
    if (p->n_mounts > 0)
        buf_adds(&b, "mounts\n");
    for (size_t i = 0; i < p->n_mounts; i++)
        text_mount(&b, &p->mounts[i]);
    buf_adds(&b, "environment\n");
    for (size_t i = 0; i < p->env.count; i++) {
        buf_adds(&b, "  ");
        quote_printable(&b, p->env.items[i]);
        buf_addc(&b, '\n');
    }
    quote_shell_argv(&command, strv_argv(&p->argv));
    buf_addf(&b, "command\n  %s\n", buf_str(&command));
    if (command.failed || buf_check(&b, err) < 0) {
        error_oom(err);
        return NULL;
    }
    return buf_steal(&b);
}
