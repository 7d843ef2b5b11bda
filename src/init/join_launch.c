/* The one launcher of a node and step, as a child of the task that is first. It ends
 * before the task becomes the user's command, which therefore gets no strange child;
 * and when the task is killed, so is the launcher. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "init/join.h"

extern char **environ;

/* The places of request/handoff.h, then the pipe for the errno of exec. */
enum { REPORT_FD = HANDOFF_FD_QUEUE + 1, SPARE_FD = 32, N_FDS = 5 };

static int place_descriptors(const struct join *j, int locked, int report)
{
    const int from[N_FDS] = {locked, j->hold[0], j->send, j->queue, report};
    int spare[N_FDS];

    /* First out of the way: a source may lie where another one has to go. */
    for (int i = 0; i < N_FDS; i++) {
        spare[i] = fcntl(from[i], F_DUPFD, SPARE_FD);
        if (spare[i] < 0)
            return -1;
    }
    for (int i = 0; i < N_FDS; i++)
        if (dup2(spare[i], HANDOFF_FD_STATE + i) < 0)
            return -1;
    if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return (int)syscall(SYS_close_range, (unsigned)REPORT_FD + 1, ~0U, 0U);
}

/* Its input is not the user's, and what it says is no output of the command. */
static int place_stdio(void)
{
    int null = open("/dev/null", O_RDWR);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return -1;
    return 0;
}

static _Noreturn void become_launcher(const struct join *j, int locked, int report)
{
    char *const argv[] = {(char[]){"repx-launch"}, (char[]){"step"}, NULL};
    int errnum;

    if (setsid() >= 0 && place_stdio() == 0 &&
        place_descriptors(j, locked, report) == 0) {
        report = REPORT_FD;
        execve(j->handoff.request.launcher, argv, environ);
    }
    errnum = errno;
    /* Nobody reads it when the task itself is gone. */
    if (write(report, &errnum, sizeof(errnum)) != sizeof(errnum))
        _exit(1);
    _exit(0);
}

static int wait_for(pid_t pid, int *status, struct error *err)
{
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return error_sys(err, errno, "cannot wait for the launcher");
    return 0;
}

int join_launch(const struct join *j, int locked, int *status, struct error *err)
{
    int report[2], errnum = 0;
    pid_t pid;
    ssize_t n;

    if (pipe2(report, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make a pipe");
    pid = fork();
    if (pid == 0)
        become_launcher(j, locked, report[1]);
    close(report[1]);
    if (pid < 0) {
        error_sys(err, errno, "cannot start another process");
        close(report[0]);
        return -1;
    }
    do {
        n = read(report[0], &errnum, sizeof(errnum));
    } while (n < 0 && errno == EINTR);
    close(report[0]);
    if (wait_for(pid, status, err) < 0)
        return -1;
    if (n == sizeof(errnum))
        return error_sys(err, errnum, "cannot execute %s", j->handoff.request.launcher);
    return 0;
}
