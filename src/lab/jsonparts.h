/* jsonparts: a large JSON document read in parts. The one member that holds nearly all
 * of it is found by its brackets, and each of its members is given to jansson by
 * itself, by threads: a document of a hundred megabytes is never in memory as a tree.
 *
 * Nothing here decides what is valid: jansson reads each part and, by itself, the
 * document without them; what is between the parts is checked by the grammar of RFC
 * 8259. Where anything is not as expected the caller has the whole document read, which
 * also tells what is wrong and where.
 */
#ifndef REPX_LAB_JSONPARTS_H
#define REPX_LAB_JSONPARTS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct jsonpart {
    size_t key, key_len; /* with its quotes; key_len 0: an element of an array */
    size_t value, value_len;
};

struct jsonparts {
    const char *text; /* borrowed */
    size_t len;
    size_t open, close; /* where the brackets of the large member are */
    struct jsonpart *items;
    size_t n, cap;
    size_t least;
};

#define JSONPARTS_INIT                                                                 \
    {                                                                                  \
        NULL, 0, 0, 0, NULL, 0, 0, 0                                                   \
    }

void jsonparts_release(struct jsonparts *p);

/* Of the document, an object, the member `key`, whose value begins with `open` ('{' or
 * '['). False: there is no such, it is there twice, one of its members is shorter than
 * `least` bytes (what cannot be right must not cost memory for each), or memory is
 * short.
 */
bool jsonparts_find(struct jsonparts *p, const char *text, size_t len, const char *key,
                    char open, size_t least);

/* The document with nothing in that member; the caller's. NULL: not valid. */
json_t *jsonparts_rest(const struct jsonparts *p);

/* Part i: its value, and its key decoded; the caller's. NULL: not valid. */
json_t *jsonparts_value(const struct jsonparts *p, size_t i);
char *jsonparts_key(const struct jsonparts *p, size_t i);

/* Calls take(arg, i) for each part, in threads and in any order, until one says false;
 * then it is false. */
bool jsonparts_each(const struct jsonparts *p, bool (*take)(void *arg, size_t i),
                    void *arg);

#endif
