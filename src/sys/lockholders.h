/* lockholders: which processes hold an flock(2), as /proc/locks tells it. For people
 * only: a process of another pid namespace is not seen, and a lock that was passed on
 * is told under the process that took it. */
#ifndef REPX_SYS_LOCKHOLDERS_H
#define REPX_SYS_LOCKHOLDERS_H

#include <stddef.h>
#include <sys/types.h>

struct error;

struct lockholder {
    pid_t pid;
    uid_t uid; /* (uid_t)-1: it has ended, or cannot be seen */
};

/* The holders of locks on the file behind fd, each process once, without those that
 * wait. *holders is owned by the caller (free). */
int lockholders_find(int fd, struct lockholder **holders, size_t *n, struct error *err);

/* A variable of the environment that a process was started with; owned by the caller,
 * NULL when it has none or it may not be read. */
char *lockholders_env(pid_t pid, const char *name);

#endif
