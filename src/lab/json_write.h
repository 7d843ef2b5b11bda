/* json_write: JSON text exactly as RepX (serde_json) writes it: keys sorted bytewise,
 * two spaces of indent or none, no escapes but the necessary ones, floats in their
 * shortest form that reads back the same. Scripts of a lab may compare or hash these
 * files.
 */
#ifndef REPX_LAB_JSON_WRITE_H
#define REPX_LAB_JSON_WRITE_H

struct buf;
struct json_t;

/* serde_json::to_string_pretty; no newline at the end. */
void json_write_pretty(struct buf *b, const struct json_t *j);
/* serde_json::to_string. */
void json_write_compact(struct buf *b, const struct json_t *j);
/* One quoted string of valid UTF-8. */
void json_write_string(struct buf *b, const char *s);
/* One finite number, in the form of Rust's ryu: 1.0, 1.5, 1e-7, 1e16. */
void json_write_real(struct buf *b, double v);

#endif
