#include "outcome/classify.h"

#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"

int classify_exit_code(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return 128 + WTERMSIG(wait_status);
    return WEXITSTATUS(wait_status);
}

void classify_describe(int wait_status, struct buf *out)
{
    const char *abbrev;

    if (WIFSIGNALED(wait_status)) {
        abbrev = sigabbrev_np(WTERMSIG(wait_status));
        buf_addf(out, "was killed by signal %d", WTERMSIG(wait_status));
        if (abbrev)
            buf_addf(out, " (SIG%s)", abbrev);
    } else if (WEXITSTATUS(wait_status) == 0) {
        buf_adds(out, "succeeded");
    } else {
        buf_addf(out, "failed with exit code %d", WEXITSTATUS(wait_status));
    }
}
