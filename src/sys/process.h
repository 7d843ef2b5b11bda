/* process: what /proc and the kernel know about this process, user and node. */
#ifndef REPX_SYS_PROCESS_H
#define REPX_SYS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct buf;
struct error;
struct strv;

/* The calling user as the name service knows it; falls back to "uid<N>" and "/". The
 * strings are owned by the struct. */
struct process_user {
    uid_t uid;
    gid_t gid;
    char *name;
    char *group;
    char *home;
};

int process_user_init(struct process_user *u, struct error *err);
void process_user_release(struct process_user *u);

/* The name of any user, NULL when it is not known. Owned by the caller. */
char *process_user_name(uid_t uid);

/* "6.1.0-18-amd64", "node17" ("" when unknown), owned by the caller. */
char *process_kernel_release(void);
char *process_hostname(void);
/* /proc/sys/kernel/random/boot_id, for per-boot caches. Owned by the caller; ""
 * unknown. */
char *process_boot_id(void);

/* An executable of this name: an absolute path as it is, otherwise the first regular
 * executable file on the list of directories ("a:b:c", absolute entries only). Owned by
 * the caller, NULL when there is none. */
char *process_find_program(const char *name, const char *path_list);

/* The directory of this executable. Owned by the caller. */
char *process_self_dir(struct error *err);

/* The absolute path of this executable. Owned by the caller. */
char *process_self_program(struct error *err);

/* Sends a signal through a pidfd; a process that has ended is no error. */
void process_signal(int pidfd, int sig);

/* Kills every child of this process (and, as it is a subreaper, what is reparented to
 * it) and reaps until none is left. */
void process_kill_children(void);

/* Kills the processes that this user may kill, whose program is called one of names
 * (without directories; NULL ends them) and whose arguments or environment mention
 * text, which must be such that nobody else's do. When it returns there is none, also
 * of those that they have started meanwhile. */
void process_kill_named(const char *const *names, const char *text);

#endif
