/* config_line: one line of a file made ready for inih. inih knows neither TOML's quotes
 * nor arrays that end in the first column, so comments are taken out here, semicolons
 * in quotes are hidden from it, and the lines of an array are marked as continuations.
 */
#ifndef REPX_CONFIG_LINE_H
#define REPX_CONFIG_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct error;

enum config_line_kind {
    CONFIG_LINE_BLANK,
    CONFIG_LINE_SECTION, /* "[...]" */
    CONFIG_LINE_ENTRY,   /* "name = value" */
    CONFIG_LINE_ARRAY,   /* more of the array that an earlier line opened */
};

/* Stands for ';' inside quotes; control characters are not allowed in a file. */
#define CONFIG_LINE_SEMICOLON '\x01'

/* Appends the line (len bytes, without its newline) to out as inih shall see it.
 * *in_array: was an array left open, and is one now? Returns the kind, -1 with err. */
int config_line_clean(const char *text, size_t len, bool *in_array, struct buf *out,
                      struct error *err);

/* Puts the semicolons back, in place. */
void config_line_restore(char *value);

#endif
