/* parse: strict conversions. The whole string counts; no leading blanks, no locale. */
#ifndef REPX_BASE_PARSE_H
#define REPX_BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* Each returns true and sets *out, or false and leaves it. */
bool parse_u64(const char *s, uint64_t *out);
/* 1|0, true|false, yes|no, on|off. */
bool parse_bool(const char *s, bool *out);
/* Bytes: a number with an optional K, M, G, T (powers of 1024; "iB" or "B" may follow).
 */
bool parse_size(const char *s, uint64_t *out);
/* Seconds: a number with an optional s, m, h, d. */
bool parse_duration(const char *s, uint64_t *out);

/* Exactly n lower-case hexadecimal digits and nothing else. */
bool is_lower_hex(const char *s, unsigned n);

/* One path component that may name a file: not empty, ".", "..", and without '/'. */
bool is_path_component(const char *s);

/* A relative path of such components ("a/b/c"). */
bool is_relative_path(const char *s);

/* Is the path, by its text alone, in the directory or deeper? Both are absolute, and
 * have no ".", ".." and "//"; slashes at the directory's end do not count, and all but
 * "/" is below "/". */
bool path_is_below(const char *path, const char *dir);
/* The same, or the directory itself. */
bool path_is_within(const char *path, const char *dir);

#endif
