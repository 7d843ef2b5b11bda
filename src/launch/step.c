#include "launch/step.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "launch/imagearg.h"
#include "launch/staged.h"
#include "launch/step_internal.h"
#include "runtime/supervise.h"
#include "sys/pathfd.h"

/* A step of many nodes extracts on all of them at once: the first one tells how it
 * goes, the others when they take strangely long. */
#define SECOND_NS 1000000000ull
#define FIRST_NODE_AFTER_NS (SECOND_NS * 3 / 2)
#define FIRST_NODE_EVERY_NS (SECOND_NS * 5)
#define OTHERS_AFTER_NS (SECOND_NS * 15)
#define OTHERS_EVERY_NS (SECOND_NS * 30)

int step_cancelled(void *arg)
{
    const struct step *st = arg;
    struct pollfd p = {.fd = st->fds->hold};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void step_release(struct step *st)
{
    if (st->staged)
        staged_remove(st->staged, st->session.user.uid);
    space_release(&st->space);
    bindlist_release(&st->binds);
    launch_release(&st->launch);
    step_release_job(st);
    if (st->have_session)
        session_release(&st->session);
    request_release(&st->request);
    handoff_release(&st->handoff);
    free(st->path_prefix);
    strv_release(&st->own_env);
}

static int read_state(struct step *st, struct error *err)
{
    _cleanup_buf_ struct buf file = BUF_INIT;

    if (lseek(st->fds->state, 0, SEEK_SET) < 0)
        return error_sys(err, errno, "cannot read the step's hand-off file");
    if (pathfd_read_all(st->fds->state, HANDOFF_MAX, &file, err) < 0)
        return -1;
    return handoff_decode(file.data, file.len, &st->handoff, err);
}

/* Slurm tells each task of its own GPUs; the sandbox has those of all. */
static int take_gpus(struct step *st, struct error *err)
{
    if (!st->handoff.request.gpus)
        return 0;
    strv_extend(&st->own_env, st->env);
    strv_env_set(&st->own_env, "SLURM_STEP_GPUS", st->handoff.request.gpus);
    st->env = strv_argv(&st->own_env);
    return strv_check(&st->own_env, err);
}

static int read_request(struct step *st, struct error *err)
{
    const unsigned commands = FOR_STEP | FOR_EXEC | FOR_LAUNCH | FOR_LAB | FOR_CONFIG;
    struct request *r = &st->request;

    if (request_read_env(r, st->env, err) < 0 ||
        request_parse(r, commands | FOR_ALL, strv_argv(&st->handoff.request.options),
                      err) < 0)
        return -1;
    if (r->quiet)
        log_set_level(LOG_LEVEL_QUIET);
    else if (r->verbose > 0)
        log_set_level(LOG_LEVEL_VERBOSE);
    return 0;
}

static int open_session(struct step *st, struct error *err)
{
    bool first = st->handoff.request.node_id == 0;

    st->watch = (struct meter_watch){
        .cancelled = step_cancelled,
        .arg = st,
        .lines_after_ns = first ? FIRST_NODE_AFTER_NS : OTHERS_AFTER_NS,
        .lines_every_ns = first ? FIRST_NODE_EVERY_NS : OTHERS_EVERY_NS,
    };
    st->have_session = true;
    if (session_init_site(&st->session, &st->request, st->env,
                          st->handoff.request.config, err) < 0)
        return -1;
    st->session.watch = &st->watch;
    return 0;
}

/* Only runtimes whose sandbox a task can enter come into question; one that the user
 * has named is refused, not replaced. */
static int choose_runtimes(struct step *st, struct error *err)
{
    struct strv *all = &st->session.settled.runtimes;
    struct strv usable = STRV_INIT;

    for (size_t i = 0; i < all->count; i++) {
        const struct runtime_backend *b = runtime_find(all->items[i]);

        if (b && (b->space || !b->isolated))
            strv_add(&usable, all->items[i]);
    }
    if (usable.count == 0 && !usable.failed && all->count > 0) {
        error_fail(err, "the tasks of a step cannot enter a sandbox of %s",
                   all->items[0]);
        return error_hint(err,
                          "use --repx-runtime=bwrap, or call repx-launch with --%s "
                          "inside the step",
                          all->items[0]);
    }
    strv_release(all);
    *all = usable;
    return strv_check(all, err);
}

/* An image that is named counts, also for a job. */
static int choose(struct step *st, struct error *err)
{
    const char *what = st->has_job ? "the step's job" : "the step";
    _cleanup_free_ char *path = NULL;

    if (st->request.image &&
        image_argument(&st->session, st->request.image, &path, err) < 0)
        return -1;
    if (!path && !st->has_job)
        return error_usage(err, "the step's options name no image; give --repx-image");
    st->staged = staged_find(st->env, st->session.user.uid);
    return launch_choose_staged(&st->launch, &st->session, path ? path : st->job.image,
                                st->staged, what, err);
}

/* What is told of the request is the same on all nodes: the first one says it. */
static void say_once(const struct step *st)
{
    if (st->handoff.request.node_id != 0 && st->request.verbose == 0)
        log_set_level(LOG_LEVEL_QUIET);
}

static int fetch(struct step *st, struct error *err)
{
    const struct image_rootfs *root = &st->launch.rootfs;
    enum log_level level = log_get_level();
    int r;

    if (!st->request.quiet && level < LOG_LEVEL_NORMAL)
        log_set_level(LOG_LEVEL_NORMAL);
    r = launch_fetch(&st->launch, &st->session, err);
    log_set_level(level);
    if (r < 0)
        return r;
    log_debug("the image %s: waited %.3f s, extracted %.3f s",
              root->extracted ? "was extracted" : "was there",
              (double)root->wait_ns / 1e9, (double)root->extract_ns / 1e9);
    return 0;
}

static int make_sandbox(struct step *st, const char *path_prefix, struct error *err)
{
    struct launch_spec spec = {
        .binds = &st->binds, .joined = true, .path_prefix = path_prefix};

    if (step_add_binds(st, err) < 0 || step_add_job_binds(st, err) < 0 ||
        fetch(st, err) < 0 || launch_plan(&st->launch, &st->session, &spec, err) < 0)
        return -1;
    return space_make(st->launch.backend, &st->launch.plan, &st->session.tools,
                      &st->space, err);
}

static int make(struct step *st, struct error *err)
{
    if (supervise_prepare(err) < 0 || take_gpus(st, err) < 0 ||
        read_request(st, err) < 0)
        return -1;
    say_once(st);
    if (open_session(st, err) < 0 || choose_runtimes(st, err) < 0 ||
        step_open_job(st, err) < 0 || choose(st, err) < 0)
        return -1;
    step_advise_mpi(st);
    if (step_prepare_job(st, err) < 0)
        return -1;
    st->path_prefix = step_path_prefix(st, err);
    if (st->has_job && !st->path_prefix)
        return -1;
    return st->launch.backend->isolated ? make_sandbox(st, st->path_prefix, err) : 0;
}

static int answer_failure(struct step *st, const struct error *why, struct error *err)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    int r;

    /* whatever was wrong: the task's own command did not run (CONTRACT section 6) */
    a.exit_code = 125;
    a.error = strdup(why->text);
    r = a.error ? step_write(st, HANDOFF_FAILED, &a, err) : error_oom(err);
    handoff_answer_release(&a);
    return r;
}

static int answer_success(struct step *st, struct error *err)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    int r = step_answer(st, &a, err);

    if (r == 0)
        r = step_send(st, err);
    if (r == 0)
        r = step_write(st, HANDOFF_READY, &a, err);
    handoff_answer_release(&a);
    return r;
}

int step_make(const struct step_fds *fds, char *const *env, struct error *err)
{
    _cleanup_(step_release) struct step st = {.fds = fds,
                                              .env = env,
                                              .launch = LAUNCH_INIT,
                                              .space = SPACE_INIT,
                                              .lab = OPENED_LAB_INIT,
                                              .claim = LOCKFILE_INIT};
    struct error why = ERROR_INIT;
    char *name;
    int r;

    if (read_state(&st, err) < 0)
        return -1;
    if (st.handoff.phase != HANDOFF_NEW)
        return 0;
    name = str_printf("repx: %s", st.handoff.request.node);
    log_set_name(name ? name : "repx");
    free(name);
    r = make(&st, &why);
    if (r == 0)
        r = answer_success(&st, &why);
    if (r == 0)
        return 0;
    /* A task that waits still makes it anew. */
    if (step_cancelled(&st) || supervise_pending_signal())
        return 1;
    return answer_failure(&st, &why, err);
}
