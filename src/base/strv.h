/* strv: a growing, NULL-terminated vector of strings that it owns (argv, environment).
 *
 * As in buf, a failed allocation is remembered and reported once, by strv_check.
 */
#ifndef REPX_BASE_STRV_H
#define REPX_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

struct error;

struct strv {
    char **items; /* owned, as each item is; items[count] == NULL once something was
                     added */
    size_t count;
    size_t cap;
    bool failed;
};

#define STRV_INIT                                                                      \
    {                                                                                  \
        NULL, 0, 0, false                                                              \
    }

void strv_release(struct strv *v);

/* Adds a copy of s; NULL counts as a failed allocation, so builders may be nested:
 * strv_take(v, str_printf(...)). */
void strv_add(struct strv *v, const char *s);

/* Adds s itself and owns it from now on, also on failure. */
void strv_take(struct strv *v, char *s);

__attribute__((format(printf, 2, 3))) void strv_addf(struct strv *v, const char *fmt,
                                                     ...);

/* Adds each of the NULL-terminated list. */
__attribute__((sentinel)) void strv_addl(struct strv *v, ...);
void strv_extend(struct strv *v, char *const *items);

bool strv_contains(const struct strv *v, const char *s);

/* The items as an argv; never NULL. Borrowed. */
char *const *strv_argv(const struct strv *v);

int strv_check(const struct strv *v, struct error *err);

/* Environment blocks: "NAME=VALUE" items. */
const char *strv_env_get(char *const *env, const char *name);
void strv_env_set(struct strv *v, const char *name, const char *value);
/* The same from "NAME=VALUE". False: the item has no name or no value and is left out
 * (an image's config may hold anything). */
bool strv_env_put(struct strv *v, const char *item);

/* Orders the items bytewise. */
void strv_sort(struct strv *v);
/* The same, and keeps one of those that are equal. */
void strv_sort_unique(struct strv *v);

#define _cleanup_strv_ __attribute__((cleanup(strv_release)))

#endif
