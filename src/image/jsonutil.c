#include "image/jsonutil.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"
#include "image/source.h"

json_t *jsonutil_parse(const char *text, size_t len, const char *what,
                       struct error *err)
{
    json_error_t where;
    json_t *j;

    if (len > SOURCE_JSON_MAX) {
        error_fail(err, "%s is larger than %zu bytes", what, SOURCE_JSON_MAX);
        return NULL;
    }
    j = json_loadb(text ? text : "", len, JSON_REJECT_DUPLICATES, &where);
    if (!j)
        error_fail(err, "%s is not valid JSON: line %d: %s", what, where.line,
                   where.text);
    return j;
}

int jsonutil_load(struct source *src, const char *name, json_t **out, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    int rc = source_read_file(src, name, &text, err);

    if (rc != 0)
        return rc;
    *out = jsonutil_parse(text.data, text.len, name, err);
    return *out ? 0 : -1;
}

const char *jsonutil_string(const json_t *object, const char *key, const char *what,
                            struct error *err)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text)
        error_fail(err, "%s has no string \"%s\"", what, key);
    return text;
}

int jsonutil_strings(const json_t *object, const char *key, struct strv *out,
                     const char *what, struct error *err)
{
    const json_t *array = json_object_get(object, key);
    size_t i;

    if (!array || json_is_null(array))
        return 0;
    if (!json_is_array(array))
        return error_fail(err, "\"%s\" in %s is not an array", key, what);
    for (i = 0; i < json_array_size(array); i++) {
        const char *text = json_string_value(json_array_get(array, i));

        if (!text)
            return error_fail(err, "\"%s\" in %s has an item that is not a string", key,
                              what);
        strv_add(out, text);
    }
    return strv_check(out, err);
}

int jsonutil_copy(const json_t *object, const char *key, char **out, const char *what,
                  struct error *err)
{
    const json_t *j = json_object_get(object, key);

    if (!j || json_is_null(j))
        return 0;
    if (!json_is_string(j))
        return error_fail(err, "\"%s\" in %s is not a string", key, what);
    if (json_string_length(j) == 0)
        return 0;
    *out = strdup(json_string_value(j));
    return *out ? 0 : error_oom(err);
}
