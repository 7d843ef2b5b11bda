/* spawn: the only place that forks. An absolute program, the complete argv, environment
 * and descriptor table; nothing leaks that is not named here. When exec fails the
 * parent learns stage and errno.
 */
#ifndef REPX_SYS_SPAWN_H
#define REPX_SYS_SPAWN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct buf;
struct error;

struct spawn_fd {
    int from; /* descriptor of the parent */
    int to;   /* its number in the child */
};

/* program_fd stays open in the child when it is a script, because its interpreter opens
 * /proc/self/fd. die_with_parent counts from the thread that calls spawn_start. An
 * ignored SIGCHLD is set back to default in the parent: the child could not be waited
 * for. */
struct spawn {
    const char *program; /* absolute path, or NULL when program_fd is used */
    int program_fd;      /* used by execveat when program is NULL */
    char *const *argv;
    char *const *env;
    const char *cwd;            /* NULL: inherited */
    const struct spawn_fd *fds; /* everything above 2 that is not listed is closed */
    size_t n_fds;               /* 0, 1 and 2 are inherited unless listed */
    bool new_session;           /* setsid() */
    bool new_group;             /* setpgid(0, 0) */
    bool die_with_parent;       /* PR_SET_PDEATHSIG SIGKILL */
    bool no_new_privs;
    /* Signals blocked in the child; all dispositions are reset to default. NULL: none.
     */
    const sigset_t *blocked;
    /* The last step before exec, in the child, with all signals blocked; NULL: none.
     * The caller sleeps meanwhile and its memory is the child's: what is allocated is
     * freed again, and what is changed may be changed for the caller. It writes to no
     * descriptor of stdio, and opens close-on-exec. A failure travels to the caller of
     * spawn_start as it is. Only for a process with one thread. */
    int (*prepare)(void *arg, struct error *err);
    void *prepare_arg;
};

#define SPAWN_INIT                                                                     \
    {                                                                                  \
        .program_fd = -1                                                               \
    }

/* Starts the child. The caller sleeps until the exec, with all signals blocked. Returns
 * its pid and sets *pidfd (owned by the caller, close-on-exec). When exec fails: -1,
 * err->errnum is exec's errno, and err->class is ERROR_NOT_FOUND for ENOENT of the
 * program itself, ERROR_CANNOT_EXECUTE for other exec failures (a missing interpreter
 * is named), ERROR_LAUNCHER for earlier stages. */
pid_t spawn_start(const struct spawn *s, int *pidfd, struct error *err);

/* A child that goes on in this program, for work that shares what the parent has read:
 * it gets the group, session, signals and the descriptors 0, 1 and 2 of s (program,
 * argv, env and cwd are not looked at), keeps all others, runs body(arg) and exits with
 * what that returns. Only for a process with one thread. */
pid_t spawn_fork(const struct spawn *s, int (*body)(void *arg), void *arg, int *pidfd,
                 struct error *err);

/* Starts, waits, and returns the wait status (as waitpid gives it); output of fd 1 and
 * 2 is appended to out when out is not NULL (at most 64 KiB are kept). -1 with err. */
int spawn_run(const struct spawn *s, struct buf *out, struct error *err);

#endif
