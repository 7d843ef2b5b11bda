/* From a task on the host to the user's command in the sandbox. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "init/exec_command.h"
#include "init/join.h"
#include "init/privileges.h"
#include "runtime/init_protocol.h"

extern char **environ;

/* Copies of the descriptors in the socket's one message, which stays there: namespaces,
 * then what only has to live. Returns how many. */
static int peek_descriptors(const struct join *j, int fds[HANDOFF_DESCRIPTORS],
                            struct error *err)
{
    union {
        char bytes[CMSG_SPACE(HANDOFF_DESCRIPTORS * sizeof(int))];
        struct cmsghdr align;
    } control;
    char payload[HANDOFF_MESSAGE];
    struct iovec iov = {payload, sizeof(payload)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *c;
    ssize_t n;

    do {
        n = recvmsg(j->queue, &m, MSG_PEEK | MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_sys(err, errno, "cannot get the sandbox's namespaces");
    c = CMSG_FIRSTHDR(&m);
    if (n != HANDOFF_MESSAGE || (m.msg_flags & MSG_CTRUNC) || !c ||
        c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len < CMSG_LEN(j->handoff.answer.n_namespaces * sizeof(int)))
        return error_fail(err, "the sandbox's namespaces are not what was announced");
    memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    return (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static const char *name_of(uint32_t namespace)
{
    switch (namespace) {
    case CLONE_NEWUSER:
        return "user";
    case CLONE_NEWNS:
        return "mount";
    case CLONE_NEWNET:
        return "network";
    case CLONE_NEWIPC:
        return "ipc";
    case CLONE_NEWUTS:
        return "uts";
    case CLONE_NEWCGROUP:
        return "cgroup";
    default:
        return "unknown";
    }
}

static int enter_namespaces(const struct join *j, struct error *err)
{
    const struct handoff_answer *a = &j->handoff.answer;
    int fds[HANDOFF_DESCRIPTORS];
    int n = peek_descriptors(j, fds, err);

    if (n < 0)
        return -1;
    for (size_t i = 0; i < a->n_namespaces; i++)
        if (setns(fds[i], (int)a->namespaces[i]) < 0)
            return error_sys(err, errno, "cannot enter the sandbox's %s namespace",
                             name_of(a->namespaces[i]));
    for (int i = 0; i < n; i++)
        close(fds[i]);
    return 0;
}

/* Whoever enters a user namespace has every capability in it. */
static int drop_privileges(struct error *err)
{
    /* The bounding set is of no use without CAP_SETPCAP, and no_new_privs follows. */
    if (privileges_drop() < 0)
        return error_sys(err, errno, "cannot drop the capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(err, errno, "cannot set no_new_privs");
    return 0;
}

/* own: where the task was on the host, NULL unknown. The directory it is in afterwards,
 * as the environment is to name it; NULL: err is filled. */
static const char *enter_directory(const struct join *j, const char *own,
                                   struct error *err)
{
    const struct handoff_answer *a = &j->handoff.answer;
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (a->cwd) {
        if (chdir(a->cwd) == 0)
            return a->cwd;
        error_sys(err, errno, "the working directory '%s' in the sandbox", a->cwd);
        error_hint(err, "give one that exists there with --repx-workdir");
        return NULL;
    }
    if (own && chdir(own) == 0)
        return own;
    if (chdir(a->cwd_fallback) < 0) {
        error_sys(err, errno, "the directory '%s' in the sandbox", a->cwd_fallback);
        return NULL;
    }
    if (a->cwd_tell && j->maker) {
        buf_addf(&text,
                 "the working directory '%s' is not visible in the sandbox; the "
                 "command starts in '%s'",
                 own ? own : "(unknown)", a->cwd_fallback);
        join_say(j, buf_str(&text));
    }
    return a->cwd_fallback;
}

static int explain(const char *command, struct exec_failure f, struct error *err)
{
    if (f.errnum == ENOMEM || f.errnum == E2BIG)
        return error_sys(err, f.errnum, "cannot execute '%s'", command);
    if (f.stage == INIT_STAGE_INTERPRETER) {
        error_set(err, ERROR_CANNOT_EXECUTE, 0,
                  "cannot execute '%s' in the sandbox: its interpreter (the program "
                  "behind #!, or the loader of a binary) is not there",
                  command);
        return error_hint(err, "add the interpreter to the image or mount it");
    }
    if (f.errnum == ENOENT || f.errnum == ENOTDIR) {
        error_set(err, ERROR_NOT_FOUND, 0, "command '%s' is not there in the sandbox",
                  command);
        return error_hint(err, "%s",
                          strchr(command, '/')
                              ? "the image must have it, or a mount show it"
                              : "no directory of the image's PATH has it");
    }
    error_set(err, ERROR_CANNOT_EXECUTE, f.errnum, "cannot execute '%s' in the sandbox",
              command);
    if (f.errnum == ENOEXEC)
        return error_hint(err, "it must be a program of this machine's architecture or "
                               "a script that begins with #!");
    return error_hint(err, "it must be a file with execute permission for you");
}

/* Natively the task only gets the launcher's environment and directory. */
static const char *settle_place(const struct join *j, char *own, struct error *err)
{
    const struct handoff_answer *a = &j->handoff.answer;
    const char *before = getcwd(own, PATH_MAX);

    if (a->isolated) {
        if (enter_namespaces(j, err) < 0)
            return NULL;
        before = enter_directory(j, before, err);
        return before && drop_privileges(err) == 0 ? before : NULL;
    }
    if (!a->cwd)
        return before ? before : "/";
    if (chdir(a->cwd) == 0)
        return a->cwd;
    error_sys(err, errno, "the working directory '%s'", a->cwd);
    return NULL;
}

int join_enter(struct join *j, struct error *err)
{
    _cleanup_strv_ struct strv env = STRV_INIT;
    char own[PATH_MAX];
    const char *cwd = settle_place(j, own, err);

    if (!cwd || handoff_environment(&j->handoff.answer, environ, isatty(STDIN_FILENO),
                                    cwd, &env, err) < 0)
        return -1;
    return explain(j->argv[0], exec_command(j->argv, strv_argv(&env)), err);
}
