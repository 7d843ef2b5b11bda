/* prepare: from "this command, in this image, with these binds" to a plan and a backend
 * that can run it here; and running it. Shared by run, exec, debug-run and plan. */
#ifndef REPX_LAUNCH_PREPARE_H
#define REPX_LAUNCH_PREPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "image/rootview.h"
#include "launch/bindlist.h"
#include "launch/session.h"
#include "plan/plan.h"
#include "runtime/runtime.h"
#include "runtime/supervise.h"

struct error;

struct launch_spec {
    const struct bindlist *binds; /* lab, inputs, out; borrowed */
    char *const *argv;
    const char *cwd;         /* NULL: --workdir, else the image's, else "/" */
    const char *path_prefix; /* first in PATH; NULL none */
    bool interactive;
    bool joined; /* for tasks that come from outside: argv NULL, and what depends on
                  * the task is not in the plan's environment */
};

struct launch {
    struct image image;
    bool has_image;
    struct image_rootfs rootfs;
    const struct runtime_backend *backend;
    char *runtime_version;
    struct rootview view;
    struct plan plan;
    struct session *session; /* whose store the farm is in */
    struct store_tmp farm;   /* /nix/store of host and image, impure mode only */
    uint64_t setup_ns;       /* from launch_plan to the start of the command */
};

#define LAUNCH_INIT                                                                    \
    {                                                                                  \
        .image = IMAGE_INIT, .rootfs = IMAGE_ROOTFS_INIT, .farm = STORE_TMP_INIT       \
    }

void launch_release(struct launch *l);

/* Opens the image (NULL: the job has none, which only native can run) and chooses the
 * runtime. Reads and probes, changes nothing but caches. `what` names the job in
 * errors. */
int launch_choose(struct launch *l, struct session *s, const char *image_path,
                  const char *what, struct error *err);

/* The same; the image is read from staged, a copy of it, when that is not NULL. The
 * site's rules about paths of images are not met by a copy, those about digests are. */
int launch_choose_staged(struct launch *l, struct session *s, const char *image_path,
                         const char *staged, const char *what, struct error *err);

/* Store, tools and runtime of this node, once before many jobs that have an image. */
int launch_check_node(struct session *s, struct error *err);

/* Decides how image_prepare leaves images in the session's store for this runtime: as
 * layers when it can merge them. After session_find_tools. */
void launch_choose_form(struct session *s, const char *runtime);

/* Puts the image's root filesystem on this node. */
int launch_fetch(struct launch *l, struct session *s, struct error *err);

/* Builds the plan; after launch_fetch. */
int launch_plan(struct launch *l, struct session *s, const struct launch_spec *spec,
                struct error *err);

/* Runs the plan. As supervise_run. */
int launch_run(struct launch *l, struct session *s,
               const struct supervise_options *opts, struct supervise_result *result,
               struct error *err);

/* Who makes the mounts, for the record; NULL where there are none. Borrowed. */
const char *launch_staging(const struct launch *l, const struct session *s);

/* The command of the plan as text that can be pasted, for -v. */
int launch_command_text(struct launch *l, struct session *s, struct buf *out,
                        struct error *err);

#endif
