#include "launch/cdi.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/pathfd.h"
#include "sys/trust.h"

static void spec_release(struct cdi_spec *s)
{
    for (size_t i = 0; i < s->n_devices; i++) {
        free(s->devices[i].name);
        cdi_edits_release(&s->devices[i].edits);
    }
    free(s->devices);
    cdi_edits_release(&s->edits);
    free(s->file);
    free(s->kind);
}

void cdi_release(struct cdi *c)
{
    for (size_t i = 0; i < c->n; i++)
        spec_release(&c->specs[i]);
    free(c->specs);
    *c = (struct cdi){0};
}

bool cdi_is_gpu(const struct cdi_spec *spec)
{
    const char *class = strchr(spec->kind, '/');

    return class && strcmp(class, "/gpu") == 0;
}

static int parse_device(const json_t *json, struct cdi_device *out, struct error *err)
{
    const json_t *name = json_object_get(json, "name");

    /* YAML without quotes makes a number of "0" */
    if (json_is_integer(name))
        out->name = str_printf("%lld", (long long)json_integer_value(name));
    else if (json_is_string(name) && *json_string_value(name))
        out->name = strdup(json_string_value(name));
    else
        return error_fail(err, "has no name");
    if (!out->name)
        return error_oom(err);
    if (cdi_edits_parse(json_object_get(json, "containerEdits"), &out->edits, err) < 0)
        return error_context(err, "device %s", out->name);
    return 0;
}

int cdi_spec_parse(const json_t *doc, struct cdi_spec *out, struct error *err)
{
    const char *kind = json_string_value(json_object_get(doc, "kind"));
    json_t *devices = json_object_get(doc, "devices"), *item;
    size_t i;

    if (!kind || !strchr(kind, '/') || strchr(kind, '='))
        return error_fail(err, "kind is not VENDOR/CLASS");
    if (!json_is_string(json_object_get(doc, "cdiVersion")))
        return error_fail(err, "cdiVersion is missing; this is no CDI specification");
    if (!json_is_array(devices))
        return error_fail(err, "devices is not a list");
    out->kind = strdup(kind);
    out->devices = calloc(json_array_size(devices) + 1, sizeof(*out->devices));
    if (!out->kind || !out->devices)
        return error_oom(err);
    json_array_foreach(devices, i, item)
    {
        if (parse_device(item, &out->devices[out->n_devices++], err) < 0)
            return error_context(err, "devices, entry %zu", i);
    }
    return cdi_edits_parse(json_object_get(doc, "containerEdits"), &out->edits, err);
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n > m && strcmp(s + n - m, end) == 0;
}

static json_t *load_json(const struct buf *text, struct error *err)
{
    json_error_t at;
    json_t *doc = json_loadb(buf_str(text), text->len, JSON_REJECT_DUPLICATES, &at);

    if (!doc)
        error_fail(err, "not valid JSON, line %d: %s", at.line, at.text);
    return doc;
}

static int read_spec(const char *path, struct cdi_spec *out, struct error *err)
{
    _cleanup_close_ int fd =
        pathfd_open_user(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
    _cleanup_buf_ struct buf text = BUF_INIT;
    json_t *doc;
    int r;

    if (fd < 0 || trust_site_file(fd, path, err) < 0 ||
        pathfd_read_all(fd, CDI_TEXT_MAX, &text, err) < 0)
        return -1;
    doc = ends_with(path, ".json") ? load_json(&text, err)
                                   : cdi_yaml_load(buf_str(&text), text.len, err);
    if (!doc)
        return -1;
    r = cdi_spec_parse(doc, out, err);
    json_decref(doc);
    return r;
}

/* The names of specifications in the directory, in order. 1: it is not there. */
static int list_specs(const char *dir, struct strv *names, struct error *err)
{
    _cleanup_closedir_ DIR *d = opendir(dir);
    struct dirent *e;

    if (!d && errno == ENOENT)
        return 1;
    if (!d)
        return error_sys(err, errno, "cannot list %s", dir);
    while ((e = readdir(d)))
        if (e->d_name[0] != '.' &&
            (ends_with(e->d_name, ".json") || ends_with(e->d_name, ".yaml") ||
             ends_with(e->d_name, ".yml")))
            strv_add(names, e->d_name);
    strv_sort(names);
    return strv_check(names, err);
}

static int load_dir(struct cdi *out, const char *dir, size_t rank, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    int r = list_specs(dir, &names, err);

    if (r != 0)
        return r < 0 ? -1 : 0;
    for (size_t i = 0; i < names.count; i++) {
        struct cdi_spec *p = reallocarray(out->specs, out->n + 1, sizeof(*p));

        if (!p)
            return error_oom(err);
        out->specs = p;
        p = &out->specs[out->n++];
        *p = (struct cdi_spec){.rank = rank,
                               .file = str_printf("%s/%s", dir, names.items[i])};
        if (!p->file)
            return error_oom(err);
        if (read_spec(p->file, p, err) < 0)
            return error_context(err, "CDI specification %s", p->file);
    }
    return 0;
}

int cdi_load(struct cdi *out, const struct strv *dirs, struct error *err)
{
    *out = (struct cdi){0};
    for (size_t i = 0; i < dirs->count; i++)
        if (load_dir(out, dirs->items[i], i, err) < 0)
            return -1;
    return 0;
}

char *cdi_name(const struct cdi_choice *choice)
{
    return str_printf("%s=%s", choice->spec->kind, choice->device->name);
}

enum { NAMES_SHOWN = 12 };

static int unknown_device(const struct cdi *c, const char *name, struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++)
        for (size_t k = 0; k < c->specs[i].n_devices; k++, n++)
            if (n < NAMES_SHOWN)
                buf_addf(&names, "%s%s=%s", n ? ", " : "", c->specs[i].kind,
                         c->specs[i].devices[k].name);
    if (n > NAMES_SHOWN)
        buf_addf(&names, " and %zu more", n - NAMES_SHOWN);
    return error_fail(err,
                      "there is no device '%s' in this node's CDI specifications, "
                      "which have %s",
                      name, buf_str(&names));
}

static bool spec_wanted(const struct cdi_spec *spec, const char *name,
                        const char *equals)
{
    if (!equals)
        return cdi_is_gpu(spec);
    return strlen(spec->kind) == (size_t)(equals - name) &&
           strncmp(spec->kind, name, (size_t)(equals - name)) == 0;
}

/* Takes the device when it is the better one. */
static int consider(struct cdi_choice *best, const struct cdi_spec *spec,
                    const struct cdi_device *device, struct error *err)
{
    const struct cdi_spec *old = best->spec;

    if (old && strcmp(old->kind, spec->kind) != 0)
        return error_fail(err,
                          "device '%s' is ambiguous: %s=%s and %s=%s; give its "
                          "whole name",
                          device->name, old->kind, device->name, spec->kind,
                          device->name);
    if (old && old->rank == spec->rank)
        return error_fail(err,
                          "device %s=%s is in two CDI specifications, %s and %s; "
                          "ask the administrator to remove one",
                          spec->kind, device->name, old->file, spec->file);
    /* the directories come in the order of their ranks */
    *best = (struct cdi_choice){.spec = spec, .device = device};
    return 0;
}

int cdi_find(const struct cdi *c, const char *name, struct cdi_choice *out,
             struct error *err)
{
    const char *equals = strchr(name, '='), *device = equals ? equals + 1 : name;

    *out = (struct cdi_choice){0};
    for (size_t i = 0; i < c->n; i++) {
        if (!spec_wanted(&c->specs[i], name, equals))
            continue;
        for (size_t k = 0; k < c->specs[i].n_devices; k++)
            if (strcmp(c->specs[i].devices[k].name, device) == 0 &&
                consider(out, &c->specs[i], &c->specs[i].devices[k], err) < 0)
                return -1;
    }
    return out->device ? 0 : unknown_device(c, name, err);
}
