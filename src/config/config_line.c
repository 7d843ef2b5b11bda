#include "config/config_line.h"

#include <string.h>

#include "base/buf.h"
#include "base/error.h"

struct scan {
    bool in_value; /* behind the separator, or inside an array */
    bool in_array;
    bool token_start; /* a quote here opens a string; elsewhere it is a letter */
    bool section;
    char quote; /* the open quote, or 0 */
    char last;  /* the character before this one */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int check_characters(const char *text, size_t len, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return error_fail(err,
                              "control character 0x%02x in column %zu; the file is to "
                              "be plain text",
                              c, i + 1);
    }
    return 0;
}

/* A '#' or ';' begins a comment at the start, behind a blank, and behind what ends a
 * value; elsewhere it belongs to a bare word. */
static bool begins_comment(const struct scan *s, char c)
{
    if (c != '#' && c != ';')
        return false;
    return s->last == '\0' || is_blank(s->last) || strchr("\"'],[", s->last) != NULL;
}

static void scan_plain(struct scan *s, char c)
{
    if ((c == '"' || c == '\'') && (s->token_start || s->section)) {
        s->quote = c;
        s->token_start = false;
        return;
    }
    if (is_blank(c))
        return;
    if (!s->in_value && !s->section && (c == '=' || c == ':')) {
        s->in_value = s->token_start = true;
        return;
    }
    if (s->in_value && c == '[' && (s->token_start || s->in_array))
        s->in_array = true;
    else if (s->in_array && c == ']')
        s->in_array = false;
    s->token_start = c == ',' || (s->in_array && c == '[');
}

/* Copies up to the comment. */
static void scan_line(struct scan *s, const char *text, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (s->quote) {
            if (s->quote == '"' && c == '\\' && i + 1 < len) {
                buf_addc(out, c);
                c = text[++i];
            } else if (c == s->quote) {
                s->quote = 0;
            }
            buf_addc(out, c == ';' ? CONFIG_LINE_SEMICOLON : c);
        } else {
            if (begins_comment(s, c))
                break;
            scan_plain(s, c);
            buf_addc(out, c);
        }
        s->last = c;
    }
    while (out->len > 0 && is_blank(out->data[out->len - 1]))
        out->data[--out->len] = '\0';
}

int config_line_clean(const char *text, size_t len, bool *in_array, struct buf *out,
                      struct error *err)
{
    struct scan s = {.in_value = *in_array, .in_array = *in_array, .token_start = true};
    bool continued = *in_array;

    if (len > 0 && text[len - 1] == '\r')
        len--;
    if (check_characters(text, len, err) < 0)
        return -1;
    for (; len > 0 && is_blank(*text); len--)
        text++;
    s.section = !continued && len > 0 && *text == '[';
    /* inih takes an indented line as more of the value above. */
    if (continued && len > 0)
        buf_addc(out, ' ');
    scan_line(&s, text, len, out);
    if (buf_check(out, err) < 0)
        return -1;
    *in_array = s.in_array;
    if (out->len == 0)
        return CONFIG_LINE_BLANK;
    if (continued)
        return CONFIG_LINE_ARRAY;
    if (s.section)
        return CONFIG_LINE_SECTION;
    if (!s.in_value)
        return error_fail(err, "'%s' is neither [SECTION] nor KEY = VALUE",
                          buf_str(out));
    return CONFIG_LINE_ENTRY;
}

void config_line_restore(char *value)
{
    for (; *value; value++)
        if (*value == CONFIG_LINE_SEMICOLON)
            *value = ';';
}
