/* log: what a person at the terminal should know beside the one error: warnings, notes,
 * and with -v the details. Everything goes to stderr, one line each, printable. */
#ifndef REPX_BASE_LOG_H
#define REPX_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_QUIET = -1, LOG_LEVEL_NORMAL = 0, LOG_LEVEL_VERBOSE = 1 };

/* Process-wide, set once by main.c from -v, -q and the terminal's state. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* What stands in front of each line, "repx-launch" until it is set; copied, cut where
 * it is unreasonably long. Not for text that a hostile file chose. */
void log_set_name(const char *name);
const char *log_name(void);

struct error;

/* The one error of a process: "<name>: <text>", whatever the level. */
void log_error(const struct error *err, const char *tail);

/* "<name>: warning: ..." unless quiet. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);
/* "<name>: ..." unless quiet. */
__attribute__((format(printf, 1, 2))) void log_info(const char *fmt, ...);
/* "<name>: ..." with -v. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

#endif
