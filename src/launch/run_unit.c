#include "launch/run_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/quote.h"
#include "launch/run_srun.h"
#include "launch/shell.h"
#include "outcome/classify.h"
#include "outcome/markers.h"
#include "outcome/record.h"
#include "sys/atomicfile.h"
#include "sys/fdio.h"
#include "sys/lockfile.h"
#include "sys/pathfd.h"

/* One launch of a unit, from claim to outcome. */
struct attempt {
    struct session *s;
    struct job_unit job;
    struct launch launch;
    struct lockfile lock;
    int repx_fd;
    struct supervise_result result;
    char started_at[32];
    int exit_code;
    bool logged_failure; /* the completion log has this launch as failed already */
};

static void attempt_release(struct attempt *a)
{
    lockfile_release(&a->lock);
    if (a->repx_fd >= 0)
        close(a->repx_fd);
    launch_release(&a->launch);
    job_unit_release(&a->job);
}

/* Everything that can be found wrong before anything is written. */
static int attempt_check(struct attempt *a, struct session *s, const struct lab *lab,
                         const struct lab_job *job, const struct unit *u,
                         struct error *err)
{
    _cleanup_free_ char *what = str_printf("job %s", job->id);

    *a = (struct attempt){
        .s = s, .launch = LAUNCH_INIT, .lock = LOCKFILE_INIT, .repx_fd = -1};
    if (!what)
        return error_oom(err);
    if (job_unit_init(&a->job, s, lab, job, u, err) < 0 ||
        job_unit_check_inputs(&a->job, err) < 0)
        return -1;
    return launch_choose(&a->launch, s, a->job.image, what, err);
}

/* Takes the unit for this launcher alone: two jobs that write one out are both lost
 * (FACTS-REPX B8). */
static int attempt_claim(struct attempt *a, struct error *err)
{
    _cleanup_free_ char *note = str_printf("pid %d on %s", (int)getpid(), a->s->host);

    if (!note)
        return error_oom(err);
    a->repx_fd = job_unit_make_dirs(&a->job, err);
    if (a->repx_fd < 0)
        return -1;
    return job_unit_claim(&a->job, a->repx_fd, note, &a->lock, err);
}

/* A log of this launch alone: what the run before wrote stays in its old file for
 * whoever has it open. */
static int open_log(const struct attempt *a, const char *name, struct error *err)
{
    int fd;

    if (unlinkat(a->repx_fd, name, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove the old %s/%s", a->job.repx, name);
    fd = openat(a->repx_fd, name,
                O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return error_sys(err, errno, "cannot create %s/%s", a->job.repx, name);
    return fd;
}

/* Old results of scatter and step phases are wiped (FACTS-REPX section 7); a simple
 * job's out is left to its script, as RepX does. */
static int wipe_phase_out(const struct attempt *a, struct error *err)
{
    _cleanup_close_ int fd = -1;

    if (a->job.unit.kind != UNIT_SCATTER && a->job.unit.kind != UNIT_STEP)
        return 0;
    fd = job_make_dirs(a->job.base, a->job.out, err);
    return fd < 0 ? -1 : pathfd_empty_dir(fd, err);
}

static int attempt_plan(struct attempt *a, char *const *argv, bool interactive,
                        struct error *err)
{
    struct bindlist binds = BINDLIST_INIT;
    struct launch_spec spec = {.binds = &binds,
                               .argv = argv,
                               .cwd = a->job.out,
                               .path_prefix = a->job.host_tools,
                               .interactive = interactive};
    int r = 0;

    if (a->launch.backend->isolated)
        r = job_unit_binds(&a->job, &binds, err);
    if (r == 0)
        r = launch_plan(&a->launch, a->s, &spec, err);
    bindlist_release(&binds);
    return r;
}

static void log_command(struct attempt *a)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error ignored = ERROR_INIT;

    if (log_get_level() < LOG_LEVEL_VERBOSE)
        return;
    if (launch_command_text(&a->launch, a->s, &text, &ignored) == 0)
        log_debug("%s", buf_str(&text));
}

static void attempt_stopping(void *arg, int sig);

static int attempt_run(struct attempt *a, struct error *err)
{
    _cleanup_close_ int out = -1, errlog = -1;
    struct supervise_options opts = {.stdin_fd = -1,
                                     .cwd = a->job.out,
                                     .grace_ns = a->s->settled.grace * 1000000000ull,
                                     .on_stop = attempt_stopping,
                                     .on_stop_arg = a};

    /* logs and files first: a job cancelled while its image is extracted has them too
     */
    out = open_log(a, "stdout.log", err);
    if (out < 0)
        return -1;
    errlog = open_log(a, "stderr.log", err);
    if (errlog < 0)
        return -1;
    if (job_unit_write(&a->job, err) < 0 || wipe_phase_out(a, err) < 0)
        return -1;
    if (a->s->request->srun) {
        if (run_srun_plan(&a->launch, a->s, &a->job, err) < 0)
            return -1;
    } else if (launch_fetch(&a->launch, a->s, err) < 0 ||
               attempt_plan(a, strv_argv(&a->job.argv), false, err) < 0) {
        return -1;
    }
    log_command(a);
    opts.stdout_fd = out;
    opts.stderr_fd = errlog;
    if (launch_run(&a->launch, a->s, &opts, &a->result, err) < 0)
        return -1;
    a->exit_code = classify_exit_code(a->result.wait_status);
    return 0;
}

/* So far, when it has not ended. */
static uint64_t run_time(const struct supervise_result *res)
{
    if (!res->started)
        return 0;
    return (res->end_ns ? res->end_ns : fdio_monotonic_ns()) - res->start_ns;
}

static int write_record(const struct attempt *a, const struct error *failure,
                        struct error *err)
{
    const struct launch *l = &a->launch;
    const struct supervise_result *res = &a->result;
    _cleanup_free_ char *unit = unit_text(&a->job.unit);
    _cleanup_free_ char *text = NULL;
    char ended_at[32];
    struct record r = {
        .job = a->job.job->id,
        .unit = unit,
        .lab_path = a->job.lab->path,
        .lab_id = a->job.lab->id,
        .image = l->has_image ? &l->image : NULL,
        .rootfs = l->rootfs.path ? &l->rootfs : NULL,
        .plan = l->plan.runtime ? &l->plan : NULL,
        .runtime_version = l->runtime_version,
        .staging = launch_staging(l, a->s),
        .kernel = a->s->kernel,
        .host = a->s->host,
        .user = a->s->user.name,
        .env = a->s->env,
        .started_at = a->started_at,
        .wait_ns = l->rootfs.wait_ns,
        .extract_ns = l->rootfs.extract_ns,
        .setup_ns = l->setup_ns,
        .run_ns = run_time(res),
        .result = res,
        .exit_code = failure ? error_exit_code(failure) : a->exit_code,
        .error = failure ? failure->text : NULL,
    };

    fdio_utc_now(ended_at, sizeof(ended_at));
    r.ended_at = ended_at;
    text = record_json(&r, err);
    if (!text)
        return -1;
    return atomicfile_write(a->repx_fd, "launch.json", text, strlen(text), 0644, false,
                            err);
}

/* The outcome of the run before is not this one's, whatever happens from now on. */
static int attempt_forget(struct attempt *a, struct error *err)
{
    if (markers_clear(a->repx_fd, err) < 0)
        return error_context(err, "%s", a->job.repx);
    if (unlinkat(a->repx_fd, "launch.json", 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove the old %s/launch.json",
                         a->job.repx);
    return 0;
}

/* Record, marker, completion log: in this order, so that whoever sees the marker finds
 * the record. */
static int attempt_outcome(struct attempt *a, const struct error *failure,
                           struct error *err)
{
    bool success = !failure && a->exit_code == 0;
    enum unit_kind kind = a->job.unit.kind;
    struct error ignored = ERROR_INIT;

    if (write_record(a, failure, err) < 0 ||
        markers_write(a->repx_fd, success, err) < 0) {
        /* an empty file may find its place on a full disk */
        markers_write(a->repx_fd, false, &ignored);
        return error_context(err, "cannot write the outcome of job %s to %s",
                             a->job.job->id, a->job.repx);
    }
    /* only the whole job counts there: FACTS-REPX B3 */
    if ((kind != UNIT_SIMPLE && kind != UNIT_GATHER) || (a->logged_failure && !success))
        return 0;
    a->logged_failure = !success;
    return completions_append(a->job.base, a->job.job->id, success, err);
}

/* The job is asked to stop. Slurm kills what is left of a batch job as soon as its
 * script has ended, which may be before the job's grace is over: the outcome is written
 * now as it would be then, and again when the job has ended. */
static void attempt_stopping(void *arg, int sig)
{
    struct error stopped = ERROR_INIT, err = ERROR_INIT;
    struct attempt *a = arg;

    error_fail(&stopped, "asked to stop by SIG%s; how the job ended is not known",
               sigabbrev_np(sig));
    if (attempt_outcome(a, &stopped, &err) < 0)
        log_warn("%s", err.text);
}

static void log_phases(const struct attempt *a)
{
    const struct launch *l = &a->launch;

    log_debug("phases: wait %.3f s, extract %.3f s, set-up %.3f s, run %.3f s",
              (double)l->rootfs.wait_ns / 1e9, (double)l->rootfs.extract_ns / 1e9,
              (double)l->setup_ns / 1e9,
              (double)(a->result.end_ns - a->result.start_ns) / 1e9);
}

static int attempt_all(struct attempt *a, struct error *err)
{
    struct error second = ERROR_INIT;

    if (attempt_claim(a, err) < 0)
        return -1;
    fdio_utc_now(a->started_at, sizeof(a->started_at));
    if (attempt_forget(a, err) < 0)
        return -1;
    if (attempt_run(a, err) < 0) {
        if (attempt_outcome(a, err, &second) < 0)
            log_warn("%s", second.text);
        return -1;
    }
    log_phases(a);
    return attempt_outcome(a, NULL, err);
}

int run_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
             const struct unit *u, int *exit_code, struct error *err)
{
    struct attempt a;
    int r = attempt_check(&a, s, lab, job, u, err);

    if (r == 0)
        r = attempt_all(&a, err);
    *exit_code = a.exit_code;
    attempt_release(&a);
    return r;
}

/* For the person at the shell. */
static void log_own_command(const struct attempt *a)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    quote_shell_argv(&text, strv_argv(&a->job.argv));
    log_info("the job's own command is: %s", buf_str(&text));
}

int debug_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
               const struct unit *u, char *const *argv, int *exit_code,
               struct error *err)
{
    _cleanup_strv_ struct strv shell = STRV_INIT;
    struct supervise_options opts = {.stdin_fd = -1,
                                     .stdout_fd = -1,
                                     .stderr_fd = -1,
                                     .grace_ns = s->settled.grace * 1000000000ull,
                                     .interactive = isatty(STDIN_FILENO) == 1};
    struct attempt a;
    int r = attempt_check(&a, s, lab, job, u, err);

    if (r == 0)
        r = attempt_claim(&a, err);
    if (r == 0)
        r = job_unit_write(&a.job, err);
    if (r == 0)
        r = launch_fetch(&a.launch, s, err);
    if (r == 0 && !argv) {
        r = shell_find(&a.launch, a.job.host_tools, &shell, err);
        argv = strv_argv(&shell);
        log_own_command(&a);
    }
    if (r == 0)
        r = attempt_plan(&a, argv, opts.interactive, err);
    if (r == 0) {
        opts.cwd = a.job.out;
        log_command(&a);
        r = launch_run(&a.launch, s, &opts, &a.result, err);
    }
    *exit_code = r == 0 ? classify_exit_code(a.result.wait_status) : 0;
    attempt_release(&a);
    return r;
}

int plan_unit(struct session *s, const struct lab *lab, const struct lab_job *job,
              const struct unit *u, struct launch *l, struct error *err)
{
    struct attempt a;
    int r = attempt_check(&a, s, lab, job, u, err);

    if (r == 0)
        r = launch_fetch(&a.launch, s, err);
    if (r == 0)
        r = attempt_plan(&a, strv_argv(&a.job.argv), false, err);
    if (r == 0) {
        *l = a.launch;
        a.launch = (struct launch)LAUNCH_INIT;
    }
    attempt_release(&a);
    return r;
}
