#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "cmd/command.h"
#include "launch/step.h"
#include "request/handoff.h"

/* Called by hand there is nothing behind these numbers. */
static int check_descriptors(struct error *err)
{
    for (int fd = HANDOFF_FD_STATE; fd <= HANDOFF_FD_QUEUE; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
            error_usage(err, "step is called by Slurm's plugin only");
            return error_hint(err, "srun --repx-image=IMAGE CMD runs a step in one");
        }
    return 0;
}

static int step_main(const struct request *req, char *const *env, int *exit_code,
                     struct error *err)
{
    const struct step_fds fds = {.state = HANDOFF_FD_STATE,
                                 .hold = HANDOFF_FD_HOLD,
                                 .send = HANDOFF_FD_SEND,
                                 .queue = HANDOFF_FD_QUEUE};
    int r;

    (void)req;
    if (check_descriptors(err) < 0)
        return -1;
    r = step_make(&fds, env, err);
    *exit_code = r == 1 ? 125 : 0;
    return r < 0 ? -1 : 0;
}

const struct command cmd_step = {
    .name = "step",
    .options = 0, /* the request comes with the hand-off */
    .synopsis = "",
    .summary = "Make the sandbox of a Slurm step; called by the plugin's join program",
    .main = step_main,
};
