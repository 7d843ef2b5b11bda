#include "lab/labjson.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "lab/json_write.h"

json_t *labjson_load(const char *text, size_t len, size_t flags, struct error *err)
{
    json_error_t at;
    json_t *doc = json_loadb(text, len, flags, &at);

    if (doc)
        return doc;
    if (json_error_code(&at) == json_error_out_of_memory)
        error_oom(err);
    else
        error_fail(err, "not valid JSON, line %d column %d: %s", at.line, at.column,
                   at.text);
    if (json_error_code(&at) == json_error_numeric_overflow)
        error_hint(err, "numbers have to fit in 64 bits with a sign, or in a double");
    return NULL;
}

int labjson_check_type(const json_t *doc, const char *type, struct error *err)
{
    const json_t *t = json_object_get(doc, "type");

    if (!json_is_object(doc))
        return error_fail(err, "the document is not a JSON object");
    if (t && (!json_is_string(t) || strcmp(json_string_value(t), type) != 0))
        return error_fail(err, "member \"type\" is not \"%s\"", type);
    return 0;
}

/* The member, or NULL when it is absent or null; -1 when it had to be there. */
static int member(const json_t *obj, const char *key, bool required, json_t **out,
                  struct error *err)
{
    *out = json_object_get(obj, key);
    if (json_is_null(*out))
        *out = NULL;
    if (!*out && required)
        return error_fail(err, "member \"%s\" is missing", key);
    return 0;
}

int labjson_string(const json_t *obj, const char *key, bool required, char **out,
                   struct error *err)
{
    json_t *j;

    *out = NULL;
    if (member(obj, key, required, &j, err) < 0)
        return -1;
    if (!j)
        return 0;
    if (!json_is_string(j))
        return error_fail(err, "member \"%s\" is not a string", key);
    *out = strdup(json_string_value(j));
    return *out ? 0 : error_oom(err);
}

int labjson_object(const json_t *obj, const char *key, bool required, json_t **out,
                   struct error *err)
{
    if (member(obj, key, required, out, err) < 0)
        return -1;
    if (*out && !json_is_object(*out))
        return error_fail(err, "member \"%s\" is not an object", key);
    return 0;
}

int labjson_array(const json_t *obj, const char *key, bool required, json_t **out,
                  struct error *err)
{
    if (member(obj, key, required, out, err) < 0)
        return -1;
    if (*out && !json_is_array(*out))
        return error_fail(err, "member \"%s\" is not an array", key);
    return 0;
}

int labjson_text(const json_t *obj, const char *key, char **out, struct error *err)
{
    struct buf b = BUF_INIT;
    json_t *j;

    *out = NULL;
    if (member(obj, key, false, &j, err) < 0)
        return -1;
    if (!j || json_is_string(j))
        return labjson_string(obj, key, false, out, err);
    if (!json_is_number(j))
        return error_fail(err, "member \"%s\" is neither a string nor a number", key);
    json_write_compact(&b, j);
    *out = buf_steal(&b);
    return *out ? 0 : error_oom(err);
}
