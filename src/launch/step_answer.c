/* The answer of `repx-launch step`: what the tasks read, and what the queue keeps. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/step_internal.h"
#include "sys/fdio.h"
#include "sys/fdpass.h"

static int copy_string(char **out, const char *s, struct error *err)
{
    *out = strdup(s);
    return *out ? 0 : error_oom(err);
}

static int answer_cwd(const struct step *st, struct handoff_answer *a,
                      struct error *err)
{
    const char *image = st->launch.image.workdir;

    if (st->request.workdir)
        return copy_string(&a->cwd, st->request.workdir, err);
    if (st->has_job)
        return copy_string(&a->cwd, st->job.out, err);
    if (!a->isolated)
        return 0;
    /* once a step is enough */
    a->cwd_tell = !image && !st->request.quiet && st->handoff.request.node_id == 0;
    return copy_string(&a->cwd_fallback, image ? image : "/", err);
}

/* A task's PATH is the launcher's: only what differs between tasks is not known here.
 */
static void add_native_path(const struct step *st, struct strv *env)
{
    const char *path = strv_env_get(st->env, "PATH");

    strv_addf(env, "PATH=%s%s%s", st->path_prefix, path ? ":" : "", path ? path : "");
}

int step_answer(const struct step *st, struct handoff_answer *a, struct error *err)
{
    const struct settled *settled = &st->session.settled;

    a->isolated = st->launch.backend->isolated;
    for (size_t i = 0; i < st->space.n; i++)
        a->namespaces[a->n_namespaces++] = st->space.types[i];
    strv_extend(&a->env_set, strv_argv(&settled->env_set));
    if (a->isolated) {
        strv_extend(&a->env, strv_argv(&st->launch.plan.env));
        strv_extend(&a->pass, strv_argv(&settled->env_pass));
    } else if (st->path_prefix) {
        add_native_path(st, &a->env);
    }
    step_add_job_env(st, &a->env);
    return answer_cwd(st, a, err);
}

/* What a maker that died has left there must not be taken for ours. */
static void empty_queue(int queue)
{
    char payload[HANDOFF_MESSAGE];

    while (recv(queue, payload, sizeof(payload), MSG_DONTWAIT) >= 0 || errno == EINTR)
        ;
}

/* The kernel counts what a user has on the way in all sockets together against the
 * sender's limit; a node may have many steps. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int send_fds(int socket, const int *fds, size_t n, struct error *err)
{
    char payload[HANDOFF_MESSAGE] = {0};

    if (fdpass_send(socket, payload, sizeof(payload), fds, n, MSG_DONTWAIT) == 0)
        return 0;
    error_sys(err, errno, "cannot hand the sandbox to the tasks of the step");
    if (errno == ETOOMANYREFS)
        error_hint(err, "your steps on this node hold too many sandboxes at once; "
                        "raise the hard limit of open files (ulimit -Hn)");
    return -1;
}

int step_send(struct step *st, struct error *err)
{
    struct launch *l = &st->launch;
    const int kept[] = {l->rootfs.lockfd, l->farm.owner.fd, st->lab.tree.lockfd,
                        st->claim.fd};
    int fds[HANDOFF_DESCRIPTORS];
    size_t n = 0;

    empty_queue(st->fds->queue);
    for (size_t i = 0; i < st->space.n; i++)
        fds[n++] = st->space.fds[i];
    for (size_t i = 0; i < array_size(kept); i++)
        if (kept[i] >= 0)
            fds[n++] = kept[i];
    if (n == 0)
        return 0;
    raise_limit();
    if (send_fds(st->fds->send, fds, n, err) < 0)
        return -1;
    /* The tasks use it now; its lock goes with the queue, and then it is swept. */
    lockfile_release(&l->farm.owner);
    cleanup_closep(&l->farm.fd);
    l->farm = (struct store_tmp)STORE_TMP_INIT;
    return 0;
}

int step_write(const struct step *st, enum handoff_phase phase,
               const struct handoff_answer *a, struct error *err)
{
    _cleanup_buf_ struct buf answer = BUF_INIT;
    unsigned char head[HANDOFF_HEAD];

    if (handoff_encode_answer(&st->handoff, phase, a, &answer, head, err) < 0)
        return -1;
    if (fdio_pwrite_all(st->fds->state, answer.data, answer.len, st->handoff.answer_at,
                        err) < 0 ||
        fdio_pwrite_all(st->fds->state, head, sizeof(head), 0, err) < 0)
        return error_context(err, "the step's hand-off file");
    return 0;
}
