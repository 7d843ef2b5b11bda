#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/command.h"
#include "cmd/jobarg.h"
#include "launch/run_unit.h"
#include "plan/build.h"
#include "runtime/supervise.h"

static int plan_main(const struct request *req, char *const *env, int *exit_code,
                     struct error *err)
{
    struct job_argument arg = JOB_ARGUMENT_INIT;
    struct launch l = LAUNCH_INIT;
    _cleanup_free_ char *text = NULL;
    int r;

    if (supervise_prepare(err) < 0)
        return -1;
    r = job_argument_init(&arg, req, env, err);
    if (r == 0)
        r = plan_unit(&arg.session, &arg.lab.lab, arg.job, &arg.unit, &l, err);
    if (r == 0) {
        text = req->json ? plan_to_json(&l.plan, err) : plan_to_text(&l.plan, err);
        r = text ? print_text(text, err) : -1;
    }
    launch_release(&l);
    job_argument_release(&arg);
    *exit_code = 0;
    return r;
}

const struct command cmd_plan = {
    .name = "plan",
    .options = FOR_LAUNCH | FOR_LAB | FOR_JOB | FOR_CONFIG | FOR_JSON,
    .synopsis = "JOB [--lab LAB] [--json] [OPTION...]",
    .summary = "What `run JOB` would do: mounts, environment, command",
    .details = "The image is put into the node-local store, because its directories\n"
               "decide how mount points are made; the lab is indexed there as well.\n"
               "Nothing else is written.\n",
    .main = plan_main,
};
