#include "base/strv.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

void strv_release(struct strv *v)
{
    for (size_t i = 0; i < v->count; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct strv)STRV_INIT;
}

static bool strv_grow(struct strv *v)
{
    size_t cap = v->cap ? v->cap * 2 : 16;
    char **p;

    if (v->failed)
        return false;
    if (v->count + 1 < v->cap)
        return true;
    p = reallocarray(v->items, cap, sizeof(*p));
    if (!p) {
        v->failed = true;
        return false;
    }
    v->items = p;
    v->cap = cap;
    return true;
}

void strv_take(struct strv *v, char *s)
{
    if (!s)
        v->failed = true;
    if (!s || !strv_grow(v)) {
        free(s);
        return;
    }
    v->items[v->count++] = s;
    v->items[v->count] = NULL;
}

void strv_add(struct strv *v, const char *s)
{
    strv_take(v, s ? strdup(s) : NULL);
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    strv_take(v, buf_steal(&b));
}

void strv_addl(struct strv *v, ...)
{
    const char *s;
    va_list ap;

    va_start(ap, v);
    while ((s = va_arg(ap, const char *)))
        strv_add(v, s);
    va_end(ap);
}

void strv_extend(struct strv *v, char *const *items)
{
    for (; items && *items; items++)
        strv_add(v, *items);
}

bool strv_contains(const struct strv *v, const char *s)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->items[i], s) == 0)
            return true;
    return false;
}

char *const *strv_argv(const struct strv *v)
{
    static char *empty[] = {NULL};

    return v->items ? v->items : empty;
}

int strv_check(const struct strv *v, struct error *err)
{
    return v->failed ? error_oom(err) : 0;
}

/* Index of the item for name, -1 when there is none. */
static ssize_t env_find(char *const *env, const char *name)
{
    size_t n = strlen(name);

    for (ssize_t i = 0; env && env[i]; i++)
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
            return i;
    return -1;
}

const char *strv_env_get(char *const *env, const char *name)
{
    ssize_t i = env_find(env, name);

    return i >= 0 ? env[i] + strlen(name) + 1 : NULL;
}

void strv_env_set(struct strv *v, const char *name, const char *value)
{
    ssize_t i = env_find(v->items, name);
    char *fresh = str_printf("%s=%s", name, value);

    if (i < 0) {
        strv_take(v, fresh);
        return;
    }
    if (!fresh) {
        v->failed = true;
        return;
    }
    free(v->items[i]);
    v->items[i] = fresh;
}

bool strv_env_put(struct strv *v, const char *item)
{
    const char *eq = strchr(item, '=');
    char *name;

    if (!eq || eq == item)
        return false;
    name = strndup(item, (size_t)(eq - item));
    if (name)
        strv_env_set(v, name, eq + 1);
    else
        v->failed = true;
    free(name);
    return true;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *v)
{
    if (v->count > 1)
        qsort(v->items, v->count, sizeof(*v->items), compare_items);
}

void strv_sort_unique(struct strv *v)
{
    size_t kept = 0;

    strv_sort(v);
    for (size_t i = 0; i < v->count; i++) {
        if (kept > 0 && strcmp(v->items[kept - 1], v->items[i]) == 0)
            free(v->items[i]);
        else
            v->items[kept++] = v->items[i];
    }
    v->count = kept;
    if (v->items)
        v->items[kept] = NULL;
}
