#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/command.h"
#include "cmd/jobarg.h"
#include "launch/run_unit.h"
#include "runtime/supervise.h"

static int debug_main(const struct request *req, char *const *env, int *exit_code,
                      struct error *err)
{
    _cleanup_strv_ struct strv argv = STRV_INIT;
    struct job_argument arg = JOB_ARGUMENT_INIT;
    int r;

    if (supervise_prepare(err) < 0)
        return -1;
    for (size_t i = req->command_at; req->has_command && i < req->args.count; i++)
        strv_add(&argv, req->args.items[i]);
    if (strv_check(&argv, err) < 0)
        return -1;
    r = job_argument_init(&arg, req, env, err);
    if (r == 0)
        r = debug_unit(&arg.session, &arg.lab.lab, arg.job, &arg.unit,
                       argv.count ? strv_argv(&argv) : NULL, exit_code, err);
    job_argument_release(&arg);
    return r;
}

const struct command cmd_debug_run = {
    .name = "debug-run",
    .options = FOR_LAUNCH | FOR_LAB | FOR_JOB | FOR_CONFIG,
    .synopsis = "JOB [--lab LAB] [OPTION...] [-- CMD ARG...]",
    .summary = "A shell in exactly the job's environment",
    .details =
        "The same image, mounts, environment, network and working directory as\n"
        "`run JOB`, with CMD or a shell instead of the job's script, on this\n"
        "terminal. No markers and no logs are written. An image without a shell gets\n"
        "the one of the lab's host-tools. The job's own command is:\n"
        "  repx-launch plan JOB\n",
    .main = debug_main,
};
