#include "launch/run_srun.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/job_protocol.h"
#include "sys/process.h"

static int srun_argv(const struct session *s, const struct job_unit *job,
                     struct strv *argv, struct error *err)
{
    char *srun = process_find_program("srun", strv_env_get(s->env, "PATH"));

    if (!srun) {
        error_fail(err, "srun is not in PATH, which --srun needs");
        return error_hint(err, "leave --srun out, or run it where Slurm is installed");
    }
    strv_take(argv, srun);
    strv_addf(argv, "--repx-lab=%s", job->lab->path);
    strv_addf(argv, "--repx-job=%s", job->job->id);
    strv_add(argv, JOB_PROGRAM);
    return strv_check(argv, err);
}

/* The options go to the step as variables, which `repx-launch step` reads. */
static int add_variables(struct strv *env, const struct session *s,
                         const struct job_unit *job, struct error *err)
{
    _cleanup_strv_ struct strv options = STRV_INIT;
    _cleanup_free_ char *unit = unit_text(&job->unit);

    if (!unit)
        return error_oom(err);
    request_to_env(s->request, &options);
    for (size_t i = 0; i < options.count; i++) {
        char *eq = strchr(options.items[i], '=');

        *eq = '\0';
        strv_env_set(env, options.items[i], eq + 1);
    }
    if (job->job->scatter_gather)
        strv_env_set(env, "REPX_UNIT", unit);
    strv_env_set(env, JOB_CLAIMED_VARIABLE, "yes");
    return strv_check(&options, err) < 0 ? -1 : strv_check(env, err);
}

int run_srun_plan(struct launch *l, struct session *s, const struct job_unit *job,
                  struct error *err)
{
    const struct runtime_backend *inside = l->backend;
    const struct bindlist none = BINDLIST_INIT;
    _cleanup_strv_ struct strv argv = STRV_INIT;
    struct launch_spec spec = {.binds = &none, .cwd = job->out};
    int r;

    if (srun_argv(s, job, &argv, err) < 0)
        return -1;
    spec.argv = strv_argv(&argv);
    l->backend = runtime_find("native"); /* srun itself */
    r = launch_plan(l, s, &spec, err);
    if (r == 0)
        r = add_variables(&l->plan.env, s, job, err);
    if (r < 0)
        return r;
    /* the record says what the tasks are in */
    l->plan.network = s->settled.network_host || !inside->isolated ? PLAN_NETWORK_HOST
                                                                   : PLAN_NETWORK_NONE;
    if (inside->version)
        l->runtime_version = inside->version(&s->tools);
    free(l->plan.runtime);
    l->plan.runtime = strdup(inside->name);
    return l->plan.runtime ? 0 : error_oom(err);
}
