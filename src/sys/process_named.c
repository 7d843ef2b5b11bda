/* Processes that are known by what they were started for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "sys/process.h"

/* For the end of a process that has been killed. One in an uninterruptible sleep is
 * left to the kernel. */
#define END_MS 10000
/* What was ended may have started another in the meantime, but not for ever. */
#define ROUNDS_MAX 100

/* "cmdline" or "environ": NUL-terminated texts. */
static bool read_texts(const char *pid, const char *file, struct buf *out)
{
    char path[320], chunk[4096];
    _cleanup_close_ int fd = -1;
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(out, chunk, (size_t)n);
    return n == 0 && !out->failed && out->len > 0;
}

static bool is_called(const char *program, const char *const *names)
{
    const char *slash = strrchr(program, '/');

    for (; *names; names++)
        if (strcmp(slash ? slash + 1 : program, *names) == 0)
            return true;
    return false;
}

/* Names and arguments are anybody's to choose; root must not be led to kill for others.
 */
static bool is_ours(const char *pid)
{
    char path[320];
    struct stat st;

    snprintf(path, sizeof(path), "/proc/%s", pid);
    return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static bool is_meant(const char *pid, const char *const *names, const char *text)
{
    _cleanup_buf_ struct buf texts = BUF_INIT;

    if (!is_ours(pid) || !read_texts(pid, "cmdline", &texts) ||
        !is_called(buf_str(&texts), names))
        return false;
    /* the environment of somebody else's cannot be read, and is none of ours */
    read_texts(pid, "environ", &texts);
    return memmem(texts.data, texts.len, text, strlen(text)) != NULL;
}

/* The descriptor is opened first: what is read then is this process's, or of one that
 * has ended, which the signal does not reach. */
static bool kill_if_meant(const char *pid, const char *const *names, const char *text)
{
    struct pollfd p = {.events = POLLIN};
    _cleanup_close_ int fd = -1;
    uint64_t number;
    int r;

    if (!parse_u64(pid, &number) || (pid_t)number == getpid())
        return false;
    fd = (int)syscall(SYS_pidfd_open, (pid_t)number, 0);
    if (fd < 0 || !is_meant(pid, names, text) ||
        syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
        return false;
    p.fd = fd;
    do {
        r = poll(&p, 1, END_MS);
    } while (r < 0 && errno == EINTR);
    return r > 0;
}

/* How many have been killed, and are dead. */
static unsigned kill_round(const char *const *names, const char *text)
{
    _cleanup_closedir_ DIR *dir = opendir("/proc");
    unsigned killed = 0;
    struct dirent *e;

    while (dir && (e = readdir(dir)))
        killed += kill_if_meant(e->d_name, names, text);
    return killed;
}

void process_kill_named(const char *const *names, const char *text)
{
    /* the dead are not seen again: they have no arguments any more */
    for (int round = 0; round < ROUNDS_MAX && kill_round(names, text) > 0; round++)
        ;
}
