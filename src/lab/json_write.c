#include "lab/json_write.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/cleanup.h"

enum { COMPACT = -1 }; /* in place of a depth */

void json_write_string(struct buf *b, const char *s)
{
    static const char escapes[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    const char *run = s, *e;

    buf_addc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        e = strchr(escapes, c);
        buf_add(b, run, (size_t)(s - run));
        run = s + 1;
        if (e)
            buf_addf(b, "\\%c", letters[e - escapes]);
        else
            buf_addf(b, "\\u%04x", c);
    }
    buf_add(b, run, (size_t)(s - run));
    buf_addc(b, '"');
}

/* The shortest decimal digits that read back as v > 0, and kk with
 * 10^(kk-1) <= v < 10^kk. digits has at least 20 bytes. */
static int shortest_digits(double v, char *digits)
{
    char text[40];
    const char *p;
    size_t n = 0;

    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, v);
        /* the value itself has to come back, nothing near it */
        if (!(strtod(text, NULL) < v) && !(strtod(text, NULL) > v))
            break;
    }
    /* the decimal point is skipped whatever the locale makes of it */
    for (p = text; *p && *p != 'e'; p++)
        if (isdigit((unsigned char)*p) && n < 18)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    return *p == 'e' ? (int)strtol(p + 1, NULL, 10) + 1 : 1;
}

void json_write_real(struct buf *b, double v)
{
    char digits[20];
    int kk, n;

    if (signbit(v))
        buf_addc(b, '-');
    v = fabs(v);
    if (!(v > 0)) {
        buf_adds(b, "0.0");
        return;
    }
    kk = shortest_digits(v, digits);
    n = (int)strlen(digits);
    if (n <= kk && kk <= 16)
        buf_addf(b, "%s%.*s.0", digits, kk - n, "0000000000000000");
    else if (0 < kk && kk <= 16)
        buf_addf(b, "%.*s.%s", kk, digits, digits + kk);
    else if (-5 < kk && kk <= 0)
        buf_addf(b, "0.%.*s%s", -kk, "0000", digits);
    else if (n == 1)
        buf_addf(b, "%se%d", digits, kk - 1);
    else
        buf_addf(b, "%c.%se%d", digits[0], digits + 1, kk - 1);
}

static void write_value(struct buf *b, const json_t *j, int depth);

static void new_line(struct buf *b, int depth)
{
    if (depth == COMPACT)
        return;
    buf_addc(b, '\n');
    for (int i = 0; i < depth; i++)
        buf_adds(b, "  ");
}

static int deeper(int depth)
{
    return depth == COMPACT ? COMPACT : depth + 1;
}

static void write_array(struct buf *b, const json_t *j, int depth)
{
    size_t n = json_array_size(j);

    buf_addc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(b, ',');
        new_line(b, deeper(depth));
        write_value(b, json_array_get(j, i), deeper(depth));
    }
    if (n > 0)
        new_line(b, depth);
    buf_addc(b, ']');
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Borrowed keys in order; NULL when there are none or memory is out (b->failed then).
 */
static const char **sorted_keys(struct buf *b, json_t *j, size_t n)
{
    const char **keys = n > 0 ? calloc(n, sizeof(*keys)) : NULL;
    size_t i = 0;

    if (n > 0 && !keys)
        b->failed = true;
    if (!keys)
        return NULL;
    for (void *it = json_object_iter(j); it; it = json_object_iter_next(j, it))
        keys[i++] = json_object_iter_key(it);
    qsort(keys, n, sizeof(*keys), compare_keys);
    return keys;
}

static void write_object(struct buf *b, json_t *j, int depth)
{
    size_t n = json_object_size(j);
    _cleanup_free_ const char **keys = sorted_keys(b, j, n);

    buf_addc(b, '{');
    for (size_t i = 0; keys && i < n; i++) {
        if (i > 0)
            buf_addc(b, ',');
        new_line(b, deeper(depth));
        json_write_string(b, keys[i]);
        buf_adds(b, depth == COMPACT ? ":" : ": ");
        write_value(b, json_object_get(j, keys[i]), deeper(depth));
    }
    if (n > 0)
        new_line(b, depth);
    buf_addc(b, '}');
}

static void write_value(struct buf *b, const json_t *j, int depth)
{
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        write_object(b, (json_t *)(uintptr_t)j, depth); /* jansson iterates non-const */
        break;
    case JSON_ARRAY:
        write_array(b, j, depth);
        break;
    case JSON_STRING:
        json_write_string(b, json_string_value(j));
        break;
    case JSON_INTEGER:
        buf_addf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
        break;
    case JSON_REAL:
        json_write_real(b, json_real_value(j));
        break;
    case JSON_TRUE:
        buf_adds(b, "true");
        break;
    case JSON_FALSE:
        buf_adds(b, "false");
        break;
    case JSON_NULL:
        buf_adds(b, "null");
        break;
    }
}

void json_write_pretty(struct buf *b, const json_t *j)
{
    write_value(b, j, 0);
}

void json_write_compact(struct buf *b, const json_t *j)
{
    write_value(b, j, COMPACT);
}
