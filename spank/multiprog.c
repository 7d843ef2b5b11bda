#include "spank/multiprog.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

/* What needs neither a quote nor an escape there. */
static bool is_plain(const char *path)
{
    for (; *path; path++)
        if (!isalnum((unsigned char)*path) && !strchr("/._+-", *path))
            return false;
    return true;
}

static size_t blanks(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && isspace((unsigned char)s[n]))
        n++;
    return n;
}

/* Where the command begins, behind the ranks; len when there is none. */
static size_t command_at(const char *line, size_t len)
{
    size_t at = blanks(line, len);

    if (at == len || line[at] == '#')
        return len;
    while (at < len && !isspace((unsigned char)line[at]))
        at++;
    return at + blanks(line + at, len - at);
}

int multiprog_prefix(const char *text, const char *program, struct buf *out,
                     struct error *err)
{
    bool continued = false;

    if (!is_plain(program))
        return error_fail(err,
                          "--multi-prog cannot name the program '%s'; install it at a "
                          "path of letters, digits and /._+-",
                          program);
    while (*text) {
        size_t len = strcspn(text, "\n");
        size_t at = continued ? len : command_at(text, len);

        buf_add(out, text, at);
        if (at < len) {
            buf_addf(out, "%s ", program);
            buf_add(out, text + at, len - at);
        }
        /* slurmstepd drops empty lines before it looks for a continued one. */
        if (len > 0)
            continued = text[len - 1] == '\\';
        text += len;
        if (*text == '\n') {
            buf_addc(out, '\n');
            text++;
        }
    }
    return buf_check(out, err);
}
