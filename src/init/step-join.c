/* repx-step-join: what each task of a sandboxed step executes first, started by
 * slurmstepd in the place of the user's command, which it becomes: it waits until the
 * sandbox of this node and step is there, enters it, and executes the command.
 *
 * Static, like repx-sandbox-init, and small: with N tasks it runs N times. Killed at
 * any moment it leaves nothing, for its descriptors and its child go with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/quote.h"
#include "init/join.h"
#include "request/step_env.h"

void join_say(const struct join *j, const char *text)
{
    _cleanup_buf_ struct buf line = BUF_INIT;
    const char *node = j->handoff.request.node;
    ssize_t n;

    if (!node)
        node = getenv("SLURMD_NODENAME");
    buf_adds(&line, "repx: ");
    if (node) {
        quote_printable(&line, node);
        buf_adds(&line, ": ");
    }
    quote_printable(&line, text);
    buf_addc(&line, '\n');
    /* In one piece, as other tasks write there, too. */
    do {
        n = write(STDERR_FILENO, buf_str(&line), line.len);
    } while (n < 0 && errno == EINTR);
}

static int read_descriptors(struct join *j, const char *text, struct error *err)
{
    int fds[STEP_FDS], used = 0;

    if (sscanf(text, "%d:%d:%d:%d:%d:%d%n", &fds[0], &fds[1], &fds[2], &fds[3], &fds[4],
               &fds[5], &used) != STEP_FDS ||
        text[used] != '\0')
        return error_fail(err, "%s=%s is no list of descriptors", STEP_FDS_VARIABLE,
                          text);
    for (size_t i = 0; i < STEP_FDS; i++)
        if (fds[i] < 3 || fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0)
            return error_fail(err, "the step's descriptor %d is not there", fds[i]);
    j->state = fds[0];
    j->hold[0] = fds[1];
    j->hold[1] = fds[2];
    j->send = fds[3];
    j->queue = fds[4];
    return 0;
}

static int not_prepared(struct error *err)
{
    error_fail(err, "this node did not prepare the step's sandbox");
    return error_hint(err, "the plugin repx.so has to be in plugstack.conf of every "
                           "node; ask the administrator");
}

/* The command stands in a variable, in the place of which argv[0] is this program, or
 * behind it in argv. None of our variables reaches it. */
static int read_task(struct join *j, char **argv, struct error *err)
{
    const char *fds = getenv(STEP_FDS_VARIABLE);
    const char *command = getenv(STEP_COMMAND_VARIABLE);

    if (!fds)
        return not_prepared(err);
    if (read_descriptors(j, fds, err) < 0)
        return -1;
    j->argv = argv;
    if (command && *command) {
        argv[0] = strdup(command);
        if (!argv[0])
            return error_oom(err);
    } else {
        j->argv++;
    }
    unsetenv(STEP_FDS_VARIABLE);
    unsetenv(STEP_COMMAND_VARIABLE);
    unsetenv(STEP_MULTIPROG_VARIABLE);
    if (!j->argv[0])
        return error_usage(err, "no command");
    return 0;
}

/* The sentence of a failure that is the node's is told once, by the task that had the
 * sandbox made; srun tells how all of them ended. */
static int fail(const struct join *j)
{
    uint32_t code = j->handoff.answer.exit_code;

    if (j->maker)
        join_say(j, j->handoff.answer.error);
    return code > 0 && code < 256 ? (int)code : 125;
}

int main(int argc, char **argv)
{
    struct join j = {.state = -1, .hold = {-1, -1}, .send = -1, .queue = -1};
    struct error err = ERROR_INIT;

    prctl(PR_SET_NAME, "repx-join");
    if (argc < 1)
        return 125;
    if (read_task(&j, argv, &err) == 0 && join_settle(&j, &err) == 0) {
        if (j.handoff.phase == HANDOFF_FAILED)
            return fail(&j);
        unsetenv(STEP_STAGED_VARIABLE); /* the launcher's, which has read it */
        join_enter(&j, &err);
    }
    join_say(&j, err.text);
    return err.class == ERROR_USAGE ? 125 : error_exit_code(&err);
}
