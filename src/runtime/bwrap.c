/* bwrap: a plan as bubblewrap options, and the pid 1 that bwrap executes.
 *
 * repx-sandbox-init is executed through an inherited descriptor (/proc/self/fd/N), so
 * that it needs no place in the image. It gets the job's environment and working
 * directory: the image's environment must not act on bwrap itself (LD_PRELOAD), and
 * bwrap would change PWD.
 *
 * User namespaces stay available inside (no --disable-userns): nested sandboxes (nix
 * builds, Charliecloud, browsers under test) need them, and they gain nothing over what
 * is bound here: the kernel locks the read-only flags of mounts that a less privileged
 * mount namespace inherits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "runtime/stage.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"

/* bubblewrap.c: MAX_ARGS is 9000 since 0.5; what is not in --args counts as well. */
#define BWRAP_MAX_ARGS 8900

static void add_bind(struct strv *out, const char *option, const struct plan_mount *m)
{
    strv_addl(out, option, m->source, m->dest, NULL);
}

static void add_mount(struct strv *out, const struct plan_mount *m, int data_fd)
{
    switch (m->kind) {
    case PLAN_MOUNT_BIND_RO:
        add_bind(out, "--ro-bind", m);
        break;
    case PLAN_MOUNT_BIND_RW:
        add_bind(out, "--bind", m);
        break;
    case PLAN_MOUNT_BIND_DEV:
        add_bind(out, "--dev-bind", m);
        break;
    case PLAN_MOUNT_TMPFS:
        strv_addl(out, "--perms", "1777", "--tmpfs", m->dest, NULL);
        break;
    case PLAN_MOUNT_DIR:
        strv_addl(out, "--dir", m->dest, NULL);
        break;
    case PLAN_MOUNT_SYMLINK:
        add_bind(out, "--symlink", m);
        break;
    case PLAN_MOUNT_DATA:
        strv_addl(out, "--perms", "0444", "--ro-bind-data", NULL);
        strv_addf(out, "%d", data_fd);
        strv_add(out, m->dest);
        break;
    case PLAN_MOUNT_PROC:
        strv_addl(out, "--proc", m->dest, NULL);
        break;
    case PLAN_MOUNT_DEV:
        strv_addl(out, "--dev", m->dest, NULL);
        break;
    case PLAN_MOUNT_REMOUNT_RO:
        strv_addl(out, "--remount-ro", m->dest, NULL);
        break;
    case PLAN_MOUNT_OVERLAY:
        strv_addl(out, "--ro-overlay", m->dest, NULL);
        break;
    }
}

/* Tasks that join can enter no process-id namespace (setns works for their children
 * only), and each has a place of its own in the control groups. */
static void add_namespaces(struct strv *out, const struct plan *plan)
{
    if (plan->joined) {
        strv_addl(out, "--unshare-user", "--unshare-ipc", "--unshare-uts", NULL);
        if (plan->network == PLAN_NETWORK_NONE)
            strv_add(out, "--unshare-net");
    } else {
        strv_add(out, "--unshare-all");
        if (plan->network == PLAN_NETWORK_HOST)
            strv_add(out, "--share-net");
    }
    if (plan->hostname)
        strv_addl(out, "--hostname", plan->hostname, NULL);
    strv_add(out, "--die-with-parent");
    if (!plan->joined)
        strv_add(out, "--as-pid-1");
    strv_addl(out, "--cap-drop", "ALL", NULL);
}

/* The stage has no devices but those that the plan shows: --dev-bind leaves each mount
 * the restrictions it has. Init goes to the plan's directory itself. */
void bwrap_staged_options(const struct stage *stage, struct strv *out)
{
    const struct plan *plan = stage->plan;

    add_namespaces(out, plan);
    /* for init, to attach, and to take even that out of its bounding set */
    if (stage->apart)
        strv_addl(out, "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP", NULL);
    strv_addl(out, "--dev-bind", stage->root, "/", NULL);
    for (size_t i = 0; i < plan->n_mounts; i++)
        if (!stage_makes(&plan->mounts[i]))
            add_mount(out, &plan->mounts[i], -1);
    strv_addl(out, "--chdir", "/", NULL);
}

int bwrap_options(const struct plan *plan, const int *data_fds, int info_fd,
                  struct strv *out, struct error *err)
{
    size_t data = 0;

    add_namespaces(out, plan);
    strv_add(out, "--info-fd");
    strv_addf(out, "%d", info_fd);
    /* as bwrap 0.11 has it: topmost last */
    for (size_t i = 0; i < plan->lowers.count; i++)
        strv_addl(out, "--overlay-src", plan->lowers.items[i], NULL);
    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *m = &plan->mounts[i];

        add_mount(out, m, m->kind == PLAN_MOUNT_DATA ? data_fds[data++] : -1);
    }
    /* Init goes to the plan's directory itself, and reports when it cannot. */
    strv_addl(out, "--chdir", "/", NULL);
    if (strv_check(out, err) < 0)
        return -1;
    if (out->count > BWRAP_MAX_ARGS)
        return error_fail(
            err,
            "this sandbox needs %zu mounts, more than bubblewrap takes; give fewer "
            "inputs or mounts, or add missing mount points to the image",
            plan->n_mounts);
    return 0;
}

static int make_pipe(int *read_end, int *write_end, struct error *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_sys(err, errno, "cannot make a pipe for the sandbox");
    *read_end = fds[0];
    *write_end = fds[1];
    return 0;
}

/* Makes the data files; their descriptors belong to the command, the list to the
 * caller. */
static int make_data(const struct plan *plan, struct runtime_command *out, int **list,
                     struct error *err)
{
    _cleanup_free_ int *fds = calloc(plan->n_mounts + 1, sizeof(*fds));
    size_t n = 0;

    if (!fds)
        return error_oom(err);
    for (size_t i = 0; i < plan->n_mounts; i++) {
        const struct plan_mount *m = &plan->mounts[i];
        int fd;

        if (m->kind != PLAN_MOUNT_DATA)
            continue;
        fd = fdio_memfd("repx-data", m->source, strlen(m->source), err);
        if (fd < 0 || runtime_command_add_fd(out, fd, err) < 0)
            return -1;
        fds[n++] = fd;
    }
    *list = steal_ptr(fds);
    return 0;
}

/* A vector of strings as a memory file of the command. Returns its descriptor. */
static int add_block(const struct strv *v, const char *name,
                     struct runtime_command *out, struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    int fd;

    strv_to_block(v, &b);
    if (buf_check(&b, err) < 0)
        return -1;
    fd = fdio_memfd(name, buf_str(&b), b.len, err);
    if (fd < 0 || runtime_command_add_fd(out, fd, err) < 0)
        return -1;
    return fd;
}

static int open_init(const struct runtime_tools *tools, struct error *err)
{
    int fd;

    if (!tools->bwrap || !tools->init)
        return error_fail(err, "bwrap or repx-sandbox-init is missing; "
                               "'repx-launch doctor' tells what to install");
    fd = pathfd_open_user(tools->init, O_PATH | O_CLOEXEC, err);
    if (fd < 0)
        return error_context(err, "the sandbox's init");
    return fd;
}

/* The place of a descriptor for the mounts that bwrap is not to see, when these are
 * many.
 */
static int set_apart(struct runtime_command *out, const struct runtime_tools *tools,
                     struct error *err)
{
    struct stage *s = out->stage;
    _cleanup_free_ char *dir = NULL;

    if (stage_find_apart(s->plan, STAGE_APART_MIN, &dir, err) < 0)
        return -1;
    if (!dir || !stage_can_set_apart(tools))
        return 0;
    s->apart_fd = fdio_memfd("repx-mounts", "", 0, err);
    if (s->apart_fd < 0 || runtime_command_add_fd(out, s->apart_fd, err) < 0)
        return -1;
    s->apart = steal_ptr(dir);
    return 0;
}

/* bwrap's options: one for each mount, or what the stage leaves. */
static int make_options(const struct plan *plan, const struct runtime_tools *tools,
                        struct runtime_command *out, struct strv *options,
                        struct error *err)
{
    _cleanup_free_ int *data = NULL;

    if (tools->staging == STAGING_OFF && plan->lowers.count > 0)
        return error_fail(err, "the image is kept as layers, which bwrap alone cannot "
                               "merge; start again, so that it is composed");
    if (tools->staging == STAGING_OFF)
        return make_data(plan, out, &data, err) < 0
                   ? -1
                   : bwrap_options(plan, data, out->info_write_fd, options, err);
    out->stage = stage_new(plan, tools, err);
    if (!out->stage || set_apart(out, tools, err) < 0)
        return -1;
    strv_add(options, "--info-fd");
    strv_addf(options, "%d", out->info_write_fd);
    bwrap_staged_options(out->stage, options);
    return strv_check(options, err);
}

/* What bwrap executes for a job: init_protocol.h. */
static int add_job(const struct plan *plan, struct runtime_command *out,
                   struct error *err)
{
    int env_fd = add_block(&plan->env, "repx-env", out, err);

    if (env_fd < 0)
        return -1;
    strv_addf(&out->argv, "%d", out->status_write_fd);
    strv_addf(&out->argv, "%d", env_fd);
    strv_add(&out->argv, plan->interactive ? INIT_MODE_TERMINAL : INIT_MODE_JOB);
    strv_add(&out->argv, plan->cwd ? plan->cwd : "/");
    out->command_at = out->argv.count;
    strv_extend(&out->argv, strv_argv(&plan->argv));
    return 0;
}

static void add_hold(struct runtime_command *out)
{
    strv_add(&out->argv, INIT_HOLD_ARG);
    strv_addf(&out->argv, "%d", out->status_write_fd);
    out->command_at = out->argv.count;
}

static int bwrap_command(const struct plan *plan, const struct runtime_tools *tools,
                         struct runtime_command *out, struct error *err)
{
    _cleanup_strv_ struct strv options = STRV_INIT;
    int init_fd = open_init(tools, err), args_fd;

    if (init_fd < 0 || runtime_command_add_fd(out, init_fd, err) < 0)
        return -1;
    if (make_pipe(&out->status_fd, &out->status_write_fd, err) < 0 ||
        make_pipe(&out->info_fd, &out->info_write_fd, err) < 0 ||
        make_options(plan, tools, out, &options, err) < 0)
        return -1;
    args_fd = add_block(&options, "repx-bwrap-args", out, err);
    if (args_fd < 0)
        return -1;
    out->program = strdup(tools->bwrap);
    strv_addl(&out->argv, "bwrap", "--args", NULL);
    strv_addf(&out->argv, "%d", args_fd);
    strv_add(&out->argv, "--");
    strv_addf(&out->argv, "/proc/self/fd/%d", init_fd);
    if (out->stage)
        stage_attach_words(out->stage, &out->argv);
    if (plan->joined)
        add_hold(out);
    else if (add_job(plan, out, err) < 0)
        return -1;
    if (!out->program)
        return error_oom(err);
    return strv_check(&out->argv, err);
}

/* The same sandbox from a terminal: data files from descriptor 9 and up, and bwrap's
 * own init instead of ours. */
static int bwrap_describe(const struct plan *plan, const struct runtime_tools *tools,
                          struct strv *out, struct error *err)
{
    _cleanup_free_ int *data = calloc(plan->n_mounts + 1, sizeof(*data));
    _cleanup_strv_ struct strv options = STRV_INIT;

    if (!data)
        return error_oom(err);
    for (size_t i = 0; i < plan->n_mounts; i++)
        data[i] = 9 + (int)i;
    if (bwrap_options(plan, data, 2, &options, err) < 0)
        return -1;
    strv_add(out, tools->bwrap ? tools->bwrap : "bwrap");
    for (size_t i = 0; i < options.count; i++) {
        const char *option = options.items[i];

        if (strcmp(option, "--info-fd") == 0)
            i++;
        else if (strcmp(option, "--as-pid-1") != 0)
            strv_add(out, option);
    }
    strv_add(out, "--");
    strv_extend(out, strv_argv(&plan->argv));
    return strv_check(out, err);
}

/* The first line of what bwrap --version prints. */
static char *bwrap_version(const struct runtime_tools *tools)
{
    char *const env[] = {NULL};

    return runtime_program_version(tools, "bwrap", tools->bwrap, env);
}

const struct runtime_backend backend_bwrap = {
    .name = "bwrap",
    .isolated = true,
    .probe = bwrap_probe,
    .version = bwrap_version,
    .command = bwrap_command,
    .describe = bwrap_describe,
    .space = space_of_command,
};
