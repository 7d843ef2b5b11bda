/* containerEdits of a CDI specification. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/cdi.h"

void cdi_edits_release(struct cdi_edits *e)
{
    for (size_t i = 0; i < e->n_nodes; i++) {
        free(e->nodes[i].path);
        free(e->nodes[i].host_path);
    }
    for (size_t i = 0; i < e->n_mounts; i++) {
        free(e->mounts[i].host_path);
        free(e->mounts[i].path);
    }
    for (size_t i = 0; i < e->n_links; i++) {
        free(e->links[i].target);
        free(e->links[i].path);
    }
    free(e->nodes);
    free(e->mounts);
    free(e->links);
    strv_release(&e->env);
    strv_release(&e->ignored);
    *e = (struct cdi_edits){0};
}

/* A member that has to be an array when it is there; NULL and 0 elements otherwise. */
static int array_of(const json_t *json, const char *key, json_t **out,
                    struct error *err)
{
    *out = json_object_get(json, key);
    if (json_is_null(*out))
        *out = NULL;
    if (*out && !json_is_array(*out))
        return error_fail(err, "%s is not a list", key);
    return 0;
}

/* An absolute path; fallback NULL: it has to be there. */
static int path_of(const json_t *json, const char *key, const char *fallback,
                   char **out, struct error *err)
{
    const json_t *value = json_object_get(json, key);
    const char *text = value ? json_string_value(value) : fallback;

    if (!text || text[0] != '/')
        return error_fail(err, "%s is not an absolute path", key);
    *out = strdup(text);
    return *out ? 0 : error_oom(err);
}

static int parse_env(const json_t *json, struct cdi_edits *out, struct error *err)
{
    json_t *list, *item;
    size_t i;

    if (array_of(json, "env", &list, err) < 0)
        return -1;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);

        if (!text || !strchr(text, '=') || text[0] == '=')
            return error_fail(err, "env, entry %zu is not NAME=VALUE", i);
        strv_add(&out->env, text);
    }
    return strv_check(&out->env, err);
}

static int parse_nodes(const json_t *json, struct cdi_edits *out, struct error *err)
{
    json_t *list, *item;
    size_t i;

    if (array_of(json, "deviceNodes", &list, err) < 0)
        return -1;
    out->nodes = calloc(json_array_size(list) + 1, sizeof(*out->nodes));
    if (!out->nodes)
        return error_oom(err);
    json_array_foreach(list, i, item)
    {
        struct cdi_node *n = &out->nodes[out->n_nodes++];

        if (path_of(item, "path", NULL, &n->path, err) < 0 ||
            path_of(item, "hostPath", n->path, &n->host_path, err) < 0)
            return error_context(err, "deviceNodes, entry %zu", i);
    }
    return 0;
}

static bool has_option(const json_t *mount, const char *option)
{
    json_t *list = json_object_get(mount, "options"), *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);

        if (text && strcmp(text, option) == 0)
            return true;
    }
    return false;
}

static int parse_mounts(const json_t *json, struct cdi_edits *out, struct error *err)
{
    json_t *list, *item;
    size_t i;

    if (array_of(json, "mounts", &list, err) < 0)
        return -1;
    out->mounts = calloc(json_array_size(list) + 1, sizeof(*out->mounts));
    if (!out->mounts)
        return error_oom(err);
    json_array_foreach(list, i, item)
    {
        const char *type = json_string_value(json_object_get(item, "type"));
        struct cdi_mount *m;

        if (type && *type && strcmp(type, "bind") != 0) {
            strv_addf(&out->ignored, "a mount of type %s", type);
            continue;
        }
        m = &out->mounts[out->n_mounts++];
        if (path_of(item, "hostPath", NULL, &m->host_path, err) < 0 ||
            path_of(item, "containerPath", NULL, &m->path, err) < 0)
            return error_context(err, "mounts, entry %zu", i);
        m->writable = has_option(item, "rw");
    }
    return 0;
}

/* TARGET::PATH */
static int add_link(struct cdi_edits *out, const char *text, struct error *err)
{
    const char *colons = strstr(text, "::");
    struct cdi_link *p;

    if (!colons || colons == text || colons[2] != '/')
        return error_fail(err, "link '%s' is not TARGET::PATH", text);
    p = reallocarray(out->links, out->n_links + 1, sizeof(*p));
    if (!p)
        return error_oom(err);
    out->links = p;
    p = &out->links[out->n_links++];
    p->target = strndup(text, (size_t)(colons - text));
    p->path = strdup(colons + 2);
    return p->target && p->path ? 0 : error_oom(err);
}

static int parse_links(const json_t *args, struct cdi_edits *out, struct error *err)
{
    json_t *item;
    size_t i;

    json_array_foreach(args, i, item)
    {
        const char *text = json_string_value(item), *link = NULL;

        if (text && strcmp(text, "--link") == 0)
            link = json_string_value(json_array_get(args, i + 1));
        else if (text && strncmp(text, "--link=", 7) == 0)
            link = text + 7;
        if (link && add_link(out, link, err) < 0)
            return -1;
    }
    return 0;
}

/* What the launcher does by itself, or what a sandbox without device cgroups and
 * rights does not need. */
static bool is_done_anyway(const char *name)
{
    static const char *const names[] = {"update-ldcache", "create-soname-symlinks",
                                        "chmod", "enable-cuda-compat",
                                        "disable-device-node-modification"};

    for (size_t i = 0; i < array_size(names); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* args: PROGRAM [hook] NAME OPTION... */
static const char *hook_name(const json_t *args)
{
    const char *name = json_string_value(json_array_get(args, 1));

    if (name && strcmp(name, "hook") == 0)
        name = json_string_value(json_array_get(args, 2));
    return name;
}

static int parse_hooks(const json_t *json, struct cdi_edits *out, struct error *err)
{
    json_t *list, *item;
    size_t i;

    if (array_of(json, "hooks", &list, err) < 0)
        return -1;
    json_array_foreach(list, i, item)
    {
        const char *path = json_string_value(json_object_get(item, "path"));
        const json_t *args = json_object_get(item, "args");
        const char *name = hook_name(args);

        if (!path)
            return error_fail(err, "hooks, entry %zu has no path", i);
        if (name && strcmp(name, "create-symlinks") == 0) {
            if (parse_links(args, out, err) < 0)
                return error_context(err, "hooks, entry %zu", i);
        } else if (!name || !is_done_anyway(name)) {
            strv_addf(&out->ignored, "the hook %s%s%s", path, name ? " " : "",
                      name ? name : "");
        }
    }
    return 0;
}

int cdi_edits_parse(const json_t *json, struct cdi_edits *out, struct error *err)
{
    if (!json || json_is_null(json))
        return 0;
    if (!json_is_object(json))
        return error_fail(err, "containerEdits is not an object");
    if (parse_env(json, out, err) < 0 || parse_nodes(json, out, err) < 0 ||
        parse_mounts(json, out, err) < 0 || parse_hooks(json, out, err) < 0)
        return -1;
    return strv_check(&out->ignored, err);
}
