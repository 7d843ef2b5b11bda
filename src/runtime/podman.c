/* podman, rootless (or as root): a plan as `podman run`.
 *
 * Storage, runtime directory and configuration are the launch's own (engine.h): home
 * directories on NFS break podman's, and what a user or a site has configured for other
 * containers (mounts, hooks, environment, registries) must not act on a job. The mounts
 * are put in by repx-podman-hook (src/hook). With --cgroups=disabled the container
 * stays in the cgroup of the Slurm job: limits, accounting and scancel hold.
 *
 * The tasks of a step join the container's namespaces but that of process ids: /proc is
 * the host's, where they have their numbers, and so are the control groups.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/json_write.h"
#include "runtime/engine.h"
#include "runtime/init_protocol.h"
#include "runtime/podman.h"
#include "runtime/runtime_internal.h"
#include "sys/process.h"

/* newuidmap and conmon are found there. */
#define PODMAN_PATH                                                                    \
    "PATH=/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/run/wrappers/bin:"             \
    "/run/current-system/sw/bin"

int podman_env(const char *dir, const char *id, struct strv *env, struct error *err)
{
    strv_add(env, PODMAN_PATH);
    strv_addf(env, "HOME=%s", dir);
    strv_addf(env, "XDG_CONFIG_HOME=%s", dir);
    strv_addf(env, "XDG_RUNTIME_DIR=" ENGINE_SHORT "/%s", id);
    strv_addf(env, "TMPDIR=" ENGINE_SHORT "/%s", id);
    strv_addf(env, "CONTAINERS_CONF=%s/containers.conf", dir);
    strv_addf(env, "CONTAINERS_STORAGE_CONF=%s/storage.conf", dir);
    return strv_check(env, err);
}

/* The options before the sub-command. */
void podman_globals(const struct runtime_tools *tools, const char *dir, const char *id,
                    struct strv *argv)
{
    strv_add(argv, tools->podman);
    strv_add(argv, "--root");
    strv_addf(argv, "%s/storage", dir);
    strv_add(argv, "--runroot");
    strv_addf(argv, ENGINE_SHORT "/%s/storage", id);
    strv_add(argv, "--tmpdir");
    strv_addf(argv, ENGINE_SHORT "/%s/libpod", id);
    strv_addl(argv, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs",
              "--events-backend", "none", "--log-level", "error", "--runtime", NULL);
    strv_add(argv, tools->crun);
    strv_add(argv, "--runtime-flag");
    strv_addf(argv, "root=" ENGINE_SHORT "/%s/crun", id);
    strv_add(argv, "--hooks-dir");
    strv_addf(argv, "%s/hooks", dir);
}

int podman_argv(const struct plan *plan, const struct runtime_tools *tools,
                const char *dir, const char *id, bool rootless, struct strv *argv,
                struct error *err)
{
    podman_globals(tools, dir, id, argv);
    strv_addl(argv, "run", "--rm", "--name", id, "--pull", "never", "--cgroups",
              "disabled", "--network",
              plan->network == PLAN_NETWORK_HOST ? "host" : "none", NULL);
    /* root has no users to map, and is not in a group that others would lend it */
    if (rootless)
        strv_addl(argv, "--userns", "keep-id", "--group-add", "keep-groups", NULL);
    strv_addl(argv, "--ipc", "none", "--read-only", "--read-only-tmpfs=false",
              "--no-hosts", "--passwd=false", "--systemd", "false", "--env-host=false",
              "--http-proxy=false", "--cap-drop", "all", "--security-opt",
              "no-new-privileges", "--security-opt", "seccomp=unconfined",
              "--security-opt", "label=disable", "--log-driver", "none", NULL);
    if (plan->joined)
        strv_addl(argv, "--cgroupns", "host", NULL);
    if (plan->interactive)
        strv_addl(argv, "--interactive", "--tty", NULL);
    strv_addl(argv, "--workdir", "/", "--rootfs", NULL);
    strv_addf(argv, "%s/" ENGINE_ROOTFS, dir);
    strv_add(argv, ENGINE_INIT);
    return strv_check(argv, err);
}

static void add_spec_item(struct buf *b, const char *type, const char *source,
                          const char *dest, const char *options)
{
    const char *const items[] = {type, source, dest, options};

    for (size_t i = 0; i < array_size(items); i++)
        buf_add(b, items[i], strlen(items[i]) + 1);
}

/* "rro": read-only with all that is mounted below. crun 1.8 takes it for directories
 * alone. */
static const char *bind_options(const struct engine_mount *m)
{
    if (m->devices)
        return "rbind,rprivate,nosuid,rw";
    if (m->writable)
        return "rbind,rprivate,nosuid,nodev,rw";
    return m->file ? "bind,rprivate,nosuid,nodev,ro"
                   : "rbind,rprivate,nosuid,nodev,ro,rro";
}

static void add_proc(struct buf *out, bool joined, const char *dest)
{
    if (joined)
        add_spec_item(out, "bind", "/proc", dest,
                      "rbind,rprivate,nosuid,noexec,nodev,rw");
    else
        add_spec_item(out, "proc", "proc", dest, "nosuid,noexec,nodev");
}

void podman_spec(const struct plan *plan, const struct engine_mounts *mounts,
                 const char *tree, struct buf *out)
{
    const char *const head[] = {engine_seals_proc(plan) ? "seal" : "open",
                                plan->joined ? tree : ""};

    for (size_t i = 0; i < array_size(head); i++)
        buf_add(out, head[i], strlen(head[i]) + 1);
    for (size_t i = 0; i < mounts->n; i++) {
        const struct engine_mount *m = &mounts->items[i];

        switch (m->kind) {
        case ENGINE_BIND:
            add_spec_item(out, "bind", m->source, m->dest, bind_options(m));
            break;
        case ENGINE_TMPFS:
            add_spec_item(out, "tmpfs", "tmpfs", m->dest, "nosuid,nodev,mode=1777");
            break;
        case ENGINE_PROC:
            add_proc(out, plan->joined, m->dest);
            break;
        case ENGINE_DEV:
            add_spec_item(out, "tmpfs", "tmpfs", m->dest,
                          "nosuid,noexec,strictatime,mode=755,size=65536k,ro");
            add_spec_item(out, "devpts", "devpts", "/dev/pts",
                          "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620");
            break;
        }
    }
}

static int write_text(const struct engine *e, const char *name, const char *text,
                      struct error *err)
{
    return engine_write(e, name, text, strlen(text), err);
}

/* Locks in a file: in shared memory they are one table for all containers of the user,
 * and a removed storage would leak its part of it. */
static int configure(const struct engine *e, struct error *err)
{
    static const char conf[] = "[engine]\nlock_type = \"file\"\n";
    _cleanup_buf_ struct buf hook = BUF_INIT, storage = BUF_INIT;
    _cleanup_free_ char *spec = engine_path(e, "spec", err);
    _cleanup_free_ char *graphroot = engine_path(e, "storage", err);
    _cleanup_close_ int run = -1;

    if (!spec || !graphroot)
        return -1;
    /* a string of TOML is one of JSON */
    buf_adds(&storage, "[storage]\ndriver = \"vfs\"\ngraphroot = ");
    json_write_string(&storage, graphroot);
    buf_addf(&storage, "\nrunroot = \"" ENGINE_SHORT "/%s/storage\"\n", e->id);
    run = engine_make_short(e, err);
    if (run < 0 || buf_check(&storage, err) < 0 ||
        write_text(e, "containers.conf", conf, err) < 0 ||
        write_text(e, "storage.conf", buf_str(&storage), err) < 0)
        return -1;
    buf_adds(&hook, "{\"version\":\"1.0.0\",\"hook\":{\"path\":");
    json_write_string(&hook, e->tools->podman_hook);
    buf_adds(&hook, ",\"args\":[\"repx-podman-hook\",");
    json_write_string(&hook, spec);
    buf_adds(&hook, "]},\"when\":{\"always\":true},\"stages\":[\"precreate\"]}\n");
    return buf_check(&hook, err) < 0
               ? -1
               : write_text(e, "hooks/repx.json", buf_str(&hook), err);
}

int podman_prepare(struct engine *e, const struct plan *plan, struct error *err)
{
    struct engine_mounts mounts = ENGINE_MOUNTS_INIT;
    _cleanup_buf_ struct buf spec = BUF_INIT;
    _cleanup_free_ char *tree = engine_path(e, ENGINE_TREE, err);
    int r = tree ? engine_build(e, plan, false, &mounts, err) : -1;

    if (r == 0) {
        podman_spec(plan, &mounts, tree, &spec);
        r = buf_check(&spec, err);
    }
    engine_mounts_release(&mounts);
    if (r < 0 || engine_write(e, "spec", buf_str(&spec), spec.len, err) < 0)
        return -1;
    return configure(e, err);
}

static int podman_command(const struct plan *plan, const struct runtime_tools *tools,
                          struct runtime_command *out, struct error *err)
{
    if (!tools->podman || !tools->crun || !tools->init || !tools->podman_hook)
        return error_fail(err, "a part of podman or of repx-launch is missing; "
                               "'repx-launch doctor' tells what to install");
    out->engine = engine_new(&backend_podman, tools, plan, err);
    if (!out->engine || podman_prepare(out->engine, plan, err) < 0)
        return -1;
    out->program = strdup(tools->podman);
    if (!out->program)
        return error_oom(err);
    if (podman_env(out->engine->dir, out->engine->id, &out->env, err) < 0 ||
        podman_argv(plan, tools, out->engine->dir, out->engine->id, geteuid() != 0,
                    &out->argv, err) < 0)
        return -1;
    strv_addl(&out->argv, INIT_CHANNEL_ARG, ENGINE_SOCKET, NULL);
    return strv_check(&out->argv, err);
}

/* What comes nearest from a terminal: podman's own mounts are there in addition. */
static int podman_describe(const struct plan *plan, const struct runtime_tools *tools,
                           struct strv *out, struct error *err)
{
    strv_add(out, tools->podman ? tools->podman : "podman");
    strv_addl(out, "run", "--rm", "--read-only", "--cgroups", "disabled", "--userns",
              "keep-id", "--cap-drop", "all", "--security-opt", "no-new-privileges",
              "--network", plan->network == PLAN_NETWORK_HOST ? "host" : "none", NULL);
    if (engine_describe_mounts(plan, !plan->rootfs, out, err) < 0)
        return -1;
    if (plan->cwd)
        strv_addl(out, "--workdir", plan->cwd, NULL);
    strv_add(out, "--rootfs");
    strv_addf(out, "%s:O", plan->rootfs ? plan->rootfs : "/");
    strv_extend(out, strv_argv(&plan->argv));
    return strv_check(out, err);
}

/* Rare, so that its time does not count. Podman may be at work still when its launch
 * has been killed; and killed itself, at one moment or another, it leaves processes
 * that wait for it for ever and are in none of its records. Then what is in its
 * records, whose files may be another user's in its namespace. That it is not told of a
 * container, or cannot read what it was writing, is no news: all of it is in the
 * launch's directories. */
static int podman_remove(const struct runtime_tools *tools, const char *dir,
                         const char *id, struct error *err)
{
    static const char *const programs[] = {"podman", "conmon", "crun", "catatonit",
                                           NULL};
    _cleanup_strv_ struct strv env = STRV_INIT, argv = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;
    int r;

    process_kill_named(programs, id);
    if (!tools->podman || !tools->crun)
        return 0;
    if (podman_env(dir, id, &env, err) < 0)
        return -1;
    podman_globals(tools, dir, id, &argv);
    strv_addl(&argv, "rm", "--all", "--force", "--time=0", NULL);
    if (strv_check(&argv, err) < 0)
        return -1;
    r = engine_run(strv_argv(&argv), strv_argv(&env), -1, &output, err);
    if (r != 0)
        log_debug("container %s: %s", id, err->text);
    /* the one that keeps its user namespace, and anything a moment older than that */
    process_kill_named(programs, id);
    error_clear(err);
    return 0;
}

const struct runtime_backend backend_podman = {
    .name = "podman",
    .isolated = true,
    .engine = true,
    .probe = podman_probe,
    .version = podman_version,
    .command = podman_command,
    .describe = podman_describe,
    .space = space_of_engine,
    .diagnose = podman_diagnose,
    .remove = podman_remove,
};
