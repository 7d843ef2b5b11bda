#include "launch/graph.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "launch/run_unit.h"
#include "outcome/classify.h"
#include "runtime/supervise.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"
#include "sys/process.h"
#include "sys/spawn.h"

static void graph_release(struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        free(g->nodes[i].deps);
        if (g->nodes[i].pidfd >= 0)
            close(g->nodes[i].pidfd);
    }
    free(g->nodes);
    free(g->job_node);
}

/* One launcher at a time speaks, until one of the run has succeeded: its warnings
 * (impure, native) are those of the run, its image is there then, and two that draw
 * their progress on one terminal are unreadable. With -v all do. */
static bool may_speak(const struct graph *g, const struct graph_node *n)
{
    const struct lab_job *jobs = g->lab->jobs;

    if (log_get_level() >= LOG_LEVEL_VERBOSE)
        return true;
    for (size_t i = 0; i < g->n; i++) {
        const struct graph_node *other = &g->nodes[i];

        if (!other->speaks)
            continue;
        if (other->state == NODE_RUNNING ||
            (other->state == NODE_DONE && jobs[other->job].run == jobs[n->job].run))
            return false;
    }
    return true;
}

struct node_work {
    struct graph *graph;
    struct graph_node *node;
};

/* The child's side: a launcher of its own for this unit, with the lab as it was read.
 */
static int node_main(void *arg)
{
    const struct node_work *work = arg;
    const struct graph_node *n = work->node;
    const struct graph *g = work->graph;
    const struct unit u = {.kind = n->kind, .branch = n->branch, .step = n->step};
    struct error err = ERROR_INIT;
    int exit_code = 0;

    if (!n->speaks)
        log_set_level(LOG_LEVEL_QUIET);
    if (supervise_prepare(&err) == 0 &&
        run_unit(g->s, g->lab, &g->lab->jobs[n->job], &u, &exit_code, &err) == 0)
        return exit_code;
    log_error(&err, "");
    return error_exit_code(&err);
}

static int node_start(struct graph *g, struct graph_node *n, struct error *err)
{
    struct node_work work = {.graph = g, .node = n};
    struct spawn spawn = SPAWN_INIT;
    _cleanup_close_ int null = -1;
    struct spawn_fd stdin_null = {.to = 0};
    sigset_t blocked;

    n->speaks = may_speak(g, n);
    /* several jobs cannot share a terminal's input, and in a group of their own reading
     * it would stop them */
    null = pathfd_open_user("/dev/null", O_RDONLY, err);
    if (null < 0)
        return -1;
    stdin_null.from = null;
    /* a group of its own: the terminal's Ctrl-C comes through this process, once */
    spawn.new_group = true;
    spawn.die_with_parent = true;
    supervise_signal_set(&blocked);
    spawn.blocked = &blocked;
    spawn.fds = &stdin_null;
    spawn.n_fds = 1;
    n->pid = spawn_fork(&spawn, node_main, &work, &n->pidfd, err);
    if (n->pid < 0)
        return -1;
    n->state = NODE_RUNNING;
    n->start_ns = fdio_monotonic_ns();
    g->running++;
    return 0;
}

static void node_name(const struct graph *g, const struct graph_node *n,
                      struct buf *out)
{
    const struct unit u = {.kind = n->kind, .branch = n->branch, .step = n->step};
    _cleanup_free_ char *unit = unit_text(&u);

    buf_addf(out, "job %s", g->lab->jobs[n->job].id);
    if (n->kind != UNIT_SIMPLE && unit)
        buf_addf(out, " (%s)", unit);
}

/* A unit that the launcher could not start has said why, and has no logs of its own. */
static bool has_log(const struct graph_node *n, const char *repx_dir)
{
    _cleanup_free_ char *path = str_printf("%s/stderr.log", repx_dir);

    return (n->exit_code < 125 || n->exit_code > 127) && path &&
           access(path, F_OK) == 0;
}

static void log_end(const struct graph *g, const struct graph_node *n, int wait_status)
{
    const struct unit u = {.kind = n->kind, .branch = n->branch, .step = n->step};
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *dir =
        layout_repx_dir(g->s->settled.base_path, g->lab->jobs[n->job].id, &u);
    double seconds = (double)(fdio_monotonic_ns() - n->start_ns) / 1e9;

    node_name(g, n, &text);
    buf_addc(&text, ' ');
    classify_describe(wait_status, &text);
    buf_addf(&text, " after %.1f s", seconds);
    if (wait_status != 0 && dir && has_log(n, dir))
        buf_addf(&text, "; its logs are in %s", dir);
    log_info("%s", buf_str(&text));
}

static int node_end(struct graph *g, size_t index, struct error *err)
{
    struct graph_node *n = &g->nodes[index];
    int wait_status;

    while (waitpid(n->pid, &wait_status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot wait for the launcher of job %s",
                             g->lab->jobs[n->job].id);
    close(n->pidfd);
    n->pidfd = -1;
    g->running--;
    n->exit_code = classify_exit_code(wait_status);
    log_end(g, n, wait_status);
    n->state = n->exit_code == 0 ? NODE_DONE : NODE_FAILED;
    if (n->state == NODE_DONE)
        return n->kind == UNIT_SCATTER ? graph_expand(g, index, false, err) : 0;
    if (g->first_failure == 0)
        g->first_failure = n->exit_code;
    if (n->kind == UNIT_SCATTER || n->kind == UNIT_STEP)
        return graph_fail_composite(g, n->job, err);
    return 0;
}

/* WAITING nodes whose producers failed are BLOCKED; the others may start. */
static bool node_ready(struct graph *g, struct graph_node *n)
{
    bool ready = n->kind != UNIT_GATHER || n->expanded;

    for (size_t i = 0; i < n->n_deps; i++) {
        enum node_state dep = g->nodes[n->deps[i]].state;

        if (dep == NODE_FAILED || dep == NODE_BLOCKED) {
            n->state = NODE_BLOCKED;
            return false;
        }
        ready &= dep == NODE_DONE;
    }
    return ready;
}

static int start_ready(struct graph *g, size_t parallel, struct error *err)
{
    for (size_t i = 0; i < g->n && g->running < parallel; i++) {
        struct graph_node *n = &g->nodes[i];

        if (n->state == NODE_WAITING && node_ready(g, n) && node_start(g, n, err) < 0)
            return -1;
    }
    return 0;
}

/* Waits until a unit has ended or a signal is there; returns how many have ended. */
static int wait_some(struct graph *g, struct error *err)
{
    _cleanup_free_ struct pollfd *fds = calloc(g->running + 1, sizeof(*fds));
    _cleanup_free_ size_t *index = calloc(g->running + 1, sizeof(*index));
    size_t n = 0;

    if (!fds || !index)
        return error_oom(err);
    for (size_t i = 0; i < g->n; i++) {
        if (g->nodes[i].state == NODE_RUNNING) {
            fds[n] = (struct pollfd){.fd = g->nodes[i].pidfd, .events = POLLIN};
            index[n++] = i;
        }
    }
    fds[n] = (struct pollfd){.fd = supervise_signal_fd(), .events = POLLIN};
    if (poll(fds, n + 1, -1) < 0 && errno != EINTR)
        return error_sys(err, errno, "cannot wait for jobs");
    for (size_t i = 0; i < n; i++)
        if (fds[i].revents && node_end(g, index[i], err) < 0)
            return -1;
    return 0;
}

static void send_to_all(const struct graph *g, int sig)
{
    for (size_t i = 0; i < g->n; i++)
        if (g->nodes[i].state == NODE_RUNNING)
            process_signal(g->nodes[i].pidfd, sig);
}

/* Slurm's early warning (SIGUSR1) is for the jobs as well; only what asks to stop keeps
 * others from starting. */
static void pass_signals(struct graph *g)
{
    uint64_t bits = supervise_read_signals(false);
    int stop = supervise_stop_signal();

    if (stop && !g->signalled) {
        g->signalled = stop;
        log_info("stopping %zu running jobs (SIG%s)", g->running, sigabbrev_np(stop));
    }
    for (int sig = 1; sig < 64; sig++)
        if (sig != SIGCHLD && (bits & (UINT64_C(1) << sig)))
            send_to_all(g, sig);
}

static int graph_loop(struct graph *g, size_t parallel, struct error *err)
{
    for (;;) {
        pass_signals(g);
        if (!g->signalled && start_ready(g, parallel, err) < 0)
            return -1;
        if (g->running == 0)
            return 0;
        if (wait_some(g, err) < 0)
            return -1;
    }
}

/* How the job of its last node stands: a phase that failed is the job's failure. */
static enum node_state job_state(const struct graph *g, const struct graph_node *last)
{
    if (last->kind != UNIT_GATHER || last->state == NODE_DONE)
        return last->state;
    for (size_t i = 0; i < g->n; i++)
        if (g->nodes[i].job == last->job && g->nodes[i].state == NODE_FAILED)
            return NODE_FAILED;
    return last->state;
}

/* Counts jobs, not their phases: the user knows how many jobs the run has. */
static void log_summary(const struct graph *g)
{
    size_t done = 0, skipped = 0, failed = 0, not_run = 0;

    for (size_t i = 0; i < g->n; i++) {
        const struct graph_node *n = &g->nodes[i];
        enum node_state state;

        if (n->kind != UNIT_SIMPLE && n->kind != UNIT_GATHER)
            continue;
        state = job_state(g, n);
        done += state == NODE_DONE && !n->skipped;
        skipped += state == NODE_DONE && n->skipped;
        failed += state == NODE_FAILED;
        not_run += state == NODE_BLOCKED || state == NODE_WAITING;
        if (state == NODE_BLOCKED)
            log_info("job %s was not run: what it needs has failed",
                     g->lab->jobs[n->job].id);
    }
    log_info("%zu succeeded, %zu failed, %zu not run, %zu had succeeded before", done,
             failed, not_run, skipped);
}

static int graph_init(struct graph *g, struct session *s, const struct lab *lab,
                      const size_t *order, size_t n, const struct graph_options *opts,
                      struct error *err)
{
    *g = (struct graph){.s = s, .lab = lab};
    g->job_node = calloc(lab->n_jobs + 1, sizeof(*g->job_node));
    if (!g->job_node)
        return error_oom(err);
    memset(g->job_node, 0xff, lab->n_jobs * sizeof(*g->job_node));
    for (size_t i = 0; i < n; i++)
        if (graph_add_job(g, order[i],
                          opts->rerun || (opts->named && opts->named[order[i]]),
                          err) < 0)
            return -1;
    return 0;
}

int graph_run(struct session *s, const struct lab *lab, const size_t *order, size_t n,
              const struct graph_options *opts, int *exit_code, struct error *err)
{
    struct graph g;
    int r = graph_init(&g, s, lab, order, n, opts, err);

    if (r == 0)
        r = graph_loop(&g, opts->parallel, err);
    if (r == 0) {
        log_summary(&g);
        *exit_code = g.signalled ? 128 + g.signalled : g.first_failure;
    } else if (g.running > 0) {
        process_kill_children();
    }
    graph_release(&g);
    return r;
}
