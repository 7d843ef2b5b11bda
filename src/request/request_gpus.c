#include <ctype.h>
#include <string.h>

#include "request/request.h"

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("._-:/=", c));
}

bool request_gpus_ok(const char *text)
{
    size_t n = 0;

    if (strcmp(text, "none") == 0 || strcmp(text, "auto") == 0)
        return true;
    for (const char *p = text; *p; p++) {
        if (*p == ',' && n == 0)
            return false;
        if (*p != ',' && !is_name_char(*p))
            return false;
        n = *p == ',' ? 0 : n + 1;
        if (n == 4 && (p[1] == ',' || p[1] == '\0') &&
            (strncmp(p - 3, "none", 4) == 0 || strncmp(p - 3, "auto", 4) == 0))
            return false;
    }
    return n > 0;
}
