#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Digits at the start of s; sets *rest behind them. */
static bool leading_u64(const char *s, uint64_t *out, const char **rest)
{
    uint64_t v = 0;

    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++) {
        unsigned digit = (unsigned)(*s - '0');

        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    *rest = s;
    return true;
}

bool parse_u64(const char *s, uint64_t *out)
{
    const char *rest;
    uint64_t v;

    if (!leading_u64(s, &v, &rest) || *rest)
        return false;
    *out = v;
    return true;
}

bool parse_bool(const char *s, bool *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"1", true},  {"true", true},   {"yes", true}, {"on", true},
                 {"0", false}, {"false", false}, {"no", false}, {"off", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(s, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

bool parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    const char *rest, *unit;
    unsigned shift = 0;
    uint64_t v;

    if (!leading_u64(s, &v, &rest))
        return false;
    if (*rest && (unit = strchr(units, toupper((unsigned char)*rest)))) {
        shift = 10 * (unsigned)(unit - units + 1);
        rest++;
        if (strcmp(rest, "iB") == 0)
            rest += 2;
    }
    if (strcmp(rest, "B") == 0)
        rest++;
    if (*rest || v > (UINT64_MAX >> shift))
        return false;
    *out = v << shift;
    return true;
}

bool parse_duration(const char *s, uint64_t *out)
{
    const char *rest;
    uint64_t v, scale = 1;

    if (!leading_u64(s, &v, &rest))
        return false;
    if (*rest == 's')
        scale = 1;
    else if (*rest == 'm')
        scale = 60;
    else if (*rest == 'h')
        scale = 3600;
    else if (*rest == 'd')
        scale = 86400;
    else if (*rest)
        return false;
    if ((*rest && rest[1]) || v > UINT64_MAX / scale)
        return false;
    *out = v * scale;
    return true;
}

bool is_lower_hex(const char *s, unsigned n)
{
    return strspn(s, "0123456789abcdef") == n && s[n] == '\0';
}

static bool component_ok(const char *s, size_t n)
{
    if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
        return false;
    return true;
}

bool is_path_component(const char *s)
{
    return !strchr(s, '/') && component_ok(s, strlen(s));
}

bool is_relative_path(const char *s)
{
    for (;;) {
        size_t n = strcspn(s, "/");

        if (!component_ok(s, n))
            return false;
        if (!s[n])
            return true;
        s += n + 1;
    }
}

/* How many bytes of the path the directory is; 0 is also "/". SIZE_MAX: it is not. */
static size_t begins_with(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 ? n : SIZE_MAX;
}

bool path_is_below(const char *path, const char *dir)
{
    size_t n = begins_with(path, dir);

    return n != SIZE_MAX && path[n] == '/' && path[n + 1] != '\0';
}

bool path_is_within(const char *path, const char *dir)
{
    size_t n = begins_with(path, dir);

    return n != SIZE_MAX && (path[n] == '/' || path[n] == '\0');
}
