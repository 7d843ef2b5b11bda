/* json_text: what --json prints. */
#ifndef REPX_CMD_JSON_TEXT_H
#define REPX_CMD_JSON_TEXT_H

#include <jansson.h>

struct buf;
struct error;

/* Appends the value, which it takes over, and a newline. */
int json_text(json_t *value, struct buf *out, struct error *err);

#endif
