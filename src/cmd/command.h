/* command: the table of sub-commands. One file each; they print on stdout and choose
 * the exit code, errors go to main.c. */
#ifndef REPX_CMD_COMMAND_H
#define REPX_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "request/request.h"

struct error;

struct command {
    const char *name; /* "run", "image inspect" */
    unsigned options; /* FOR_* bits: which options it takes; 0: it reads no options */
    const char *synopsis; /* behind the name */
    const char *summary;  /* one line */
    const char *details;  /* the text of --help, lines of at most 79 columns */
    /* 0 with *exit_code, or -1 with err. env: the caller's environment. */
    int (*main)(const struct request *req, char *const *env, int *exit_code,
                struct error *err);
};

extern const struct command cmd_run, cmd_exec, cmd_debug_run, cmd_plan, cmd_list,
    cmd_image_inspect, cmd_image_prepare, cmd_cache_list, cmd_cache_prune,
    cmd_cache_verify, cmd_config, cmd_doctor, cmd_version, cmd_step, cmd_broadcast;

/* All that people call, in the order of --help; *n. */
const struct command *const *commands(size_t *n);

/* The command that the first words of argv name; *words is how many (1 or 2). NULL with
 * err: unknown, with the nearest name. */
const struct command *command_find(char *const *argv, size_t *words, struct error *err);

/* Prints the overview, or one command's help, on stdout. */
void help_overview(void);
void help_command(const struct command *c);
/* The commands of a group ("image"). False, and nothing printed: there is no such. */
bool help_group(const char *group);

/* Writes text to stdout; an error when it cannot be written completely (full disk). */
int print_text(const char *text, struct error *err);

/* Exactly one positional argument, which the usage calls `what`. */
int one_argument(const struct request *req, const char *what, const char **out,
                 struct error *err);

/* None: a word that would be passed over may have been meant. */
int no_arguments(const struct request *req, const char *command, struct error *err);

#endif
