#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/plan_internal.h"

/* NULL stays NULL. */
static int copy_string(char **out, const char *s, struct error *err)
{
    if (!s)
        return 0;
    *out = strdup(s);
    return *out ? 0 : error_oom(err);
}

static int build_head(struct plan *out, const struct plan_input *in, struct error *err)
{
    const char *cwd = in->cwd;

    /* Natively the caller's directory is kept; in a sandbox it need not exist. */
    if (!cwd && in->isolated)
        cwd = "/";
    if (copy_string(&out->runtime, in->runtime, err) < 0 ||
        copy_string(&out->rootfs, in->rootfs, err) < 0 ||
        copy_string(&out->image_ref, in->image_ref, err) < 0 ||
        copy_string(&out->cwd, cwd, err) < 0)
        return -1;
    if (cwd && cwd[0] != '/')
        return error_usage(err, "the working directory '%s' is not an absolute path",
                           cwd);
    if (!in->joined && (!in->argv || !in->argv[0] || !in->argv[0][0]))
        return error_usage(err, "there is no command to run; put it behind '--'");
    if (in->argv)
        strv_extend(&out->argv, in->argv);
    out->joined = in->joined;
    out->network = in->network_host ? PLAN_NETWORK_HOST : PLAN_NETWORK_NONE;
    /* Without isolation the network is the host's, whatever was asked. */
    if (!in->isolated)
        out->network = PLAN_NETWORK_HOST;
    out->impure = in->impure || in->host_root;
    out->interactive = in->interactive;
    if (in->gpus)
        strv_extend(&out->gpus, strv_argv(in->gpus));
    if (strv_check(&out->gpus, err) < 0)
        return -1;
    return strv_check(&out->argv, err);
}

int plan_build(struct plan *out, const struct plan_input *in, struct error *err)
{
    if (build_head(out, in, err) < 0 || plan_build_env(out, in, err) < 0)
        goto fail;
    if (in->isolated && plan_build_mounts(out, in, err) < 0)
        goto fail;
    return 0;
fail:
    plan_release(out);
    return -1;
}
