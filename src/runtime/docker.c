/* docker: a plan as `docker run`.
 *
 * The daemon is root and makes the mounts; the job is the calling user without any
 * capability, so that what it writes to $out is the user's. The daemon looks up the
 * sources of mounts itself, hence the checks of init (init_protocol.h), and --mount,
 * which refuses what is missing where -v would make it. The image is not imported: its
 * entries are bound from the store, as in every sandbox (engine.h).
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/docker.h"
#include "runtime/init_protocol.h"
#include "runtime/runtime_internal.h"
#include "sys/pathfd.h"
#include "sys/process.h"

#define LABEL "repx-launch"

int docker_env(const char *dir, struct strv *env, struct error *err)
{
    strv_add(env, "PATH=/usr/bin:/bin");
    strv_addf(env, "HOME=%s", dir);
    return strv_check(env, err);
}

void docker_globals(const struct runtime_tools *tools, const char *dir,
                    struct strv *argv)
{
    strv_addl(argv, tools->docker, "--config", NULL);
    strv_addf(argv, "%s/docker-config", dir);
    strv_addl(argv, "--host", tools->docker_host, NULL);
}

/* Docker lets a container use the devices that its cgroup lists. */
static void add_device_rule(const struct engine_mount *m, struct strv *argv)
{
    struct stat st;

    if (stat(m->source, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) {
        strv_add(argv, "--device-cgroup-rule");
        strv_addf(argv, "%c %u:%u rwm", S_ISCHR(st.st_mode) ? 'c' : 'b',
                  major(st.st_rdev), minor(st.st_rdev));
    } else {
        strv_addl(argv, "--device-cgroup-rule", "a *:* rwm", NULL);
    }
}

static void add_mounts(const struct engine_mounts *mounts, const char *dir,
                       struct strv *argv)
{
    bool sys = false;

    for (size_t i = 0; i < mounts->n; i++) {
        const struct engine_mount *m = &mounts->items[i];

        sys |= strcmp(m->dest, "/sys") == 0;
        if (m->kind != ENGINE_BIND && m->kind != ENGINE_TMPFS)
            continue; /* /proc and /dev: docker brings them */
        strv_add(argv, m->kind == ENGINE_TMPFS ? "--tmpfs" : "--mount");
        strv_take(argv, engine_mount_option(m));
        if (m->devices)
            add_device_rule(m, argv);
    }
    /* nothing else shows the node's /sys either */
    if (!sys) {
        struct engine_mount none = {.kind = ENGINE_BIND, .dest = (char[]){"/sys"}};
        _cleanup_free_ char *empty = str_printf("%s/empty", dir);

        none.source = empty;
        strv_add(argv, "--mount");
        strv_take(argv, empty ? engine_mount_option(&none) : NULL);
    }
}

static void add_user(const struct docker_user *user, struct strv *argv)
{
    strv_add(argv, "--user");
    strv_addf(argv, "%u:%u", (unsigned)user->uid, (unsigned)user->gid);
    for (size_t i = 0; i < user->n_groups; i++) {
        strv_add(argv, "--group-add");
        strv_addf(argv, "%u", (unsigned)user->groups[i]);
    }
    if (user->hostname)
        strv_addl(argv, "--hostname", user->hostname, NULL);
}

int docker_argv(const struct plan *plan, const struct runtime_tools *tools,
                const char *dir, const char *id, const struct engine_mounts *mounts,
                const struct docker_user *user, const char *image, struct strv *argv,
                struct error *err)
{
    docker_globals(tools, dir, argv);
    strv_addl(argv, "run", "--rm", "--name", id, "--label", LABEL, "--pull", "never",
              "--network", plan->network == PLAN_NETWORK_HOST ? "host" : "none",
              "--userns", "host", "--ipc", "private", "--read-only", "--cap-drop",
              "ALL", "--security-opt", "no-new-privileges", "--security-opt",
              "seccomp=unconfined", "--security-opt", "label=disable", "--log-driver",
              "none", "--no-healthcheck", NULL);
    /* the masks of /proc stay where the plan wants it sealed, for root */
    if (!engine_seals_proc(plan))
        strv_addl(argv, "--security-opt", "systempaths=unconfined", NULL);
    add_user(user, argv);
    add_mounts(mounts, dir, argv);
    if (plan->interactive)
        strv_addl(argv, "--interactive", "--tty", NULL);
    strv_addl(argv, "--workdir", "/", "--entrypoint", ENGINE_INIT, image, NULL);
    return strv_check(argv, err);
}

static int find_user(struct docker_user *u, struct error *err)
{
    int n = getgroups((int)array_size(u->groups), u->groups);

    if (n < 0)
        return error_sys(err, errno, "cannot read this process's groups");
    u->n_groups = (size_t)n;
    u->uid = geteuid();
    u->gid = getegid();
    u->hostname = process_hostname();
    return 0;
}

/* With the host's own /etc in the sandbox, what docker insists on there would be made
 * on the host, by root. */
static int check_host_etc(const struct plan *plan, struct error *err)
{
    static const char *const files[] = {"/etc/hosts", "/etc/hostname",
                                        "/etc/resolv.conf"};

    for (size_t i = 0; !plan->rootfs && i < array_size(files); i++)
        if (access(files[i], F_OK) < 0) {
            error_fail(err, "docker would make the file %s on this node", files[i]);
            return error_hint(err, "make it yourself, or use --podman or --bwrap with "
                                   "--mount-host-paths");
        }
    return 0;
}

int docker_prepare(struct engine *e, const struct plan *plan, struct strv *argv,
                   struct error *err)
{
    static const char *const dirs[] = {"docker-config", "empty"};
    struct engine_mounts mounts = ENGINE_MOUNTS_INIT;
    struct docker_user user = {.hostname = NULL};
    _cleanup_free_ char *image = NULL;
    int r = 0;

    for (size_t i = 0; i < array_size(dirs); i++) {
        _cleanup_close_ int fd = pathfd_make_dirs(e->dirfd, dirs[i], 0755, err);

        if (fd < 0)
            return -1;
    }
    if (find_user(&user, err) < 0 || engine_build(e, plan, true, &mounts, err) < 0 ||
        engine_add_submounts(&mounts, err) < 0 || docker_root_image(e, &image, err) < 0)
        r = -1;
    if (r == 0)
        r = docker_argv(plan, e->tools, e->dir, e->id, &mounts, &user, image, argv,
                        err);
    engine_mounts_release(&mounts);
    free(user.hostname);
    return r;
}

static int docker_command(const struct plan *plan, const struct runtime_tools *tools,
                          struct runtime_command *out, struct error *err)
{
    if (!tools->docker || !tools->init)
        return error_fail(err, "docker or repx-sandbox-init is missing; 'repx-launch "
                               "doctor' tells what to install");
    if (docker_reachable(tools, err) != 0)
        return -1;
    if (check_host_etc(plan, err) < 0)
        return -1;
    out->engine = engine_new(&backend_docker, tools, plan, err);
    out->program = strdup(tools->docker);
    if (!out->engine)
        return -1;
    if (!out->program)
        return error_oom(err);
    if (docker_env(out->engine->dir, &out->env, err) < 0 ||
        docker_prepare(out->engine, plan, &out->argv, err) < 0)
        return -1;
    strv_addl(&out->argv, INIT_CHANNEL_ARG, ENGINE_SOCKET, NULL);
    return strv_check(&out->argv, err);
}

/* From a terminal the image's entries are mounts as well, but for its links. */
static int docker_describe(const struct plan *plan, const struct runtime_tools *tools,
                           struct strv *out, struct error *err)
{
    strv_add(out, tools->docker ? tools->docker : "docker");
    strv_addl(out, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--security-opt",
              "no-new-privileges", "--network",
              plan->network == PLAN_NETWORK_HOST ? "host" : "none", "--user", NULL);
    strv_addf(out, "%u:%u", (unsigned)geteuid(), (unsigned)getegid());
    if (engine_describe_mounts(plan, true, out, err) < 0)
        return -1;
    strv_addl(out, "--workdir", plan->cwd ? plan->cwd : "/", "repx-launch/root", NULL);
    strv_extend(out, strv_argv(&plan->argv));
    return strv_check(out, err);
}

static int docker_remove(const struct runtime_tools *tools, const char *dir,
                         const char *id, struct error *err)
{
    _cleanup_strv_ struct strv argv = STRV_INIT, env = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;
    int r;

    if (!tools->docker)
        return error_fail(err, "docker is gone");
    docker_globals(tools, dir, &argv);
    strv_addl(&argv, "rm", "--force", id, NULL);
    if (strv_check(&argv, err) < 0 || docker_env(dir, &env, err) < 0)
        return -1;
    r = engine_run(strv_argv(&argv), strv_argv(&env), -1, &output, err);
    /* it was removed already, or is being removed */
    if (r > 0 && (strstr(err->text, "No such container") ||
                  strstr(err->text, "already in progress")))
        r = 0;
    return r ? -1 : 0;
}

const struct runtime_backend backend_docker = {
    .name = "docker",
    .isolated = true,
    .engine = true,
    .daemon = true,
    .etc = true,
    .probe = docker_probe,
    .alive = docker_reachable,
    .version = docker_version,
    .command = docker_command,
    .describe = docker_describe,
    .diagnose = docker_diagnose,
    .remove = docker_remove,
};
