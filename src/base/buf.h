/* buf: a growing byte string, always NUL-terminated once something was added.
 *
 * A failed allocation is remembered in `failed` and later calls do nothing, so a
 * builder checks once, at the end, with buf_check.
 */
#ifndef REPX_BASE_BUF_H
#define REPX_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

struct buf {
    char *data; /* owned; NULL until something was added */
    size_t len; /* bytes, without the NUL */
    size_t cap;
    bool failed;
};

#define BUF_INIT                                                                       \
    {                                                                                  \
        NULL, 0, 0, false                                                              \
    }

void buf_release(struct buf *b);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *fmt,
                                                    ...);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap);

/* Makes it empty and keeps the memory. */
void buf_reset(struct buf *b);

/* The text; "" when nothing was added. Borrowed. */
const char *buf_str(const struct buf *b);

/* 0, or -1 with err filled when an allocation failed. */
int buf_check(const struct buf *b, struct error *err);

/* Hands the allocation to the caller (free() it) and empties b; NULL on failure. */
char *buf_steal(struct buf *b);

/* printf into fresh memory, owned by the caller; NULL when out of memory. */
__attribute__((format(printf, 1, 2))) char *str_printf(const char *fmt, ...);

#define _cleanup_buf_ __attribute__((cleanup(buf_release)))

#endif
