#include "base/quote.h"

#include <ctype.h>
#include <string.h>

#include "base/buf.h"

/* Length of the valid UTF-8 sequence of a printable character at s, 0 when there is
 * none. Overlong forms, surrogates and the C1 controls (U+0080..U+009F) are refused. */
static size_t utf8_len(const unsigned char *s)
{
    size_t n;

    if (s[0] < 0x80)
        return isprint(s[0]) ? 1 : 0;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if ((s[0] & 0xf0) == 0xe0)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
        (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    /* U+2028.., U+202A..U+202E, U+2066..U+2069: line breaks and bidirectional overrides
     */
    if (s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae) ||
                         (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)))
        return 0;
    return n;
}

void quote_printable(struct buf *b, const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    while (*p) {
        size_t n = utf8_len(p);

        if (*p == '\\') {
            buf_adds(b, "\\\\");
            p++;
        } else if (n > 0) {
            buf_add(b, p, n);
            p += n;
        } else {
            if (*p == '\n')
                buf_adds(b, "\\n");
            else if (*p == '\t')
                buf_adds(b, "\\t");
            else
                buf_addf(b, "\\x%02x", *p);
            p++;
        }
    }
}

void quote_shell(struct buf *b, const char *s)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_-./:=@%+,";

    if (*s && s[strspn(s, bare)] == '\0') {
        buf_adds(b, s);
        return;
    }
    buf_addc(b, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            buf_adds(b, "'\\''");
        else
            buf_addc(b, *s);
    }
    buf_addc(b, '\'');
}

void quote_shell_argv(struct buf *b, char *const *argv)
{
    for (size_t i = 0; argv && argv[i]; i++) {
        if (i > 0)
            buf_addc(b, ' ');
        quote_shell(b, argv[i]);
    }
}
