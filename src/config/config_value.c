#include "config/config_value.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t\n");
}

/* The character of a backslash sequence, 0 when there is no such sequence. */
static char escaped(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    default:
        return 0;
    }
}

/* A string in double or single quotes; returns the place behind it. */
static const char *parse_quoted(const char *s, struct buf *out, struct error *err)
{
    char quote = *s++;

    for (; *s != quote; s++) {
        if (*s == '\0' || *s == '\n') {
            error_fail(err, "the quotes of the string are not closed");
            return NULL;
        }
        if (quote == '"' && *s == '\\') {
            char c = escaped(*++s);

            if (!c) {
                error_fail(err,
                           "'\\%.1s' is no escape sequence; there are \\\" \\\\ "
                           "\\n \\t \\r, and '...' takes the text as it is",
                           s);
                return NULL;
            }
            buf_addc(out, c);
        } else {
            buf_addc(out, *s);
        }
    }
    return s + 1;
}

/* An unquoted word up to one of the ends; trailing blanks do not count. */
static const char *parse_bare(const char *s, const char *ends, struct buf *out,
                              struct error *err)
{
    size_t n = strcspn(s, ends), len = n;

    while (len > 0 && strchr(" \t\n", s[len - 1]))
        len--;
    if (len == 0) {
        error_fail(err, "a value is missing");
        return NULL;
    }
    if (*s == '[' || *s == '{') {
        error_fail(err, "%s cannot stand here; use plain values",
                   *s == '[' ? "a list" : "a table");
        return NULL;
    }
    if (memchr(s, '"', len)) {
        error_fail(err, "a quote inside an unquoted value; put the whole value in "
                        "quotes");
        return NULL;
    }
    buf_add(out, s, len);
    return s + n;
}

static const char *parse_one(const char *s, const char *ends, struct buf *out,
                             struct error *err)
{
    buf_reset(out);
    buf_add(out, "", 0);
    if (*s == '"' || *s == '\'')
        return parse_quoted(s, out, err);
    return parse_bare(s, ends, out, err);
}

char *config_value_scalar(const char *text, struct error *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    const char *rest;
    char *value;

    rest = parse_one(skip_blanks(text), "", &out, err);
    if (!rest)
        return NULL;
    rest = skip_blanks(rest);
    if (*rest) {
        error_fail(err, "'%s' behind the string", rest);
        return NULL;
    }
    value = buf_steal(&out);
    if (!value)
        error_oom(err);
    return value;
}

/* Items up to the end, each with a comma or the end behind it. */
static const char *parse_items(const char *s, bool brackets, struct strv *out,
                               struct error *err)
{
    _cleanup_buf_ struct buf item = BUF_INIT;
    const char *ends = brackets ? ",]\n" : ",";

    for (;;) {
        const char *rest;

        if (brackets && *s == ']')
            return s + 1;
        rest = parse_one(s, ends, &item, err);
        if (!rest)
            return s;
        strv_add(out, buf_str(&item));
        s = skip_blanks(rest);
        if (*s == ',') {
            s = skip_blanks(s + 1);
            continue;
        }
        if (!brackets && *s == '\0')
            return s;
        if (!brackets || *s != ']') {
            error_fail(err, "a comma%s is missing behind '%s'", brackets ? " or ]" : "",
                       buf_str(&item));
            return s;
        }
    }
}

int config_value_list(const char *text, struct strv *out, unsigned *line,
                      struct error *err)
{
    struct error inner = ERROR_INIT;
    const char *s = skip_blanks(text), *stop;
    bool brackets = *s == '[';

    stop = parse_items(brackets ? skip_blanks(s + 1) : s, brackets, out, &inner);
    if (inner.class == ERROR_NONE && *skip_blanks(stop))
        error_fail(&inner, "'%s' behind the list", skip_blanks(stop));
    if (inner.class == ERROR_NONE)
        return strv_check(out, err);
    for (s = text; s < stop; s++)
        *line += *s == '\n';
    *err = inner;
    return -1;
}
