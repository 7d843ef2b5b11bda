/* jsonutil: strict reading of untrusted JSON with jansson. Pure lookups; errors name
 * the file and the member. */
#ifndef REPX_IMAGE_JSONUTIL_H
#define REPX_IMAGE_JSONUTIL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct error;
struct source;
struct strv;

static inline void jsonutil_decrefp(json_t **j)
{
    json_decref(*j);
}
#define _cleanup_json_ __attribute__((cleanup(jsonutil_decrefp)))

/* Parses; what names the text in errors. Owned by the caller, NULL with err. */
json_t *jsonutil_parse(const char *text, size_t len, const char *what,
                       struct error *err);

/* Reads and parses a source's file. 0 and *out (owned), 1 missing, -1 with err. */
int jsonutil_load(struct source *src, const char *name, json_t **out,
                  struct error *err);

/* A member that must be a string: borrowed, NULL with err. */
const char *jsonutil_string(const json_t *object, const char *key, const char *what,
                            struct error *err);

/* Appends an array of strings; a missing or null member is an empty array. */
int jsonutil_strings(const json_t *object, const char *key, struct strv *out,
                     const char *what, struct error *err);

/* Copies an optional string member; *out stays NULL when it is absent, null or "". */
int jsonutil_copy(const json_t *object, const char *key, char **out, const char *what,
                  struct error *err);

#endif
