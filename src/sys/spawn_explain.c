/* What a failed start means and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "sys/spawn_internal.h"

/* The file behind the program, for a look at its first bytes. -1 with errno. */
static int open_program(const struct spawn *s)
{
    char proc[64];

    if (s->program)
        return open(s->program, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", s->program_fd);
    return open(proc, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

bool spawn_script_head(const struct spawn *s, char *head, size_t size)
{
    _cleanup_close_ int fd = open_program(s);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, size - 1, 0);

    if (n < 2 || head[0] != '#' || head[1] != '!')
        return false;
    head[n] = '\0';
    memmove(head, head + 2, (size_t)n - 1);
    return true;
}

const char *spawn_program_name(const struct spawn *s)
{
    if (s->program)
        return s->program;
    return s->argv && s->argv[0] ? s->argv[0] : "(unnamed program)";
}

static int explain_missing(const struct spawn *s, struct error *err)
{
    const char *name = spawn_program_name(s);
    char head[512], *interpreter;
    struct stat st;

    if (s->program && stat(s->program, &st) < 0) {
        error_set(err, ERROR_NOT_FOUND, ENOENT, "cannot start '%s'", name);
        return error_hint(err, "check the path and that the package is installed");
    }
    if (spawn_script_head(s, head, sizeof(head))) {
        interpreter = head + strspn(head, " \t");
        interpreter[strcspn(interpreter, " \t\r\n")] = '\0';
        error_set(err, ERROR_CANNOT_EXECUTE, ENOENT,
                  "cannot start '%s': its interpreter '%s'", name, interpreter);
        return error_hint(err,
                          "make the interpreter named in its first line available");
    }
    error_set(err, ERROR_CANNOT_EXECUTE, ENOENT,
              "cannot start '%s': its ELF interpreter", name);
    return error_hint(err,
                      "it was linked for another system; its dynamic loader must be "
                      "at the place that 'readelf -l' shows");
}

static int explain_exec(const struct spawn *s, int errnum, struct error *err)
{
    const char *name = spawn_program_name(s);

    if (errnum == ENOENT)
        return explain_missing(s, err);
    error_set(err, ERROR_CANNOT_EXECUTE, errnum, "cannot execute '%s'", name);
    switch (errnum) {
    case EACCES:
    case EPERM:
        error_hint(err, "it must be a regular file with execute permission on a file "
                        "system that is not mounted noexec");
        break;
    case ENOEXEC:
        error_hint(err, "it must be a program for this machine's architecture, or a "
                        "script that begins with '#!'");
        break;
    case E2BIG:
        error_hint(err, "its arguments and environment are too large: pass fewer");
        break;
    default:
        break;
    }
    return -1;
}

int spawn_explain(const struct spawn *s, const struct spawn_failure *f,
                  struct error *err)
{
    const char *name = spawn_program_name(s);

    switch ((enum spawn_stage)f->stage) {
    case STAGE_EXEC:
        return explain_exec(s, f->errnum, err);
    case STAGE_CWD:
        error_sys(err, f->errnum, "cannot start '%s': cannot enter the directory '%s'",
                  name, s->cwd);
        return error_hint(err, "it must exist and be searchable");
    case STAGE_SESSION:
        return error_sys(err, f->errnum, "cannot start '%s' in its own process group",
                         name);
    case STAGE_DEATH_SIGNAL:
        return error_sys(err, f->errnum, "cannot tie the life of '%s' to this process",
                         name);
    case STAGE_DESCRIPTORS:
        error_sys(err, f->errnum, "cannot set up the descriptors of '%s'", name);
        return error_hint(err, "check the limit of open files (ulimit -n)");
    case STAGE_NO_NEW_PRIVS:
        return error_sys(err, f->errnum, "cannot set no_new_privs for '%s'", name);
    case STAGE_PREPARE:
        *err = f->why;
        return -1;
    case STAGE_SIGNALS:
        return error_sys(err, f->errnum, "cannot set the signal mask of '%s'", name);
    }
    return error_fail(err, "cannot start '%s': unknown stage %d", name, f->stage);
}
