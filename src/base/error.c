#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_class class, int errnum, const char *fmt,
              ...)
{
    va_list ap;
    size_t n;

    err->class = class;
    err->errnum = errnum;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    if (errnum != 0) {
        n = strlen(err->text);
        snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(errnum));
    }
    return -1;
}

int error_context(struct error *err, const char *fmt, ...)
{
    char old[sizeof(err->text)];
    va_list ap;
    size_t n;

    memcpy(old, err->text, sizeof(old));
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, ap);
    va_end(ap);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof(err->text) - n, ": %s", old);
    return -1;
}

int error_hint(struct error *err, const char *fmt, ...)
{
    size_t n = strlen(err->text);
    va_list ap;

    snprintf(err->text + n, sizeof(err->text) - n, "; ");
    n = strlen(err->text);
    va_start(ap, fmt);
    vsnprintf(err->text + n, sizeof(err->text) - n, fmt, ap);
    va_end(ap);
    return -1;
}

int error_oom(struct error *err)
{
    return error_sys(err, ENOMEM, "out of memory");
}

void error_clear(struct error *err)
{
    err->class = ERROR_NONE;
    err->errnum = 0;
    err->text[0] = '\0';
}

int error_exit_code(const struct error *err)
{
    switch (err->class) {
    case ERROR_NONE:
        return 0;
    case ERROR_USAGE:
        return 2;
    case ERROR_CANNOT_EXECUTE:
        return 126;
    case ERROR_NOT_FOUND:
        return 127;
    case ERROR_LAUNCHER:
        break;
    }
    return 125;
}
