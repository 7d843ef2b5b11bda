#include <stdio.h>

#include "base/error.h"
#include "cmd/command.h"

static int version_main(const struct request *req, char *const *env, int *exit_code,
                        struct error *err)
{
    *exit_code = 0;
    if (no_arguments(req, "version", err) < 0)
        return -1;
    if (req->json)
        return print_text("{\"version\": \"" REPX_VERSION "\"}\n", err);
    return print_text("repx-launch " REPX_VERSION "\n", err);
}

const struct command cmd_version = {
    .name = "version",
    .options = FOR_JSON,
    .synopsis = "[--json]",
    .summary = "Print the version",
    .main = version_main,
};
