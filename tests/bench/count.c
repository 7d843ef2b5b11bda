/* count: stands where Slurm's plugin expects repx-launch, and counts what that reads.
 *
 *   count COMMAND ARG...
 *
 * Runs the repx-launch beside itself with the same arguments, environment and
 * descriptors, ends as it ended, and appends a line to the file `reads` beside itself,
 * which must be there:
 *
 *   COMMAND OWN_BYTES ALL_BYTES
 *
 * What its main thread, and what it with all threads and the children it waited for,
 * got from read calls, from the page cache too.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "count: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* The path of a file beside this program. */
static void beside(const char *name, char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size);
    char *slash;

    if (n < 0 || (size_t)n >= size)
        fail("/proc/self/exe");
    path[n] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash + 1 - path) + strlen(name) >= size) {
        errno = ENAMETOOLONG;
        fail(name);
    }
    strncpy(slash + 1, name, size - (size_t)(slash + 1 - path));
}

/* Runs the program once `go` has ended. */
static pid_t start(const char *program, char **argv, int go[2])
{
    pid_t pid;
    char byte;

    if (pipe2(go, O_CLOEXEC) < 0)
        fail("pipe");
    pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0) {
        close(go[0]);
        return pid;
    }
    close(go[1]);
    if (read(go[0], &byte, 1) < 0)
        fail("pipe");
    execve(program, argv, environ);
    fail(program);
}

/* Opened before the program can end: the files of one that has ended are root's. */
static int open_io(pid_t pid, bool thread)
{
    char path[64];
    int fd;

    if (thread)
        snprintf(path, sizeof(path), "/proc/%d/task/%d/io", (int)pid, (int)pid);
    else
        snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    return fd;
}

/* Of a process that has ended and was not waited for yet. */
static long long bytes_read(int fd)
{
    char text[512];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n < 0)
        fail("what was read");
    text[n] = '\0';
    if (strncmp(text, "rchar: ", 7) != 0) {
        errno = EPROTO;
        fail("what was read");
    }
    return strtoll(text + 7, NULL, 10);
}

/* One write, so that lines of several nodes do not mix. */
static void record(const char *command, long long own, long long all)
{
    char path[PATH_MAX], line[128];
    int fd, length;

    beside("reads", path, sizeof(path));
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        fail(path);
    length = snprintf(line, sizeof(line), "%.32s %lld %lld\n", command, own, all);
    if (write(fd, line, (size_t)length) != length)
        fail(path);
    close(fd);
}

int main(int argc, char **argv)
{
    char program[PATH_MAX];
    int go[2], own, all, status;
    siginfo_t info;
    pid_t pid;

    beside("repx-launch", program, sizeof(program));
    pid = start(program, argv, go);
    all = open_io(pid, false);
    own = open_io(pid, true);
    close(go[1]);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
        fail("wait");
    record(argc > 1 ? argv[1] : "-", bytes_read(own), bytes_read(all));
    if (waitpid(pid, &status, 0) < 0)
        fail("wait");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
