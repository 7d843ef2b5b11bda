/* The part of supervision that only engines have: init connects from a container that
 * is no child of ours, and the engine's program outlives the job for a moment. */
#include <fcntl.h>
#include <signal.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/supervise_internal.h"
#include "sys/process.h"

/* To take a container down; much more than any healthy engine needs. */
#define ENGINE_END_S 60

void supervise_accept(struct supervision *s)
{
    const struct supervise_options *o = s->opts;
    const int stdio[] = {
        o->stdin_fd >= 0 ? o->stdin_fd : STDIN_FILENO,
        o->stdout_fd >= 0 ? o->stdout_fd : STDOUT_FILENO,
        o->stderr_fd >= 0 ? o->stderr_fd : STDERR_FILENO,
    };
    struct error err = ERROR_INIT;
    int r = engine_accept(s->cmd->engine, stdio, o->interactive, &s->cmd->status_fd,
                          &s->init_pidfd, &err);

    if (r == 0 && fcntl(s->cmd->status_fd, F_SETFL, O_NONBLOCK) < 0)
        r = error_fail(&err, "cannot prepare the container's connection");
    /* the connection is closed: init ends, and with it the container */
    if (r < 0)
        s->lost = err;
}

void supervise_bound_engine(struct supervision *s)
{
    struct itimerspec t = {.it_value = {.tv_sec = ENGINE_END_S}};

    timerfd_settime(s->timer_fd, 0, &t, NULL);
}

void supervise_abandon_engine(struct supervision *s)
{
    process_signal(s->pidfd, SIGKILL);
}
