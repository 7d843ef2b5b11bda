/* What bwrap and repx-sandbox-init tell, and what it means. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/engine.h"
#include "runtime/stage.h"
#include "runtime/supervise_internal.h"
#include "sys/fdio.h"

/* bwrap's information is some 300 bytes; more than this is not bwrap. */
#define INFO_MAX 4096

/* The one member that matters, without a JSON reader: bwrap prints it as
 * "child-pid": N, on a line. The text counts once its closing brace is there. */
pid_t supervise_parse_child_pid(const char *text)
{
    static const char key[] = "\"child-pid\":";
    const char *p = strstr(text, key);
    long pid = 0;

    if (!p || !strchr(p, '}'))
        return 0;
    p += sizeof(key) - 1;
    p += strspn(p, " ");
    if (*p < '1' || *p > '9')
        return 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        pid = pid * 10 + (*p - '0');
        if (pid > 1 << 22) /* PID_MAX_LIMIT */
            return 0;
    }
    p += strspn(p, " \n");
    return *p == ',' || *p == '}' ? (pid_t)pid : 0;
}

/* bwrap is alive and has not reaped its child when it writes the number, and pids are
 * handed out in turn: it cannot be another process's by now. */
void supervise_read_info(struct supervision *s)
{
    char chunk[512];
    ssize_t n = read(s->cmd->info_fd, chunk, sizeof(chunk));
    pid_t pid;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n > 0)
        buf_add(&s->info, chunk, (size_t)n);
    if (n > 0 && s->info.len < INFO_MAX && !strchr(buf_str(&s->info), '}'))
        return;
    pid = supervise_parse_child_pid(buf_str(&s->info));
    if (pid > 0)
        s->init_pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    close(steal_fd(&s->cmd->info_fd));
}

static struct timeval timeval_of(int64_t us)
{
    return (struct timeval){.tv_sec = us / 1000000, .tv_usec = us % 1000000};
}

static void take_message(struct supervision *s, const struct init_message *m)
{
    struct supervise_result *r = s->result;

    switch ((enum init_message_kind)m->kind) {
    case INIT_STARTED:
        r->started = true;
        r->start_ns = fdio_monotonic_ns();
        break;
    case INIT_EXEC_FAILED:
        s->exec_failed = true;
        s->last = *m;
        break;
    case INIT_EXITED:
        s->exited = true;
        s->last = *m;
        r->wait_status = m->value;
        r->end_ns = fdio_monotonic_ns();
        r->usage.ru_utime = timeval_of(m->user_us);
        r->usage.ru_stime = timeval_of(m->system_us);
        r->usage.ru_maxrss = (long)m->max_rss_kib;
        if (s->cmd->engine)
            supervise_bound_engine(s);
        break;
    case INIT_HOLDING: /* of a space, which has no job */
        break;
    }
}

void supervise_read_status(struct supervision *s)
{
    struct init_message m;
    ssize_t n;

    while ((n = read(s->cmd->status_fd, &m, sizeof(m))) == sizeof(m))
        if (m.magic == INIT_PROTOCOL_MAGIC)
            take_message(s, &m);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    close(steal_fd(&s->cmd->status_fd));
}

/* An engine's program does not have it in its arguments: words are MODE CWD ARGV... */
static const char *command_name(const struct supervision *s)
{
    return s->cmd->engine ? s->cmd->engine->words.items[2]
                          : s->cmd->argv.items[s->cmd->command_at];
}

static const char *working_directory(const struct supervision *s)
{
    return s->cmd->engine ? s->cmd->engine->words.items[1]
                          : s->cmd->argv.items[s->cmd->command_at - 1];
}

static int explain_not_executed(const struct supervision *s, struct error *err)
{
    const char *name = command_name(s);
    int errnum = s->last.value;

    if (errnum == ENOENT || errnum == ENOTDIR) {
        error_set(err, ERROR_NOT_FOUND, 0, "command '%s' not found in the sandbox",
                  name);
        return error_hint(err, "%s",
                          strchr(name, '/')
                              ? "it must be in the image or in a mounted directory"
                              : "it is in no directory of the sandbox's PATH");
    }
    error_set(err, ERROR_CANNOT_EXECUTE, errnum, "cannot execute '%s' in the sandbox",
              name);
    if (errnum == ENOEXEC)
        return error_hint(err, "it must be a program of this machine's architecture or "
                               "begin with '#!'");
    return error_hint(err, "it must be a file with execute permission for you");
}

static int explain_exec_failure(const struct supervision *s, struct error *err)
{
    int errnum = s->last.value;

    switch ((enum init_stage)s->last.stage) {
    case INIT_STAGE_CHDIR:
        error_sys(err, errnum, "cannot enter the working directory '%s' in the sandbox",
                  working_directory(s));
        return error_hint(err, "give one that exists there with --workdir");
    case INIT_STAGE_INTERPRETER:
        error_set(err, ERROR_CANNOT_EXECUTE, errnum,
                  "cannot execute '%s' in the sandbox: its interpreter (the program "
                  "behind '#!', or the loader of an ELF file)",
                  command_name(s));
        return error_hint(err, "add the interpreter to the image or mount it");
    case INIT_STAGE_EXEC:
        return explain_not_executed(s, err);
    case INIT_STAGE_MOUNT:
        if (s->cmd->engine)
            return engine_explain_mount(s->cmd->engine, errnum, err);
        break;
    case INIT_STAGE_ATTACH:
        return stage_explain_attach(s->cmd->stage, errnum, err);
    case INIT_STAGE_SETUP:
        break;
    }
    return error_sys(err, errnum, "the sandbox's init could not start '%s'",
                     command_name(s));
}

static const char *sandbox_maker(const struct supervision *s)
{
    return s->cmd->engine ? s->cmd->engine->backend->name : "bwrap";
}

static int explain_no_sandbox(const struct supervision *s, int status,
                              struct error *err)
{
    if (s->result->signalled)
        return error_fail(err, "cancelled by %s before the job started",
                          supervise_signal_name(s->result->signalled));
    if (WIFSIGNALED(status)) {
        error_fail(err, "the sandbox of '%s' was killed while it was made (signal %d)",
                   command_name(s), WTERMSIG(status));
        return error_hint(err, "the node may be out of memory; see the kernel log");
    }
    error_fail(err, "%s could not make the sandbox for '%s' (exit code %d)",
               sandbox_maker(s), command_name(s), WEXITSTATUS(status));
    return error_hint(err,
                      "its own message is on the job's standard error (stderr.log); "
                      "'repx-launch doctor' checks this node");
}

int supervise_conclude(const struct supervision *s, int status, struct error *err)
{
    struct supervise_result *r = s->result;

    if (s->lost.class != ERROR_NONE) {
        *err = s->lost;
        return error_context(err, "the sandbox of '%s'", command_name(s));
    }
    if (s->exec_failed)
        return explain_exec_failure(s, err);
    if (s->exited)
        return 0;
    if (!r->started)
        return explain_no_sandbox(s, status, err);
    r->end_ns = fdio_monotonic_ns();
    r->wait_status = SIGKILL; /* as waitpid tells it: nobody survived to report more */
    if (r->killed)
        return 0;
    error_fail(err, "the sandbox of '%s' was killed from outside", command_name(s));
    return error_hint(err, "the node may be out of memory, or Slurm ended the job; see "
                           "'sacct -j' and the kernel log");
}
