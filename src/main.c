/* main: chooses the command, prints the one error, returns the exit code. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/command.h"
#include "sys/fdio.h"

extern char **environ;

static int report(const struct error *err)
{
    bool usage = err->class == ERROR_USAGE && !strstr(err->text, "--help");

    log_error(err, usage ? " (see repx-launch --help)" : "");
    return error_exit_code(err);
}

static int run_command(const struct command *c, char *const *argv, int *exit_code,
                       struct error *err)
{
    struct request req = REQUEST_INIT;
    int r;

    if (c->options == 0)
        return c->main(&req, environ, exit_code, err);
    r = request_read_env(&req, environ, err);
    if (r == 0)
        r = request_parse(&req, c->options | FOR_ALL, argv, err);
    if (r == 0 && req.help) {
        help_command(c);
        *exit_code = 0;
        request_release(&req);
        return 0;
    }
    if (r == 0) {
        if (req.quiet)
            log_set_level(LOG_LEVEL_QUIET);
        else if (req.verbose > 0)
            log_set_level(LOG_LEVEL_VERBOSE);
        r = c->main(&req, environ, exit_code, err);
    }
    request_release(&req);
    return r;
}

static bool is_help(const char *word)
{
    return word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0);
}

static int dispatch(char **argv, int *exit_code, struct error *err)
{
    const struct command *c;
    size_t words;

    if (!argv[0])
        return error_usage(err, "which command?");
    if (is_help(argv[0]) || (strcmp(argv[0], "help") == 0 && !argv[1])) {
        help_overview();
        return 0;
    }
    if (is_help(argv[1]) && help_group(argv[0]))
        return 0;
    if (strcmp(argv[0], "help") == 0) {
        if (!argv[2] && help_group(argv[1]))
            return 0;
        c = command_find(argv + 1, &words, err);
        if (c)
            help_command(c);
        return c ? 0 : -1;
    }
    if (strcmp(argv[0], "--version") == 0)
        return cmd_version.main(&(struct request)REQUEST_INIT, environ, exit_code, err);
    c = command_find(argv, &words, err);
    return c ? run_command(c, argv + words, exit_code, err) : -1;
}

int main(int argc, char **argv)
{
    struct error err = ERROR_INIT;
    int exit_code = 0;

    if (argc < 1 || fdio_open_stdio(&err) < 0 ||
        dispatch(argv + 1, &exit_code, &err) < 0)
        return report(&err);
    return exit_code;
}
