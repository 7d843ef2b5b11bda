/* config_keys: the table of config_keys.def, and how a value's text reaches its member.
 */
#ifndef REPX_CONFIG_KEYS_H
#define REPX_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum config_scope {
    CONFIG_SCOPE_TOP,
    CONFIG_SCOPE_TARGET,
    CONFIG_SCOPE_SCHEDULER,
    CONFIG_SCOPE_POLICY,
    CONFIG_SCOPE_LOGGING,
    CONFIG_SCOPE_TARGETS, /* the bare [targets] header: takes no keys */
};

enum config_type {
    CONFIG_TYPE_STRING,
    CONFIG_TYPE_BOOL,
    CONFIG_TYPE_SIZE,
    CONFIG_TYPE_DURATION,
    CONFIG_TYPE_LIST,
    CONFIG_TYPE_IGNORED,
};

enum config_check {
    CONFIG_CHECK_ANY,
    CONFIG_CHECK_NUMBER,
    CONFIG_CHECK_SCHEDULER,
    CONFIG_CHECK_NETWORK,
    CONFIG_CHECK_STAGING,
    CONFIG_CHECK_GPUS,
    CONFIG_CHECK_PATH,
    CONFIG_CHECK_ENV,
    CONFIG_CHECK_IMAGE,
};

struct config_key {
    enum config_scope scope;
    const char *name;
    enum config_type type;
    enum config_check check;
    size_t offset; /* of the member in the scope's struct */
};

/* The key of this scope. NULL with err: unknown, with the nearest valid one. */
const struct config_key *config_key_find(enum config_scope scope, const char *name,
                                         struct error *err);

/* Converts and checks text and stores it with its origin ("file:line", copied) in the
 * scope's struct at base. *line counts the lines of text down to a fault. */
int config_key_set(const struct config_key *key, void *base, const char *text,
                   const char *origin, unsigned *line, struct error *err);

#endif
