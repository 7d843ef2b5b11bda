#include "runtime/space.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "runtime/stage.h"
#include "runtime/supervise.h"
#include "sys/process.h"
#include "sys/spawn.h"

void space_release(struct space *s)
{
    for (size_t i = 0; i < s->n; i++)
        close(s->fds[i]);
    *s = (struct space)SPACE_INIT;
}

static bool same_file(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

static int open_namespace(pid_t pid, const char *name, struct error *err)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_sys(err, errno, "cannot open the sandbox's namespace %s", path);
    return fd;
}

/* Takes fd unless it is one that this process or the space has already. */
static int add(struct space *s, int fd, int own, int type, struct error *err)
{
    bool known = same_file(fd, own);

    for (size_t i = 0; i < s->n; i++)
        known = known || same_file(fd, s->fds[i]);
    if (known) {
        close(fd);
        return 0;
    }
    if (s->n == SPACE_MAX) {
        close(fd);
        return error_fail(err, "the sandbox has more than %d namespaces", SPACE_MAX);
    }
    s->fds[s->n] = fd;
    s->types[s->n++] = (uint32_t)type;
    return 0;
}

static int add_by_name(struct space *s, pid_t pid, const char *name, int type,
                       struct error *err)
{
    _cleanup_close_ int own = open_namespace(getpid(), name, err);
    int fd = own < 0 ? -1 : open_namespace(pid, name, err);

    return fd < 0 ? -1 : add(s, fd, own, type, err);
}

/* The user namespace in which the others can be entered. */
static int add_owner(struct space *s, pid_t pid, struct error *err)
{
    _cleanup_close_ int own = open_namespace(getpid(), "user", err);
    _cleanup_close_ int mnt = own < 0 ? -1 : open_namespace(pid, "mnt", err);
    int fd;

    if (mnt < 0)
        return -1;
    fd = ioctl(mnt, NS_GET_USERNS);
    if (fd < 0)
        return error_sys(err, errno, "cannot find the owner of the sandbox's mounts");
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return add(s, fd, own, CLONE_NEWUSER, err);
}

static int open_all(struct space *s, pid_t pid, struct error *err)
{
    static const struct {
        const char *name;
        int type;
    } rows[] = {
        {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS}, {"net", CLONE_NEWNET},
        {"cgroup", CLONE_NEWCGROUP}, {"mnt", CLONE_NEWNS},  {"user", CLONE_NEWUSER},
    };

    if (add_owner(s, pid, err) < 0)
        return -1;
    for (size_t i = 0; i < array_size(rows); i++)
        if (add_by_name(s, pid, rows[i].name, rows[i].type, err) < 0)
            return -1;
    return 0;
}

/* What was opened by number belongs to the holder if that lives still. */
int space_capture(struct space *s, pid_t holder, int pidfd, struct error *err)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    if (open_all(s, holder, err) < 0)
        return -1;
    if (poll(&p, 1, 0) != 0)
        return error_fail(err, "the sandbox vanished while it was made");
    return 0;
}

static int capture(struct space *s, pid_t holder, struct error *err)
{
    _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, holder, 0);

    if (pidfd < 0)
        return error_sys(err, errno, "the sandbox vanished while it was made");
    return space_capture(s, holder, pidfd, err);
}

/* The holder's number, once it says that all mounts are there. bwrap's own message is
 * on stderr when it does not come so far. */
static int await_holder(const struct runtime_command *cmd, pid_t *holder,
                        struct error *err)
{
    struct init_message m;
    ssize_t n;

    for (;;) {
        struct pollfd p[] = {{.fd = cmd->status_fd, .events = POLLIN},
                             {.fd = supervise_signal_fd(), .events = POLLIN}};

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return error_sys(err, errno, "cannot wait for the sandbox");
        if (p[1].revents && supervise_pending_signal())
            return error_fail(err, "cancelled while the sandbox was made");
        if (p[0].revents)
            break;
    }
    n = read(cmd->status_fd, &m, sizeof(m));
    if (n == sizeof(m) && m.magic == INIT_PROTOCOL_MAGIC &&
        m.kind == INIT_EXEC_FAILED && m.stage == INIT_STAGE_ATTACH)
        return stage_explain_attach(cmd->stage, m.value, err);
    if (n != sizeof(m) || m.magic != INIT_PROTOCOL_MAGIC || m.kind != INIT_HOLDING) {
        error_fail(err, "the sandbox could not be made");
        return error_hint(err, "bwrap's message above tells why; 'repx-launch doctor' "
                               "checks this node");
    }
    *holder = m.value;
    return 0;
}

/* With nobody reading from the pipe any more the holder ends, and bwrap with it. When
 * something went wrong that is not waited for: bwrap's child may be at a point where it
 * would wait for its parent for ever. */
static void let_go(struct runtime_command *cmd, pid_t pid, bool failed)
{
    int status;

    cleanup_closep(&cmd->status_fd);
    cmd->status_fd = -1;
    if (failed)
        process_kill_children();
    else
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
}

static pid_t start(struct runtime_command *cmd, int *pidfd, struct error *err)
{
    const int ends[] = {cmd->status_write_fd, cmd->info_write_fd};
    _cleanup_free_ struct spawn_fd *fds = calloc(cmd->n_fds + 2, sizeof(*fds));
    struct spawn spawn = SPAWN_INIT;
    pid_t pid;

    if (!fds)
        return error_oom(err);
    for (size_t i = 0; i < cmd->n_fds; i++)
        fds[spawn.n_fds++] = (struct spawn_fd){cmd->fds[i], cmd->fds[i]};
    for (size_t i = 0; i < array_size(ends); i++)
        if (ends[i] >= 0)
            fds[spawn.n_fds++] = (struct spawn_fd){ends[i], ends[i]};
    spawn.program = cmd->program;
    spawn.argv = strv_argv(&cmd->argv);
    spawn.env = strv_argv(&cmd->env);
    spawn.fds = fds;
    spawn.die_with_parent = true;
    spawn.prepare = cmd->stage ? stage_assemble : NULL;
    spawn.prepare_arg = cmd->stage;
    pid = spawn_start(&spawn, pidfd, err);
    if (pid < 0)
        err->class = ERROR_LAUNCHER;
    cleanup_closep(&cmd->status_write_fd);
    cmd->status_write_fd = -1;
    return pid;
}

int space_of_command(const struct runtime_backend *backend, const struct plan *plan,
                     const struct runtime_tools *tools, struct space *out,
                     struct error *err)
{
    _cleanup_(runtime_command_release) struct runtime_command cmd =
        RUNTIME_COMMAND_INIT;
    _cleanup_close_ int pidfd = -1;
    pid_t pid, holder = -1;
    int r;

    if (backend->command(plan, tools, &cmd, err) < 0)
        return -1;
    pid = start(&cmd, &pidfd, err);
    if (pid < 0)
        return -1;
    r = await_holder(&cmd, &holder, err);
    if (r == 0)
        r = capture(out, holder, err);
    let_go(&cmd, pid, r < 0);
    if (r < 0)
        space_release(out);
    return r;
}

static bool has(const struct space *s, uint32_t type)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->types[i] == type)
            return true;
    return false;
}

/* Whatever a runtime calls a success: tasks that enter nothing would be on the host. */
static int check_isolated(const struct space *s, const struct plan *plan,
                          const char *runtime, struct error *err)
{
    static const struct {
        uint32_t type;
        const char *what;
    } rows[] = {{CLONE_NEWNS, "mounts"},
                {CLONE_NEWIPC, "shared memory"},
                {CLONE_NEWNET, "network"}};

    for (size_t i = 0; i < array_size(rows); i++) {
        if (has(s, rows[i].type) ||
            (rows[i].type == CLONE_NEWNET && plan->network == PLAN_NETWORK_HOST))
            continue;
        error_fail(err, "the sandbox that %s has made shares the host's %s", runtime,
                   rows[i].what);
        return error_hint(err, "'repx-launch doctor' checks this node");
    }
    return 0;
}

int space_make(const struct runtime_backend *backend, const struct plan *plan,
               const struct runtime_tools *tools, struct space *out, struct error *err)
{
    if (!backend->space) {
        error_fail(err, "the tasks of a step cannot enter a sandbox of %s",
                   backend->name);
        return error_hint(err,
                          "use --repx-runtime=bwrap, or call repx-launch --%s "
                          "inside the step",
                          backend->name);
    }
    if (backend->space(backend, plan, tools, out, err) < 0)
        return -1;
    if (check_isolated(out, plan, backend->name, err) == 0)
        return 0;
    space_release(out);
    return -1;
}
