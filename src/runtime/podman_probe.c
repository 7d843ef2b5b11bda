/* Does podman work on this node? A trial container, and what to do when it fails. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/init_protocol.h"
#include "runtime/podman.h"
#include "runtime/runtime_internal.h"

/* What podman says -> what helps. The first that fits counts. */
static const struct {
    const char *text, *hint;
} remedies[] = {
    {"newuidmap",
     "install the package 'uidmap', and let the administrator give the user "
     "ranges in /etc/subuid and /etc/subgid"},
    {"subuid", "the administrator gives the user ranges with 'usermod "
               "--add-subuids 100000-165535 --add-subgids 100000-165535 USER'"},
    {"cgroup", "crun needs the pure cgroup v2 layout: boot with "
               "systemd.unified_cgroup_hierarchy=1"},
    {"user namespace", "user namespaces must be allowed on this node: as root, 'sysctl "
                       "user.max_user_namespaces=15000'"},
};

static void add_remedy(struct error *why, const char *output)
{
    for (size_t i = 0; i < array_size(remedies); i++)
        if (strstr(output, remedies[i].text)) {
            error_hint(why, "%s", remedies[i].hint);
            return;
        }
    error_hint(why, "'repx-launch doctor' checks what podman needs");
}

static int check_parts(const struct runtime_tools *tools, struct error *why)
{
    if (!tools->podman)
        error_fail(why,
                   "podman is not installed; install the packages 'podman', 'crun' "
                   "and 'uidmap', or ask the administrator to");
    else if (!tools->crun)
        error_fail(why,
                   "crun, which runs podman's containers, is not installed; install "
                   "the package 'crun'");
    else if (!tools->init || !tools->podman_hook)
        error_fail(why, "repx-sandbox-init or repx-podman-hook, parts of repx-launch, "
                        "are not found; install repx-launch completely or keep its "
                        "programs in one directory");
    else
        return 0;
    return 1;
}

static int trial(struct engine *e, const struct plan *plan, struct error *why)
{
    _cleanup_strv_ struct strv argv = STRV_INIT, env = STRV_INIT;
    _cleanup_buf_ struct buf output = BUF_INIT;
    int r;

    if (podman_prepare(e, plan, why) < 0 || podman_env(e->dir, e->id, &env, why) < 0 ||
        podman_argv(plan, e->tools, e->dir, e->id, geteuid() != 0, &argv, why) < 0)
        return -1;
    strv_add(&argv, INIT_PROBE_ARG);
    if (strv_check(&argv, why) < 0)
        return -1;
    e->may_remain = true; /* at least podman's process for the user namespace */
    r = engine_run(strv_argv(&argv), strv_argv(&env), -1, &output, why);
    if (r > 0)
        add_remedy(why, buf_str(&output));
    return r < 0 ? 1 : r;
}

int podman_probe(const struct runtime_tools *tools, struct error *why)
{
    struct plan plan = PLAN_INIT;
    struct engine *e;
    int r;

    if (check_parts(tools, why) != 0)
        return 1;
    if (engine_trial_plan(&plan, "podman", why) < 0)
        return -1;
    e = engine_new(&backend_podman, tools, &plan, why);
    r = e ? trial(e, &plan, why) : 1;
    engine_free(e);
    plan_release(&plan);
    return r;
}

/* "podman version 4.3.1" */
char *podman_version(const struct runtime_tools *tools)
{
    char *const env[] = {NULL};

    return runtime_program_version(tools, "podman", tools->podman, env);
}
