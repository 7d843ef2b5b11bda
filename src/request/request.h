/* request: what the user asked for, from the environment (REPX_*) and the command line,
 * one row of options.def each. base/ only: it links into the SPANK plugin.
 */
#ifndef REPX_REQUEST_REQUEST_H
#define REPX_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct buf;
struct error;

/* Groups of commands that take an option. */
enum {
    FOR_RUN = 1 << 0,    /* run */
    FOR_EXEC = 1 << 1,   /* exec, image, and plan without a job */
    FOR_LAUNCH = 1 << 2, /* run, exec, debug-run, plan */
    FOR_LAB = 1 << 3,    /* everything that may look into a lab */
    FOR_CONFIG = 1 << 4, /* everything that looks at the configuration */
    FOR_ALL = 1 << 5,
    FOR_JOB = 1 << 6,   /* run, debug-run, plan: what runs one job or phase */
    FOR_LIST = 1 << 7,  /* list */
    FOR_JSON = 1 << 8,  /* commands that print an answer */
    FOR_CACHE = 1 << 9, /* cache prune */
    FOR_STEP = 1 << 10, /* steps that the SPANK plugin starts; these have no variable */
    FOR_SHARED = 1 << 11, /* what can be done to the site's store */
};

enum request_type {
    REQUEST_STRING, /* char *, NULL when not given */
    REQUEST_LIST,   /* struct strv */
    REQUEST_FLAG,   /* bool */
    REQUEST_COUNT,  /* unsigned */
    REQUEST_NUMBER, /* uint64_t; 0 when not given */
};

/* Where a value came from, for `repx-launch config` and for precedence. */
enum request_origin { REQUEST_UNSET, REQUEST_ENVIRONMENT, REQUEST_COMMAND_LINE };

struct request_option {
    const char *name;
    char letter;
    enum request_type type;
    const char *arg;
    unsigned commands;
    bool spank;
    const char *help;
    size_t offset;        /* of the field in struct request */
    size_t origin_offset; /* of its enum request_origin */
};

#define REQUEST_FIELD_STRING char *
#define REQUEST_FIELD_LIST struct strv
#define REQUEST_FIELD_FLAG bool
#define REQUEST_FIELD_COUNT unsigned
#define REQUEST_FIELD_NUMBER uint64_t

struct request {
#define OPT(field, name, letter, type, arg, commands, spank, help)                     \
    REQUEST_FIELD_##type field;                                                        \
    enum request_origin field##_origin;
#include "request/options.def"
#undef OPT
    struct strv args; /* what is not an option: JOB..., or the command behind "--" */
    bool has_command; /* "--" was given; args behind it start at command_at */
    size_t command_at;
};

#define REQUEST_INIT                                                                   \
    {                                                                                  \
        0                                                                              \
    }

/* The table, in the order of options.def; *n rows. */
const struct request_option *request_options(size_t *n);

/* Sets one option from text, as every reader of options does. value NULL: given without
 * one (flags and counts). Flags take a boolean, counts a number. A list grows while the
 * origin stays the same. -1: a usage error that does not name the option yet. */
int request_set(struct request *r, const struct request_option *o, const char *value,
                enum request_origin origin, struct error *err);

/* request_set from one text for the whole option, as a variable and a --repx-NAME of
 * Slurm have it: a list is split at newlines or, when it has none, at commas; "\\," is
 * a comma of the item. */
int request_set_text(struct request *r, const struct request_option *o,
                     const char *value, enum request_origin origin, struct error *err);

/* The variable of an option, "REPX_MOUNT_PATH"; false: it has none. */
bool request_variable(const struct request_option *o, struct buf *name);

/* Appends what is set as variables ("REPX_NAME=value") that request_read_env reads
 * back, for those options that have one. */
void request_to_env(const struct request *r, struct strv *env);

/* Reads REPX_<NAME> of env. The value is read by request_set_text. An empty value
 * counts as not given. -1: malformed, names the variable. */
int request_read_env(struct request *r, char *const *env, struct error *err);

/* Parses argv (without program and command name) for a command in `commands` (FOR_*
 * bits). Options may stand before and after positional arguments; "--" ends them. A
 * value of the command line replaces one of the environment; lists replace the whole
 * list. Unknown options and missing arguments are usage errors that name the nearest
 * valid option. */
int request_parse(struct request *r, unsigned commands, char *const *argv,
                  struct error *err);

void request_release(struct request *r);

/* Is it the name of a runtime (CONTRACT section 2)? */
bool request_runtime_known(const char *name);

/* The runtime forced by --runtime or one of the four flags, or NULL. Two different ones
 * on the same level are a usage error; the command line beats the environment. */
int request_runtime(const struct request *r, const char **runtime, struct error *err);

/* Is it none, auto, or names of devices with commas between them (--gpus)? */
bool request_gpus_ok(const char *text);

/* Checks values that can be checked without the node: runtime name, network, env names,
 * mount syntax, what a step can be. Used by the plugin at submission as well. */
int request_validate(const struct request *r, struct error *err);

/* Appends the options that are set as argv words ("--name=value", "--flag",
 * "--flag=no"), so that a child launcher gets the same request; those in commands only.
 */
void request_to_argv(const struct request *r, unsigned commands, struct strv *argv);

/* "--help" rows for a command, 80 columns at most. */
void request_help(unsigned commands, struct buf *out);

/* SRC[:DST[:ro|rw]]; ':' and '\' inside a path are written "\:" and "\\". The parts are
 * owned by the struct. A given DST is absolute, without "." and ".." (extra slashes are
 * taken out); SRC is as written and may be relative. */
struct request_mount {
    char *source;
    char *dest; /* NULL: the same place as the source */
    bool writable;
    bool has_mode; /* ":ro" or ":rw" was written; without it a mount is read-only */
};
int request_mount_parse(const char *text, struct request_mount *m, struct error *err);
/* The text that request_mount_parse reads back, with the mode. Owned by the caller,
 * NULL when out of memory. */
char *request_mount_format(const struct request_mount *m);
void request_mount_release(struct request_mount *m);

#endif
