#include <string.h>

#include "base/buf.h"
#include "request/request_internal.h"

/* "  -l, --lab LAB            the lab: ...", wrapped. */
enum { HELP_COLUMN = 27, HELP_WIDTH = 80 };

static void indent(struct buf *out, size_t from, size_t to)
{
    for (; from < to; from++)
        buf_addc(out, ' ');
}

/* Words of text from the help column on. */
static void add_wrapped(struct buf *out, const char *text)
{
    size_t column = HELP_COLUMN;

    while (*text) {
        size_t word = strcspn(text, " ");

        if (column > HELP_COLUMN) {
            if (column + 1 + word > HELP_WIDTH) {
                buf_addc(out, '\n');
                indent(out, 0, HELP_COLUMN);
                column = HELP_COLUMN;
            } else {
                buf_addc(out, ' ');
                column++;
            }
        }
        buf_add(out, text, word);
        column += word;
        text += word;
        text += strspn(text, " ");
    }
    buf_addc(out, '\n');
}

static void add_row(struct buf *out, const struct request_option *o)
{
    size_t start = out->len, width;

    if (o->letter)
        buf_addf(out, "  -%c, --%s", o->letter, o->name);
    else
        buf_addf(out, "      --%s", o->name);
    if (o->arg)
        buf_addf(out, " %s", o->arg);
    width = out->len - start;
    if (width + 2 > HELP_COLUMN) {
        buf_addc(out, '\n');
        width = 0;
    }
    indent(out, width, HELP_COLUMN);
    add_wrapped(out, o->help);
}

void request_help(unsigned commands, struct buf *out)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++)
        if (request_applies(&o[i], commands))
            add_row(out, &o[i]);
}
