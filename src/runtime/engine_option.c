/* Mounts in the syntax of podman's and docker's command lines; their programs run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "runtime/engine.h"
#include "sys/spawn.h"

/* One field of a CSV record (encoding/csv of Go). */
static void add_field(struct buf *b, const char *key, const char *value)
{
    bool quoted = strpbrk(value, ",\"\n\r") != NULL;

    buf_adds(b, b->len ? "," : "");
    buf_adds(b, quoted ? "\"" : "");
    buf_adds(b, key);
    for (const char *p = value; *p; p++) {
        if (*p == '"')
            buf_addc(b, '"');
        buf_addc(b, *p);
    }
    buf_adds(b, quoted ? "\"" : "");
}

char *engine_mount_option(const struct engine_mount *m)
{
    struct buf b = BUF_INIT;

    if (m->kind == ENGINE_TMPFS)
        return str_printf("%s:rw,exec,nosuid,nodev,mode=1777", m->dest);
    add_field(&b, "type=", "bind");
    add_field(&b, "src=", m->source ? m->source : "");
    add_field(&b, "dst=", m->dest);
    if (!m->writable)
        add_field(&b, "readonly", "");
    return buf_steal(&b);
}

/* Data files are files behind descriptors from 9 on, as bwrap's description has them.
 */
int engine_describe_mounts(const struct plan *plan, bool with_root, struct strv *out,
                           struct error *err)
{
    unsigned n_data = 0;

    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *p = &plan->mounts[i];
        char data[32];
        struct engine_mount m = {.kind = ENGINE_BIND,
                                 .source = p->source,
                                 .dest = p->dest,
                                 .writable = p->kind != PLAN_MOUNT_BIND_RO &&
                                             p->kind != PLAN_MOUNT_DATA};

        if (p->role == PLAN_ROLE_ROOT && !with_root)
            continue;
        switch (p->kind) {
        case PLAN_MOUNT_DATA:
            snprintf(data, sizeof(data), "/dev/fd/%u", 9 + n_data++);
            m.source = data;
            break;
        case PLAN_MOUNT_BIND_RO:
        case PLAN_MOUNT_BIND_RW:
        case PLAN_MOUNT_BIND_DEV:
            break;
        case PLAN_MOUNT_TMPFS:
            m.kind = ENGINE_TMPFS;
            break;
        default:
            continue; /* the engine's own, or a part of the root */
        }
        strv_add(out, m.kind == ENGINE_TMPFS ? "--tmpfs" : "--mount");
        strv_take(out, engine_mount_option(&m));
    }
    return strv_check(out, err);
}

int engine_trial_plan(struct plan *plan, const char *runtime, struct error *err)
{
    static const struct {
        enum plan_mount_kind kind;
        const char *dest;
    } mounts[] = {{PLAN_MOUNT_PROC, "/proc"},
                  {PLAN_MOUNT_DEV, "/dev"},
                  {PLAN_MOUNT_TMPFS, "/dev/shm"},
                  {PLAN_MOUNT_TMPFS, "/tmp"}};

    plan->runtime = strdup(runtime);
    strv_add(&plan->argv, ENGINE_INIT);
    if (!plan->runtime)
        return error_oom(err);
    for (size_t i = 0; i < array_size(mounts); i++)
        if (plan_add_mount(plan, mounts[i].kind, PLAN_ROLE_SYSTEM, NULL, mounts[i].dest,
                           err) < 0)
            return -1;
    return strv_check(&plan->argv, err);
}

int engine_explain(const char *program, int status, struct buf *output,
                   struct error *err)
{
    _cleanup_buf_ struct buf shown = BUF_INIT;

    while (output->len > 0 && output->data[output->len - 1] == '\n')
        output->data[--output->len] = '\0';
    quote_printable(&shown, output->len ? buf_str(output) : "it gave no reason");
    error_fail(err, "%s failed (%s %d): %.500s", program,
               WIFSIGNALED(status) ? "signal" : "exit code",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
               buf_str(&shown));
    return 1;
}

int engine_run(char *const *argv, char *const *env, int stdin_fd, struct buf *output,
               struct error *err)
{
    struct spawn_fd input = {stdin_fd, STDIN_FILENO};
    struct spawn s = SPAWN_INIT;
    int status;

    s.program = argv[0];
    s.argv = argv;
    s.env = env;
    s.fds = &input;
    s.n_fds = stdin_fd >= 0;
    s.die_with_parent = true;
    s.new_session = true;
    status = spawn_run(&s, output, err);
    if (status < 0) {
        err->class = ERROR_LAUNCHER;
        return -1;
    }
    return status == 0 ? 0 : engine_explain(argv[0], status, output, err);
}
