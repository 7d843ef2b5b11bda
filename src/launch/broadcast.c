#include "launch/broadcast.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "image/pack.h"
#include "launch/imagearg.h"
#include "launch/step_internal.h"
#include "sys/fdio.h"
#include "sys/netfs.h"
#include "sys/pathfd.h"
#include "sys/process.h"
#include "sys/spawn.h"

enum { PACKED_FD = 9 }; /* in sbcast */

struct work {
    const struct broadcast *b;
    struct step step; /* session, and the job of --repx-job */
    struct image image;
    bool have_store; /* where srun runs there may be no place for one */
    int packed;      /* the archive of a directory, -1 */
    char *source;    /* the file to send, as sbcast sees it */
    char *dest;      /* its name on the nodes */
    bool forced;     /* bcast: what stands in the way is an error */
};

static void work_release(struct work *w)
{
    cleanup_closep(&w->packed);
    image_release(&w->image);
    step_release_job(&w->step);
    session_release(&w->step.session);
    free(w->source);
    free(w->dest);
}

static int open_image(struct work *w, char *const *env, struct error *err)
{
    struct step *st = &w->step;
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *path = NULL;

    if (session_init_site(&st->session, &st->request, env, w->b->config, err) < 0 ||
        step_open_job(st, err) < 0)
        return -1;
    if (st->request.image &&
        image_argument(&st->session, st->request.image, &path, err) < 0)
        return -1;
    if (!path && !(st->has_job && st->job.image))
        return 1;
    w->have_store = session_open_store(&st->session, &ignored) == 0;
    return image_open_cached(&w->image, path ? path : st->job.image,
                             w->have_store ? &st->session.store : NULL, err);
}

/* Why the image is not broadcast, NULL: it is. Where srun runs is a node of the job as
 * a rule, so what its store has the others have as well. */
static const char *reason_against(struct work *w)
{
    const struct session *s = &w->step.session;
    struct error ignored = ERROR_INIT;

    if (w->image.kind == IMAGE_ROOTFS_DIR)
        return "a directory is used in place";
    if (s->config.policy.allowed_images.value.count > 0 &&
        resolve_image_allowed(&s->config, NULL, w->image.id.hex, &ignored) < 0)
        return "the site allows images by their path";
    if (w->forced)
        return NULL;
    if (w->have_store && image_is_there(&w->image, &w->step.session.store))
        return "it is in this node's store";
    return netfs_name(w->image.fd) ? NULL : "it is not on a network file system";
}

/* A file without a name: sbcast reads it through its descriptor, and nothing is left
 * of it, however this ends. */
static int make_file(struct work *w, struct error *err)
{
    const char *tmp = strv_env_get(w->step.env, "TMPDIR");
    _cleanup_free_ char *name = NULL;

    if (w->have_store)
        name = str_printf("%s/tmp/image.XXXXXX", w->step.session.store.path);
    else
        name = str_printf("%s/repx-image.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!name)
        return error_oom(err);
    w->packed = mkostemp(name, O_CLOEXEC);
    if (w->packed < 0)
        return error_sys(err, errno, "cannot make the temporary file %s", name);
    if (unlink(name) < 0)
        return error_sys(err, errno, "cannot remove the temporary file %s", name);
    return 0;
}

/* An archive is sent as it is, a directory is packed into one first. */
static int make_source(struct work *w, struct error *err)
{
    if (w->image.kind != IMAGE_DOCKER_DIR && w->image.kind != IMAGE_OCI_DIR) {
        w->source = strdup(w->image.path);
        return w->source ? 0 : error_oom(err);
    }
    if (make_file(w, err) < 0 || image_pack(&w->image, w->packed, err) < 0)
        return -1;
    w->source = str_printf("/proc/self/fd/%d", PACKED_FD);
    return w->source ? 0 : error_oom(err);
}

/* A name that nobody can have made before: sbcast makes the file, and does not take one
 * that is there. */
static int make_dest(struct work *w, struct error *err)
{
    uint64_t number;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return error_sys(err, errno, "cannot get random bytes");
    w->dest = str_printf(
        "%s/" BROADCAST_PREFIX "-%u-%s-%016llx.tar", w->step.session.settled.stage_path,
        (unsigned)w->step.session.user.uid, w->b->step, (unsigned long long)number);
    return w->dest ? 0 : error_oom(err);
}

/* Waits for sbcast to end, and ends it when it takes too long. 1: it took too long. */
static int wait_for(pid_t pid, int pidfd, uint64_t seconds, int *status,
                    struct error *err)
{
    uint64_t end = fdio_monotonic_ns() + seconds * 1000000000u;
    bool late = false;
    int rc;

    do {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        uint64_t now = fdio_monotonic_ns();
        uint64_t left = now < end ? (end - now) / 1000000u + 1 : 0;

        rc = poll(&p, 1, left > 60000 ? 60000 : (int)left);
        late = rc == 0 && fdio_monotonic_ns() >= end;
    } while (!late && (rc == 0 || (rc < 0 && errno == EINTR)));
    if (late)
        process_signal(pidfd, SIGKILL);
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot wait for sbcast");
    return late;
}

static int explain(const struct work *w, int rc, int output, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error ignored = ERROR_INIT;
    const char *line;

    if (rc == 1)
        error_fail(err,
                   "broadcasting the image to %u nodes took longer than "
                   "stage_timeout, %llu s",
                   w->b->nodes,
                   (unsigned long long)w->step.session.settled.stage_timeout);
    else if (lseek(output, 0, SEEK_SET) == 0 &&
             pathfd_read_all(output, 4096, &text, &ignored) == 0 && text.len > 0) {
        line = buf_str(&text);
        error_fail(err,
                   "sbcast could not put the image on the step's nodes as %s: %.*s",
                   w->dest, (int)strcspn(line, "\n"), line);
    } else {
        error_fail(err, "sbcast could not put the image on the step's nodes as %s",
                   w->dest);
    }
    return error_hint(err,
                      "--repx-stage=shared lets each node read it; stage_path says "
                      "where copies are put");
}

static int send(struct work *w, char *const *env, struct error *err)
{
    const char *path = strv_env_get(env, "PATH");
    _cleanup_free_ char *program =
        process_find_program("sbcast", path ? path : "/usr/bin:/bin");
    _cleanup_close_ int output = fdio_memfd("repx-sbcast", "", 0, err), pidfd = -1;
    struct spawn_fd fds[] = {
        {output, STDOUT_FILENO}, {output, STDERR_FILENO}, {w->packed, PACKED_FD}};
    _cleanup_strv_ struct strv argv = STRV_INIT;
    struct spawn s = SPAWN_INIT;
    int status = 0, rc;
    pid_t pid;

    if (output < 0)
        return -1;
    if (!program)
        return error_fail(err, "sbcast, which broadcasts the image, is not in PATH; "
                               "--repx-stage=shared lets each node read it");
    strv_addl(&argv, "sbcast", "-j", w->b->step, w->source, w->dest, NULL);
    if (strv_check(&argv, err) < 0)
        return -1;
    s.program = program;
    s.argv = strv_argv(&argv);
    s.env = env;
    s.fds = fds;
    s.n_fds = w->packed >= 0 ? 3 : 2;
    s.die_with_parent = true;
    pid = spawn_start(&s, &pidfd, err);
    if (pid < 0)
        return -1;
    rc = wait_for(pid, pidfd, w->step.session.settled.stage_timeout, &status, err);
    if (rc < 0 || (rc == 0 && status == 0))
        return rc;
    return explain(w, rc, output, err);
}

static int tell_size(const struct work *w, struct error *err)
{
    struct stat st;

    if (fstat(w->packed >= 0 ? w->packed : w->image.fd, &st) < 0)
        return error_sys(err, errno, "cannot stat the image");
    log_info("%u nodes: broadcasting the image, %.1f MB", w->b->nodes,
             (double)st.st_size / 1e6);
    return 0;
}

static int broadcast(struct work *w, char *const *env, struct buf *staged,
                     struct error *err)
{
    const char *selector, *against;
    int rc = open_image(w, env, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    against = reason_against(w);
    if (against && w->forced) {
        error_fail(err, "image %s cannot be broadcast: %s", w->image.reference,
                   against);
        return error_hint(err, "use --repx-stage=shared");
    }
    if (against) {
        log_debug("the image is not broadcast: %s", against);
        return 0;
    }
    if (make_source(w, err) < 0 || make_dest(w, err) < 0 || tell_size(w, err) < 0 ||
        send(w, env, err) < 0)
        return -1;
    selector = w->image.selector;
    buf_adds(staged, w->dest);
    if (selector && selector[0])
        buf_addf(staged, "%c%s", strncmp(selector, "sha256:", 7) == 0 ? '@' : ':',
                 selector);
    return buf_check(staged, err);
}

int broadcast_image(const struct broadcast *b, const struct request *req,
                    char *const *env, struct buf *staged, struct error *err)
{
    _cleanup_(work_release) struct work w = {
        .b = b,
        .step = {.env = env,
                 .request = *req,
                 .lab = OPENED_LAB_INIT,
                 .claim = LOCKFILE_INIT},
        .image = IMAGE_INIT,
        .packed = -1,
        .forced = req->stage && strcmp(req->stage, "bcast") == 0};

    if (req->stage && strcmp(req->stage, "shared") == 0)
        return 0;
    return broadcast(&w, env, staged, err);
}
