#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "cmd/command.h"
#include "launch/imagearg.h"
#include "launch/prepare.h"
#include "outcome/classify.h"
#include "runtime/supervise.h"

/* The command behind "--" or all arguments; else what the image says. */
static int exec_argv(const struct request *req, const struct image *img,
                     struct strv *argv, struct error *err)
{
    strv_extend(argv, strv_argv(&req->args));
    if (argv->count == 0) {
        strv_extend(argv, strv_argv(&img->entrypoint));
        strv_extend(argv, strv_argv(&img->cmd));
    }
    if (argv->count == 0) {
        error_usage(err, "no command, and the image %s names none", img->reference);
        return error_hint(err, "repx-launch exec --image IMG -- CMD...");
    }
    return strv_check(argv, err);
}

static int exec_in(struct session *s, struct launch *l, const char *path,
                   int *exit_code, struct error *err)
{
    struct bindlist none = BINDLIST_INIT;
    _cleanup_strv_ struct strv argv = STRV_INIT;
    struct supervise_result result = {0};
    struct supervise_options opts = {.stdin_fd = -1,
                                     .stdout_fd = -1,
                                     .stderr_fd = -1,
                                     .grace_ns = s->settled.grace * 1000000000ull,
                                     .interactive = isatty(STDIN_FILENO) == 1};
    struct launch_spec spec = {.binds = &none, .interactive = opts.interactive};
    _cleanup_buf_ struct buf text = BUF_INIT;

    if (launch_choose(l, s, path, "the command", err) < 0)
        return -1;
    if (exec_argv(s->request, &l->image, &argv, err) < 0)
        return -1;
    spec.argv = strv_argv(&argv);
    if (launch_fetch(l, s, err) < 0 || launch_plan(l, s, &spec, err) < 0)
        return -1;
    opts.cwd = s->request->workdir;
    if (log_get_level() >= LOG_LEVEL_VERBOSE &&
        launch_command_text(l, s, &text, err) == 0)
        log_debug("%s", buf_str(&text));
    if (launch_run(l, s, &opts, &result, err) < 0)
        return -1;
    log_debug("phases: wait %.3f s, extract %.3f s, set-up %.3f s, run %.3f s",
              (double)l->rootfs.wait_ns / 1e9, (double)l->rootfs.extract_ns / 1e9,
              (double)l->setup_ns / 1e9,
              (double)(result.end_ns - result.start_ns) / 1e9);
    *exit_code = classify_exit_code(result.wait_status);
    return 0;
}

static int exec_main(const struct request *req, char *const *env, int *exit_code,
                     struct error *err)
{
    _cleanup_free_ char *path = NULL;
    struct launch l = LAUNCH_INIT;
    struct session s;
    int r;

    if (!req->image) {
        error_usage(err, "--image is missing");
        return error_hint(err, "repx-launch exec --image IMG -- CMD...");
    }
    if (supervise_prepare(err) < 0)
        return -1;
    r = session_init(&s, req, env, err);
    if (r == 0)
        r = image_argument(&s, req->image, &path, err);
    if (r == 0)
        r = exec_in(&s, &l, path, exit_code, err);
    launch_release(&l);
    session_release(&s);
    return r;
}

const struct command cmd_exec = {
    .name = "exec",
    .options = FOR_EXEC | FOR_LAUNCH | FOR_LAB | FOR_CONFIG,
    .synopsis = "--image IMAGE [OPTION...] [-- CMD ARG...]",
    .summary = "Run any command in an image",
    .details =
        "IMAGE is a path: a RepX image directory, a docker-archive, an OCI layout\n"
        "(directory or tar, with :TAG when it holds several), a root filesystem\n"
        "directory or tarball; or the name of an image of the lab. Without CMD the\n"
        "image's own command runs. The exit code is the command's own.\n",
    .main = exec_main,
};
