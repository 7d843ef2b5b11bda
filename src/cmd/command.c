#include "cmd/command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"

static const struct command *const table[] = {
    &cmd_run,         &cmd_exec,          &cmd_debug_run,     &cmd_plan,
    &cmd_list,        &cmd_image_inspect, &cmd_image_prepare, &cmd_cache_list,
    &cmd_cache_prune, &cmd_cache_verify,  &cmd_config,        &cmd_doctor,
    &cmd_version,
};

/* For programs of ours, not for people: in no list and no help. */
static const struct command *const hidden[] = {&cmd_step, &cmd_broadcast};

const struct command *const *commands(size_t *n)
{
    *n = array_size(table);
    return table;
}

/* How many words of argv are the command's name, 0 when they are not. */
static size_t match_words(const char *name, char *const *argv)
{
    const char *space = strchr(name, ' ');
    size_t first = space ? (size_t)(space - name) : strlen(name);

    if (strlen(argv[0]) != first || strncmp(argv[0], name, first) != 0)
        return 0;
    if (!space)
        return 1;
    return argv[1] && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

/* Is the command one of this group ("image", "cache")? */
static bool is_of_group(const struct command *c, const char *group)
{
    size_t len = strlen(group);

    return strncmp(c->name, group, len) == 0 && c->name[len] == ' ';
}

/* "image" or "cache" without, or with a wrong, second word. */
static const struct command *incomplete(char *const *argv, struct error *err)
{
    _cleanup_buf_ struct buf known = BUF_INIT;

    for (size_t i = 0; i < array_size(table); i++)
        if (is_of_group(table[i], argv[0]))
            buf_addf(&known, "%s%s", known.len ? ", " : "", table[i]->name);
    if (known.len > 0 && argv[1] && argv[1][0] != '-')
        error_usage(err, "unknown command %s %s; there is: %s", argv[0], argv[1],
                    buf_str(&known));
    else if (known.len > 0)
        error_usage(err, "%s is incomplete; there is: %s", argv[0], buf_str(&known));
    return NULL;
}

const struct command *command_find(char *const *argv, size_t *words, struct error *err)
{
    struct nearest nearest = NEAREST_INIT;

    for (size_t i = 0; i < array_size(table); i++) {
        *words = match_words(table[i]->name, argv);
        if (*words > 0)
            return table[i];
        nearest_offer(&nearest, argv[0], table[i]->name);
    }
    for (size_t i = 0; i < array_size(hidden); i++) {
        *words = match_words(hidden[i]->name, argv);
        if (*words > 0)
            return hidden[i];
    }
    error_clear(err);
    if (argv[0][0] == '-') {
        error_usage(err, "option %s comes before the command", argv[0]);
        error_hint(err, "write repx-launch COMMAND [OPTION...]");
        return NULL;
    }
    incomplete(argv, err);
    if (err->class != ERROR_NONE)
        return NULL;
    error_usage(err, "unknown command %s", argv[0]);
    if (nearest.word)
        error_hint(err, "did you mean %s?", nearest.word);
    else
        error_hint(err, "repx-launch --help lists the commands");
    return NULL;
}

void help_overview(void)
{
    printf("repx-launch runs RepX labs and container images on this machine.\n\n"
           "Usage: repx-launch COMMAND [OPTION...] [ARGUMENT...]\n\n"
           "Commands:\n");
    for (size_t i = 0; i < array_size(table); i++)
        printf("  %-15s %s\n", table[i]->name, table[i]->summary);
    printf("\nOptions of all commands:\n");
    {
        struct buf b = BUF_INIT;

        request_help(FOR_ALL, &b);
        fputs(buf_str(&b), stdout);
        buf_release(&b);
    }
    printf("\nExit codes: the job's own, 128+N when signal N killed it; 2 usage, 125 "
           "the\nlauncher failed, 126 the command cannot be executed, 127 it was not "
           "found.\n\n"
           "repx-launch COMMAND --help explains a command.\n");
}

bool help_group(const char *group)
{
    bool any = false;

    for (size_t i = 0; i < array_size(table); i++) {
        if (!is_of_group(table[i], group))
            continue;
        if (!any)
            printf("Usage: repx-launch %s COMMAND [OPTION...] [ARGUMENT...]\n\n"
                   "Commands:\n",
                   group);
        any = true;
        printf("  %-15s %s\n", table[i]->name, table[i]->summary);
    }
    if (any)
        printf("\nrepx-launch %s COMMAND --help explains one.\n", group);
    return any;
}

void help_command(const struct command *c)
{
    struct buf b = BUF_INIT;

    printf("Usage: repx-launch %s %s\n\n%s.\n", c->name, c->synopsis, c->summary);
    if (c->details)
        printf("\n%s", c->details);
    request_help(c->options | FOR_ALL, &b);
    printf("\nOptions:\n%s", buf_str(&b));
    buf_release(&b);
}

int print_text(const char *text, struct error *err)
{
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return error_sys(err, errno, "cannot write to standard output");
    return 0;
}

int one_argument(const struct request *req, const char *what, const char **out,
                 struct error *err)
{
    if (req->args.count == 0)
        return error_usage(err, "%s is missing", what);
    if (req->args.count > 1)
        return error_usage(err, "one %s at a time: %s is too much", what,
                           req->args.items[1]);
    *out = req->args.items[0];
    return 0;
}

int no_arguments(const struct request *req, const char *command, struct error *err)
{
    if (req->args.count == 0)
        return 0;
    return error_usage(err, "%s takes no arguments: %s is too much", command,
                       req->args.items[0]);
}
