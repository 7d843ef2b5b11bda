/* One task of a node makes the sandbox, the others wait for it (request/handoff.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "init/join.h"

/* How often one task lets a launcher that dies without an answer be replaced. */
enum { ATTEMPTS = 2, EXIT_LAUNCHER = 125 };

/* A description of its own: locks of the inherited one would be everybody's. */
static int open_own(const struct join *j, struct error *err)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", j->state);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open the step's hand-off file again");
    return fd;
}

static int lock(int fd, short type, struct error *err)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};

    while (fcntl(fd, F_OFD_SETLKW, &whole) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot lock the step's hand-off file");
    return 0;
}

static int read_bytes(int fd, char *data, size_t len, struct error *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, data + done, len - done, (off_t)done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_sys(err, n < 0 ? errno : EIO,
                             "cannot read the step's hand-off file");
        done += (size_t)n;
    }
    return 0;
}

/* Under a lock. */
static int read_state(int fd, struct handoff *h, struct error *err)
{
    _cleanup_free_ char *data = NULL;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot look at the step's hand-off file");
    if (st.st_size < 0 || st.st_size > HANDOFF_MAX)
        return error_fail(err, "the step's hand-off file is broken: its size");
    data = malloc((size_t)st.st_size + 1);
    if (!data)
        return error_oom(err);
    if (read_bytes(fd, data, (size_t)st.st_size, err) < 0)
        return -1;
    handoff_release(h);
    return handoff_decode(data, (size_t)st.st_size, h, err);
}

static int write_at(int fd, const void *data, size_t len, size_t at, struct error *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_sys(err, n < 0 ? errno : ENOSPC,
                             "cannot write the step's hand-off file");
        p += n;
        at += (size_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* For all tasks of the node: the launcher could not answer itself. */
static int write_failure(struct join *j, int fd, const struct error *why,
                         struct error *err)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    _cleanup_buf_ struct buf answer = BUF_INIT;
    unsigned char head[HANDOFF_HEAD];
    struct error text = *why; /* a.error is not const */
    int r;

    a.error = text.text;
    a.exit_code = EXIT_LAUNCHER;
    r = handoff_encode_answer(&j->handoff, HANDOFF_FAILED, &a, &answer, head, err);
    if (r == 0)
        r = write_at(fd, answer.data, answer.len, j->handoff.answer_at, err);
    if (r == 0)
        r = write_at(fd, head, sizeof(head), 0, err);
    return r < 0 ? r : read_state(fd, &j->handoff, err);
}

static int explain_death(const struct join *j, int status, struct error *err)
{
    if (WIFSIGNALED(status))
        error_fail(err, "%s step was killed by signal %d before the sandbox was ready",
                   j->handoff.request.launcher, WTERMSIG(status));
    else
        error_fail(err, "%s step ended with %d and no answer",
                   j->handoff.request.launcher, WEXITSTATUS(status));
    return error_hint(err, "see the lines above, or the node's kernel log when memory "
                           "was short");
}

/* As the maker, with the lock on fd and nothing made so far. */
static int make(struct join *j, int fd, int attempt, struct error *err)
{
    struct error why = ERROR_INIT;
    int status = 0;

    j->maker = true;
    if (join_launch(j, fd, &status, &why) < 0)
        return write_failure(j, fd, &why, err);
    if (read_state(fd, &j->handoff, err) < 0)
        return -1;
    if (j->handoff.phase != HANDOFF_NEW || attempt < ATTEMPTS)
        return 0;
    explain_death(j, status, &why);
    return write_failure(j, fd, &why, err);
}

/* One look: shared first, so that the tasks of a finished node do not queue up. */
static int look(struct join *j, int attempt, struct error *err)
{
    _cleanup_close_ int fd = open_own(j, err);

    if (fd < 0 || lock(fd, F_RDLCK, err) < 0 || read_state(fd, &j->handoff, err) < 0)
        return -1;
    if (j->handoff.phase != HANDOFF_NEW)
        return 0;
    /* Never from one lock to the other: two tasks would wait for each other. */
    if (lock(fd, F_UNLCK, err) < 0 || lock(fd, F_WRLCK, err) < 0 ||
        read_state(fd, &j->handoff, err) < 0)
        return -1;
    return j->handoff.phase == HANDOFF_NEW ? make(j, fd, attempt, err) : 0;
}

int join_settle(struct join *j, struct error *err)
{
    for (int attempt = 1;; attempt++) {
        if (look(j, attempt, err) < 0)
            return -1;
        if (j->handoff.phase != HANDOFF_NEW)
            return 0;
    }
}
