/* labjson: JSON read strictly, with jansson. A document with a repeated key, trailing
 * text, invalid UTF-8 or a number that does not fit is refused with its line; a member
 * of the wrong type is refused by name. JSON null counts as absent, as in RepX.
 */
#ifndef REPX_LAB_LABJSON_H
#define REPX_LAB_LABJSON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct error;

/* flags: 0, or JSON_REJECT_DUPLICATES. The reference belongs to the caller; NULL with
 * err. */
json_t *labjson_load(const char *text, size_t len, size_t flags, struct error *err);

/* The document must be an object whose "type", when there, is the given one. */
int labjson_check_type(const json_t *doc, const char *type, struct error *err);

/* Members. The out parameter is NULL when the member is absent and not required.
 * Strings are copies owned by the caller, objects and arrays are borrowed. */
int labjson_string(const json_t *obj, const char *key, bool required, char **out,
                   struct error *err);
int labjson_object(const json_t *obj, const char *key, bool required, json_t **out,
                   struct error *err);
int labjson_array(const json_t *obj, const char *key, bool required, json_t **out,
                  struct error *err);
/* A string as it is or a number as text (resource hints are written either way). */
int labjson_text(const json_t *obj, const char *key, char **out, struct error *err);

static inline void labjson_decrefp(json_t **j)
{
    json_decref(*j);
}

#define _cleanup_json_ __attribute__((cleanup(labjson_decrefp)))

#endif
