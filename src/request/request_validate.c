#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"
#include "request/request_internal.h"

static const char *const runtimes[] = {"bwrap", "podman", "docker", "native"};

bool request_runtime_known(const char *name)
{
    for (size_t i = 0; i < array_size(runtimes); i++)
        if (strcmp(name, runtimes[i]) == 0)
            return true;
    return false;
}

/* The runtimes that were asked for on one level; two different ones are an error. */
static int runtime_of_level(const struct request *r, enum request_origin level,
                            const char **runtime, struct error *err)
{
    const struct {
        const char *name;
        bool set;
    } asked[] = {
        {r->runtime, r->runtime && r->runtime_origin == level},
        {"bwrap", r->force_bwrap && r->force_bwrap_origin == level},
        {"podman", r->force_podman && r->force_podman_origin == level},
        {"docker", r->force_docker && r->force_docker_origin == level},
        {"native", r->force_native && r->force_native_origin == level},
    };

    *runtime = NULL;
    for (size_t i = 0; i < array_size(asked); i++) {
        if (!asked[i].set)
            continue;
        if (*runtime && strcmp(*runtime, asked[i].name) != 0)
            return error_usage(
                err, "two runtimes are asked for%s: %s and %s; choose one",
                level == REQUEST_ENVIRONMENT ? " in the environment" : "", *runtime,
                asked[i].name);
        *runtime = asked[i].name;
    }
    return 0;
}

int request_runtime(const struct request *r, const char **runtime, struct error *err)
{
    if (runtime_of_level(r, REQUEST_COMMAND_LINE, runtime, err) < 0)
        return -1;
    if (*runtime)
        return 0;
    return runtime_of_level(r, REQUEST_ENVIRONMENT, runtime, err);
}

static int check_runtime(const struct request *r, struct error *err)
{
    struct nearest near = NEAREST_INIT;
    const char *ignored;

    if (r->runtime && !request_runtime_known(r->runtime)) {
        for (size_t i = 0; i < array_size(runtimes); i++)
            nearest_offer(&near, r->runtime, runtimes[i]);
        error_usage(err,
                    "unknown runtime '%s'; there are bwrap, podman, docker, native",
                    r->runtime);
        return near.word ? error_hint(err, "did you mean %s?", near.word) : -1;
    }
    return request_runtime(r, &ignored, err);
}

static int check_env(const char *text, struct error *err)
{
    size_t n = strcspn(text, "=");
    bool ok = n > 0 && !isdigit((unsigned char)text[0]);

    for (size_t i = 0; i < n; i++)
        ok = ok && (isalnum((unsigned char)text[i]) || text[i] == '_');
    if (!ok)
        return error_usage(err,
                           "option --env: '%.*s' is not the name of a variable; write "
                           "NAME or NAME=VALUE",
                           (int)n, text);
    return 0;
}

static int check_mount(const char *text, struct error *err)
{
    struct request_mount m;

    if (request_mount_parse(text, &m, err) < 0)
        return error_context(err, "option --mount-path");
    request_mount_release(&m);
    return 0;
}

static int check_lists(const struct request *r, struct error *err)
{
    for (size_t i = 0; i < r->env.count; i++)
        if (check_env(r->env.items[i], err) < 0)
            return -1;
    for (size_t i = 0; i < r->mount_paths.count; i++)
        if (check_mount(r->mount_paths.items[i], err) < 0)
            return -1;
    return 0;
}

static int check_stage(const char *stage, struct error *err)
{
    static const char *const ways[] = {"auto", "shared", "bcast"};

    for (size_t i = 0; i < array_size(ways); i++)
        if (strcmp(stage, ways[i]) == 0)
            return 0;
    return error_usage(err, "option --stage: '%s' is not auto, shared or bcast", stage);
}

int request_validate(const struct request *r, struct error *err)
{
    if (check_runtime(r, err) < 0)
        return -1;
    if (r->network && strcmp(r->network, "none") != 0 &&
        strcmp(r->network, "host") != 0)
        return error_usage(err, "option --network: '%s' is neither none nor host",
                           r->network);
    if (r->gpus && !request_gpus_ok(r->gpus))
        return error_usage(err,
                           "option --gpus: '%s' is neither none nor auto nor a list of "
                           "devices such as 0,1 or nvidia.com/gpu=all",
                           r->gpus);
    if (r->workdir && r->workdir[0] != '/')
        return error_usage(err,
                           "option --workdir: '%s' is not an absolute path; it is a "
                           "directory inside the sandbox",
                           r->workdir);
    if (r->stage && check_stage(r->stage, err) < 0)
        return -1;
    if (r->jobs_origin != REQUEST_UNSET && r->jobs == 0)
        return error_usage(err, "option --jobs: 0 is too few; give 1 or more");
    if (r->verbose && r->quiet && r->verbose_origin == r->quiet_origin)
        return error_usage(err, "options --verbose and --quiet exclude each other");
    return check_lists(r, err);
}
