/* podman and docker: known names that this version cannot run. Their rows exist so that
 * a configuration which lists them loads, and the next type on its list is taken. */
#include <stddef.h>

#include "base/error.h"
#include "runtime/runtime_internal.h"

static int podman_probe(const struct runtime_tools *tools, struct error *why)
{
    error_fail(why, "podman is not part of this version of repx-launch; use --bwrap");
    return 1;
}

static int docker_probe(const struct runtime_tools *tools, struct error *why)
{
    error_fail(why, "docker is not part of this version of repx-launch; use --bwrap");
    return 1;
}

static char *no_version(const struct runtime_tools *tools)
{
    return NULL;
}

static int no_command(const struct plan *plan, const struct runtime_tools *tools,
                      struct runtime_command *out, struct error *err)
{
    return error_fail(err, "%s is not part of this version of repx-launch; use --bwrap",
                      plan->runtime);
}

const struct runtime_backend backend_podman = {
    .name = "podman",
    .isolated = true,
    .probe = podman_probe,
    .version = no_version,
    .command = no_command,
};

const struct runtime_backend backend_docker = {
    .name = "docker",
    .isolated = true,
    .probe = docker_probe,
    .version = no_version,
    .command = no_command,
};
