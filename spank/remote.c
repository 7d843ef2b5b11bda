/* slurmstepd: what a step with --repx options needs is made before its tasks exist, as
 * root but without touching a path that a user chose; each task then executes
 * repx-step-join in the place of its command, and all work happens in there, as the
 * user.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "request/handoff.h"
#include "request/step_env.h"
#include "spank/plugin.h"

enum { EXIT_LAUNCHER = 125 };

static struct {
    struct error err; /* the first thing that went wrong; told by the task */
    struct courier courier;
    bool sandbox; /* the tasks of this step enter one */
    bool is_script;
    uint32_t local_tasks, forked;
} step = {.err = ERROR_INIT, .courier = COURIER_INIT};

static bool failed(void)
{
    return step.err.class != ERROR_NONE;
}

void remote_init_failed(const struct error *err)
{
    step.err = *err;
}

void remote_take(size_t row, const char *text)
{
    if (!failed())
        options_take(&plugin.options, row, text, &step.err);
}

/* Under --export=NONE or a list, Slurm before 24.05 drops the options of the batch step
 * itself; what it keeps for inner steps is still there. */
static int take_lost_options(char *const *env, struct error *err)
{
    if (plugin.options.any)
        return 0;
    return options_from_env(&plugin.options, OPTIONS_INHERITED, env, err);
}

static char *node_name(void)
{
    const char *name = getenv("SLURMD_NODENAME");
    char host[256] = "";

    if (name && *name)
        return strdup(name);
    if (gethostname(host, sizeof(host) - 1) < 0)
        return NULL;
    host[strcspn(host, ".")] = '\0';
    return strdup(host);
}

static const char *value_of(char *const *env, const char *name)
{
    const char *value = strv_env_get(env, name);

    return value && *value ? value : NULL;
}

/* The tasks of a normal step execute what srun sent; had its plugin not put the join
 * program there, they would run outside of the sandbox. */
static int check_mark(int argc, char *const *argv, char *const *env, struct error *err)
{
    const char *multiprog = value_of(env, STEP_MULTIPROG_VARIABLE);
    const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;

    if (value_of(env, STEP_COMMAND_VARIABLE) && name &&
        strcmp(name + 1, STEP_JOIN_NAME) == 0)
        return 0;
    if (multiprog && argc > 1 && strstr(argv[1], multiprog))
        return 0;
    error_fail(err, "srun did not prepare this step for a sandbox");
    return error_hint(err, "repx.so must be in plugstack.conf also where srun runs");
}

static int fill_request(spank_t sp, struct handoff_request *r, char *const *argv,
                        char *const *env, struct error *err)
{
    const char *gpus = value_of(env, "SLURM_STEP_GPUS");

    r->launcher = strdup(plugin.site.launcher);
    r->config = plugin.site.config ? strdup(plugin.site.config) : NULL;
    r->node = node_name();
    if (step.is_script && argv[0] && argv[0][0] == '/')
        r->batch_script = strdup(argv[0]);
    r->gpus = gpus ? strdup(gpus) : NULL;
    if (!r->launcher || !r->node || (plugin.site.config && !r->config) ||
        (gpus && !r->gpus))
        return error_oom(err);
    request_to_argv(&plugin.request, ~0u, &r->options);
    r->job_id = plugin_number(sp, S_JOB_ID, HANDOFF_NO_STEP);
    r->step_id = plugin_number(sp, S_JOB_STEPID, HANDOFF_NO_STEP);
    r->node_id = plugin_number(sp, S_JOB_NODEID, 0);
    r->n_nodes = plugin_number(sp, S_JOB_NNODES, 1);
    r->n_tasks = plugin_number(sp, S_JOB_TOTAL_TASK_COUNT, 1);
    r->local_tasks = step.local_tasks;
    return strv_check(&r->options, err);
}

static int open_courier(spank_t sp, char *const *argv, char *const *env,
                        struct error *err)
{
    struct handoff_request r = HANDOFF_REQUEST_INIT;
    uid_t uid;
    gid_t gid;
    int rc;

    if (spank_get_item(sp, S_JOB_UID, &uid) != ESPANK_SUCCESS ||
        spank_get_item(sp, S_JOB_GID, &gid) != ESPANK_SUCCESS)
        return error_fail(err, "Slurm does not tell whose step this is");
    step.local_tasks = plugin_number(sp, S_JOB_LOCAL_TASK_COUNT, 1);
    rc = fill_request(sp, &r, argv, env, err);
    if (rc == 0)
        rc = courier_open(&step.courier, &r, plugin.site.join, uid, gid, err);
    handoff_request_release(&r);
    return rc;
}

/* For each repx-launch in the step; what the user's environment says is weaker. */
static int set_defaults(spank_t sp, struct error *err)
{
    _cleanup_strv_ struct strv env = STRV_INIT;

    request_to_env(&plugin.request, &env);
    if (strv_check(&env, err) < 0)
        return -1;
    if (options_without_image(&plugin.options))
        spank_unsetenv(sp, "REPX_IMAGE");
    for (size_t i = 0; i < env.count; i++) {
        char *eq = strchr(env.items[i], '=');
        spank_err_t rc;

        *eq = '\0';
        rc = spank_setenv(sp, env.items[i], eq + 1, 1);
        if (rc != ESPANK_SUCCESS)
            return error_fail(err, "Slurm does not take the variable %s: %s",
                              env.items[i], spank_strerror(rc));
    }
    return 0;
}

static int prepare(spank_t sp, uint32_t number, char *const *env, struct error *err)
{
    char **argv = NULL;
    int argc = 0;

    if (plugin.site_error.class != ERROR_NONE) {
        *err = plugin.site_error;
        return -1;
    }
    if (options_request(&plugin.options, &plugin.request, err) < 0)
        return -1;
    step.is_script = plugin_step_is_script(number);
    if (!options_sandbox(&plugin.request) ||
        (step.is_script && !plugin.request.batch_script))
        return set_defaults(sp, err);
    step.sandbox = true;
    if (spank_get_item(sp, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1)
        return error_fail(err, "Slurm does not tell the step's command");
    if (number != STEP_BATCH && check_mark(argc, argv, env, err) < 0)
        return -1;
    if (site_check(&plugin.site, err) < 0)
        return -1;
    return open_courier(sp, argv, env, err);
}

void remote_prepare(spank_t sp)
{
    uint32_t number = plugin_number(sp, S_JOB_STEPID, 0);
    char **env = NULL;

    if (failed() || (!plugin.options.any && number != STEP_BATCH))
        return;
    if (spank_get_item(sp, S_JOB_ENV, &env) != ESPANK_SUCCESS || !env) {
        if (plugin.options.any)
            error_fail(&step.err, "Slurm does not tell the step's environment");
        return;
    }
    if (number == STEP_BATCH && take_lost_options(env, &step.err) < 0)
        return;
    if (plugin.options.any)
        prepare(sp, number, env, &step.err);
}

void remote_forked(void)
{
    if (step.sandbox && ++step.forked == step.local_tasks)
        courier_keep_queue(&step.courier);
}

/* The join program's path, or the descriptor when the task does not see it there,
 * because the job has a file system view of its own (job_container/tmpfs). */
static int join_path(char path[64], const char **join, struct error *err)
{
    struct stat here, there;

    *join = plugin.site.join;
    if (fstat(step.courier.join, &there) < 0)
        return error_fail(err, "the join program is gone");
    if (stat(*join, &here) == 0 && here.st_dev == there.st_dev &&
        here.st_ino == there.st_ino)
        return 0;
    snprintf(path, 64, "/proc/self/fd/%d", step.courier.join);
    *join = path;
    return 0;
}

/* The batch script: no srun has marked its command. Slurm has a call for that
 * since 23.11; before, the vector that it shows is the task's own. */
static int mark_script(spank_t sp, char **argv, const char *join, struct error *err)
{
    spank_err_t (*prepend)(spank_t, int, const char *[]) = NULL;
    const char *word[] = {join, NULL};
    void *symbol = dlsym(RTLD_DEFAULT, "spank_prepend_task_argv");

    /* In front of the command, the variable has to be empty. */
    if (spank_setenv(sp, STEP_COMMAND_VARIABLE, symbol ? "" : argv[0], 1) !=
        ESPANK_SUCCESS)
        return error_fail(err, "Slurm does not take the variable %s",
                          STEP_COMMAND_VARIABLE);
    if (!symbol) {
        argv[0] = plugin_slurm_copy(join);
        return argv[0] ? 0 : error_oom(err);
    }
    memcpy(&prepend, &symbol, sizeof(prepend));
    if (prepend(sp, 1, word) != ESPANK_SUCCESS)
        return error_fail(err, "Slurm does not take %s as the command", STEP_JOIN_NAME);
    return 0;
}

static int swap_command(spank_t sp, struct error *err)
{
    char fds[COURIER_TEXT], path[64];
    const char *join;
    char **argv = NULL, **env = NULL;
    bool multiprog;
    int argc = 0;

    if (spank_get_item(sp, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1 ||
        spank_get_item(sp, S_JOB_ENV, &env) != ESPANK_SUCCESS || !env)
        return error_fail(err, "Slurm does not tell the task's command");
    /* now: spank_setenv may move the environment away from here */
    multiprog = value_of(env, STEP_MULTIPROG_VARIABLE) != NULL;
    if (courier_pass(&step.courier, fds, err) < 0 || join_path(path, &join, err) < 0)
        return -1;
    if (spank_setenv(sp, STEP_FDS_VARIABLE, fds, 1) != ESPANK_SUCCESS)
        return error_fail(err, "Slurm does not take the variable %s",
                          STEP_FDS_VARIABLE);
    if (plugin_number(sp, S_JOB_STEPID, 0) == STEP_BATCH)
        return mark_script(sp, argv, join, err);
    if (multiprog)
        return 0; /* the file has it, at srun's path */
    argv[0] = plugin_slurm_copy(join);
    return argv[0] ? 0 : error_oom(err);
}

void remote_task(spank_t sp)
{
    if (!failed() && step.sandbox)
        swap_command(sp, &step.err);
    if (!failed())
        return;
    /* It is the node's error: once is enough, and srun tells how all tasks ended. */
    if (plugin_number(sp, S_TASK_ID, 0) == 0)
        plugin_report(&step.err);
    /* Neither a return value, which an optional plugin may have ignored, nor exit(),
     * which would run slurmstepd's own exit handlers. */
    _exit(EXIT_LAUNCHER);
}

void remote_end(void)
{
    courier_close(&step.courier);
}
