#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/quote.h"

static enum log_level current_level = LOG_LEVEL_NORMAL;
static char current_name[128] = "repx-launch";

void log_set_name(const char *name)
{
    snprintf(current_name, sizeof(current_name), "%s", name);
}

const char *log_name(void)
{
    return current_name;
}

void log_set_level(enum log_level level)
{
    current_level = level;
}

enum log_level log_get_level(void)
{
    return current_level;
}

static void log_line(const char *kind, const char *fmt, va_list ap)
{
    struct buf text = BUF_INIT, line = BUF_INIT;

    buf_vaddf(&text, fmt, ap);
    buf_addf(&line, "%s: %s", current_name, kind);
    quote_printable(&line, buf_str(&text));
    buf_addc(&line, '\n');
    /* one write, so that lines of parallel launchers do not mix */
    fputs(buf_str(&line), stderr);
    fflush(stderr);
    buf_release(&text);
    buf_release(&line);
}

void log_error(const struct error *err, const char *tail)
{
    struct buf line = BUF_INIT;

    buf_addf(&line, "%s: ", current_name);
    quote_printable(&line, err->text);
    buf_adds(&line, tail);
    buf_addc(&line, '\n');
    fputs(buf_str(&line), stderr);
    fflush(stderr);
    buf_release(&line);
}

#define LOG_AT(min, kind)                                                              \
    do {                                                                               \
        va_list ap;                                                                    \
        if (current_level < (min))                                                     \
            return;                                                                    \
        va_start(ap, fmt);                                                             \
        log_line(kind, fmt, ap);                                                       \
        va_end(ap);                                                                    \
    } while (0)

void log_warn(const char *fmt, ...)
{
    LOG_AT(LOG_LEVEL_NORMAL, "warning: ");
}

void log_info(const char *fmt, ...)
{
    LOG_AT(LOG_LEVEL_NORMAL, "");
}

void log_debug(const char *fmt, ...)
{
    LOG_AT(LOG_LEVEL_VERBOSE, "");
}
