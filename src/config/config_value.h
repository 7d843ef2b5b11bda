/* config_value: the text of a value, in TOML's words ("...", '...', [...]) or an INI
 * file's (bare words, a, b, c). */
#ifndef REPX_CONFIG_VALUE_H
#define REPX_CONFIG_VALUE_H

struct error;
struct strv;

/* One value. Owned by the caller; NULL with err. */
char *config_value_scalar(const char *text, struct error *err);

/* Appends each item. *line is raised by the newlines in front of a fault. */
int config_value_list(const char *text, struct strv *out, unsigned *line,
                      struct error *err);

#endif
