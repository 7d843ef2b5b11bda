/* YAML as a JSON value. Owner of libyaml. Strict: one document of bounded size and
 * depth, no anchors and aliases (by which a few lines become gigabytes), no tags, text
 * as keys and each key once. Plain scalars are null, booleans and decimal integers as
 * JSON has them; every other one is text, as CDI versions and device names need it. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/error.h"
#include "launch/cdi.h"

enum { DEPTH_MAX = 32, VALUES_MAX = 50000 };

struct reader {
    yaml_parser_t parser;
    yaml_event_t event;
    size_t values;
    struct error *err;
};

static int refuse(struct reader *r, const char *what)
{
    return error_fail(r->err, "not valid YAML, line %zu: %s",
                      r->event.start_mark.line + 1, what);
}

static int next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return 0;
    memset(&r->event, 0, sizeof(r->event));
    return error_fail(r->err, "not valid YAML, line %zu: %s",
                      r->parser.problem_mark.line + 1,
                      r->parser.problem ? r->parser.problem : "it cannot be read");
}

static json_t *plain(const char *text)
{
    char *end;
    long long number;

    if (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0)
        return json_null();
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(text[0] == 't');
    errno = 0;
    number = strtoll(text, &end, 10);
    /* "012" is no decimal number to everybody, " 1" and "+1" none at all */
    if (errno == 0 && *end == '\0' && strspn(text, "-0123456789") == strlen(text) &&
        (text[0] != '0' || !text[1]))
        return json_integer(number);
    return json_string(text);
}

static json_t *scalar(struct reader *r)
{
    const char *text = (const char *)r->event.data.scalar.value;
    json_t *value;

    if (strlen(text) != r->event.data.scalar.length) {
        refuse(r, "a NUL character");
        return NULL;
    }
    value = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain(text)
                                                                  : json_string(text);
    if (!value)
        refuse(r, "text that is not UTF-8");
    return value;
}

static json_t *node(struct reader *r, int depth);

static int add_members(struct reader *r, json_t *object, int depth)
{
    char *key;
    json_t *value;
    int rc;

    for (;;) {
        if (next(r) < 0)
            return -1;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.anchor ||
            r->event.data.scalar.tag)
            return refuse(r, "a key that is not plain text");
        key = strdup((const char *)r->event.data.scalar.value);
        if (!key)
            return error_oom(r->err);
        if (json_object_get(object, key))
            rc = refuse(r, "a key that is there already");
        else if (next(r) < 0 || !(value = node(r, depth)))
            rc = -1;
        else
            rc = json_object_set_new(object, key, value) < 0
                     ? refuse(r, "a key that is not UTF-8")
                     : 0;
        free(key);
        if (rc < 0)
            return -1;
    }
}

static int add_items(struct reader *r, json_t *array, int depth)
{
    json_t *value;

    for (;;) {
        if (next(r) < 0)
            return -1;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        value = node(r, depth);
        if (!value || json_array_append_new(array, value) < 0)
            return value ? error_oom(r->err) : -1;
    }
}

static bool is_decorated(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor || e->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor || e->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor || e->data.mapping_start.tag;
    default:
        return true;
    }
}

/* The value that the current event begins. */
static json_t *node(struct reader *r, int depth)
{
    json_t *value;
    int rc;

    if (is_decorated(&r->event)) {
        refuse(r, "anchors, aliases and tags are not taken");
        return NULL;
    }
    if (depth >= DEPTH_MAX || ++r->values > VALUES_MAX) {
        refuse(r, "too deep or too many values");
        return NULL;
    }
    if (r->event.type == YAML_SCALAR_EVENT)
        return scalar(r);
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        value = json_object();
        rc = value ? add_members(r, value, depth + 1) : error_oom(r->err);
    } else {
        value = json_array();
        rc = value ? add_items(r, value, depth + 1) : error_oom(r->err);
    }
    if (rc == 0)
        return value;
    json_decref(value);
    return NULL;
}

/* Exactly one document. */
static json_t *document(struct reader *r)
{
    json_t *value;

    if (next(r) < 0 || next(r) < 0)
        return NULL;
    if (r->event.type != YAML_DOCUMENT_START_EVENT) {
        error_fail(r->err, "the YAML document is empty");
        return NULL;
    }
    value = next(r) < 0 ? NULL : node(r, 0);
    if (!value)
        return NULL;
    if (next(r) == 0 && next(r) == 0) {
        if (r->event.type == YAML_STREAM_END_EVENT)
            return value;
        refuse(r, "a second document");
    }
    json_decref(value);
    return NULL;
}

json_t *cdi_yaml_load(const char *text, size_t len, struct error *err)
{
    struct reader r = {.err = err};
    json_t *value;

    if (!yaml_parser_initialize(&r.parser)) {
        error_oom(err);
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    value = document(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return value;
}
