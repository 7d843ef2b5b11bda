/* What of the staging works on this node: trial sandboxes, their answer kept for the
 * boot. Unlike a runtime's, a "no" is kept too: nothing is refused because of it, there
 * is only a slower way, and `doctor` asks again. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/quote.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "runtime/stage.h"
#include "sys/fdio.h"
#include "sys/lockfile.h"
#include "sys/pathfd.h"
#include "sys/spawn.h"

#define CACHE_NAME "staging"

static const char *const names[] = {
    [STAGING_OFF] = "off",
    [STAGING_ON] = "on",
    [STAGING_OVERLAY] = "overlay",
};

const char *runtime_staging_name(enum runtime_staging s)
{
    return names[s];
}

/* A plan of every kind of mount that the stage makes. The overlay is of a directory of
 * the file system that the layers are on. */
static int trial_plan(struct plan *p, const char *lower, struct error *err)
{
    const enum plan_role role = PLAN_ROLE_SYSTEM;

    if (lower) {
        strv_add(&p->lowers, lower);
        if (strv_check(&p->lowers, err) < 0 ||
            plan_add_mount(p, PLAN_MOUNT_OVERLAY, PLAN_ROLE_ROOT, lower, "/", err) < 0)
            return -1;
    }
    if (plan_add_mount(p, PLAN_MOUNT_PROC, role, NULL, "/proc", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_DEV, role, NULL, "/dev", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_TMPFS, role, NULL, "/dev/shm", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_TMPFS, role, NULL, "/tmp", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_DATA, role, "text\n", "/etc/file", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_BIND_RO, role, "/", "/tmp/host", err) < 0 ||
        plan_add_mount(p, PLAN_MOUNT_REMOUNT_RO, role, NULL, "/dev", err) < 0)
        return -1;
    if (lower)
        return 0;
    return plan_add_mount(p, PLAN_MOUNT_REMOUNT_RO, PLAN_ROLE_ROOT, NULL, "/", err);
}

/* Whatever it was, it is no property of the node. */
static bool was_disturbed(const struct error *why)
{
    static const int passing[] = {EINTR,  EAGAIN, ENOMEM,   EMFILE,
                                  ENFILE, ENOSPC, ECANCELED};

    for (size_t i = 0; i < array_size(passing); i++)
        if (why->errnum == passing[i])
            return true;
    return false;
}

/* A yes or no of its own: whoever has few mounts never asks. */
#define APART_CACHE_NAME "staging-apart"
#define APART_YES "yes"

static int run_trial(const struct runtime_tools *tools, struct stage *stage,
                     int init_fd, struct error *why)
{
    _cleanup_strv_ struct strv argv = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT, shown = BUF_INIT;
    char *const env[] = {NULL};
    struct spawn_fd inherit[] = {{init_fd, init_fd},
                                 {stage->apart_fd, stage->apart_fd}};
    struct spawn s = SPAWN_INIT;
    int status;

    strv_add(&argv, "bwrap");
    bwrap_staged_options(stage, &argv);
    strv_add(&argv, "--");
    strv_addf(&argv, "/proc/self/fd/%d", init_fd);
    stage_attach_words(stage, &argv);
    strv_add(&argv, INIT_PROBE_ARG);
    if (strv_check(&argv, why) < 0)
        return -1;
    s.program = tools->bwrap;
    s.argv = strv_argv(&argv);
    s.env = env;
    s.fds = inherit;
    s.n_fds = stage->apart ? 2 : 1;
    s.die_with_parent = true;
    s.prepare = stage_assemble;
    s.prepare_arg = stage;
    status = spawn_run(&s, &output, why);
    if (status <= 0)
        return status;
    if (WIFSIGNALED(status))
        return error_sys(why, EINTR, "bwrap was killed in a trial");
    quote_printable(&shown, output.len ? buf_str(&output) : "it gave no reason");
    return error_fail(why, "bwrap failed in a trial: %.400s", buf_str(&shown));
}

/* /tmp of the trial, which something is mounted below. */
static int set_trial_apart(struct stage *s, int fd, struct error *why)
{
    s->apart_fd = fd;
    s->apart = strdup("/tmp");
    return s->apart ? 0 : error_oom(why);
}

/* 0 it works, -1 with the reason. apart_fd: -1, or tries to set mounts apart with it.
 */
static int try_with(const struct runtime_tools *tools, const char *lower, int init_fd,
                    int apart_fd, struct error *why)
{
    struct plan plan = PLAN_INIT;
    struct stage *stage = NULL;
    int rc = trial_plan(&plan, lower, why);

    if (rc == 0)
        stage = stage_new(&plan, tools, why);
    rc = stage && (apart_fd < 0 || set_trial_apart(stage, apart_fd, why) == 0)
             ? run_trial(tools, stage, init_fd, why)
             : -1;
    stage_free(stage);
    plan_release(&plan);
    return rc;
}

static enum runtime_staging probe(const struct runtime_tools *tools, struct error *why)
{
    _cleanup_close_ int init_fd = -1;
    struct error other = ERROR_INIT;

    if (!tools->bwrap || !tools->init || !tools->state_dir) {
        error_fail(why, "a part of it is not installed");
        return STAGING_OFF;
    }
    init_fd = pathfd_open_user(tools->init, O_PATH | O_CLOEXEC, why);
    if (init_fd < 0)
        return STAGING_OFF;
    if (try_with(tools, tools->state_dir, init_fd, -1, why) == 0)
        return STAGING_OVERLAY;
    if (try_with(tools, NULL, init_fd, -1, &other) == 0)
        return STAGING_ON;
    *why = other;
    return STAGING_OFF;
}

static bool probe_apart(const struct runtime_tools *tools, struct error *why)
{
    _cleanup_close_ int init_fd =
        pathfd_open_user(tools->init, O_PATH | O_CLOEXEC, why);
    _cleanup_close_ int apart_fd =
        init_fd < 0 ? -1 : fdio_memfd("repx-mounts", "", 0, why);
    bool works = init_fd >= 0 && apart_fd >= 0 &&
                 try_with(tools, NULL, init_fd, apart_fd, why) == 0;

    if (!works)
        log_debug("staging: bwrap gets all mounts: %s", why->text);
    return works;
}

bool runtime_ask_attach(const struct runtime_tools *tools, struct error *why)
{
    bool works = probe_apart(tools, why);

    if (works || !was_disturbed(why))
        probe_cache_store(tools, APART_CACHE_NAME, works ? APART_YES : "no");
    return works;
}

/* Is it known whether mounts can be set apart? Then *out. */
static bool recall_apart(const struct runtime_tools *tools, bool *out)
{
    _cleanup_free_ char *text = NULL;

    if (!probe_cache_yes(tools, APART_CACHE_NAME, &text) || !text)
        return false;
    *out = strcmp(text, APART_YES) == 0;
    return true;
}

bool stage_can_set_apart(const struct runtime_tools *tools)
{
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;
    struct error why = ERROR_INIT;
    bool works = false;

    if (recall_apart(tools, &works) ||
        (probe_cache_await(tools, APART_CACHE_NAME, &lock) &&
         recall_apart(tools, &works)))
        return works;
    return runtime_ask_attach(tools, &why);
}

/* "NAME REASON" */
static bool recall(const struct runtime_tools *tools, enum runtime_staging *out,
                   char **reason)
{
    _cleanup_free_ char *text = NULL;
    size_t n;

    if (!probe_cache_yes(tools, CACHE_NAME, &text) || !text)
        return false;
    n = strcspn(text, " ");
    for (size_t i = 0; i < array_size(names); i++) {
        if (strlen(names[i]) != n || strncmp(text, names[i], n) != 0)
            continue;
        *out = (enum runtime_staging)i;
        *reason = text[n] ? strdup(text + n + 1) : NULL;
        return true;
    }
    return false;
}

static void remember(const struct runtime_tools *tools, enum runtime_staging found,
                     const char *reason)
{
    _cleanup_free_ char *text =
        str_printf("%s%s%s", names[found], reason ? " " : "", reason ? reason : "");
    char *p;

    if (!text)
        return;
    for (p = text; (p = strchr(p, '\n')) != NULL;)
        *p = ' ';
    probe_cache_store(tools, CACHE_NAME, text);
}

/* What this boot knows, or else a trial. */
static void find(struct runtime_tools *t, bool again)
{
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;
    struct error why = ERROR_INIT;

    if (!again && (recall(t, &t->staging, &t->staging_why) ||
                   (probe_cache_await(t, CACHE_NAME, &lock) &&
                    recall(t, &t->staging, &t->staging_why))))
        return;
    t->staging = probe(t, &why);
    if (t->staging != STAGING_OVERLAY)
        t->staging_why = strdup(why.text);
    if (!was_disturbed(&why))
        remember(t, t->staging, t->staging_why);
}

void runtime_find_staging(struct runtime_tools *t, enum runtime_staging most,
                          bool again)
{

    free(t->staging_why);
    t->staging_why = NULL;
    if (most == STAGING_OFF) {
        t->staging = STAGING_OFF;
        t->staging_why = strdup("it is configured so");
        return;
    }
    find(t, again);
    if (t->staging > most) {
        t->staging = most;
        free(t->staging_why);
        t->staging_why = strdup("it is configured so");
    }
    log_debug("staging: %s%s%s", names[t->staging], t->staging_why ? ": " : "",
              t->staging_why ? t->staging_why : "");
}
