/* build: the plan of a launch from settled facts. Pure. */
#ifndef REPX_PLAN_BUILD_H
#define REPX_PLAN_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "image/rootview.h"
#include "plan/plan.h"

struct error;

/* A bind that the caller wants: role, where from, where to. */
struct plan_bind {
    enum plan_mount_kind kind; /* BIND_RO, BIND_RW, BIND_DEV, DATA, SYMLINK, DIR */
    enum plan_role role;
    const char *source;
    const char *dest;
};

struct plan_input {
    const char *runtime;
    const char *rootfs; /* host path of the image's tree; NULL: native or impure */
    const struct strv *lowers; /* the trees of its layers, bottom first; rootfs is then
                                * only a name; NULL: rootfs is a whole tree */
    const char *image_ref;
    const struct rootview
        *view;      /* of rootfs, for the dests of binds and system files */
    bool isolated;  /* a sandbox is made (not native) */
    bool host_root; /* impure mount_host_paths: host directories are the root */
    bool open_root; /* the root is an own directory, whatever the image has (engines) */
    /* host_root: top-level entries of the host and the image's store; see impure.h */
    const struct plan_bind *root_binds;
    size_t n_root_binds;
    const struct plan_bind *binds; /* lab, inputs, out, user; in order */
    size_t n_binds;
    const char *passwd,
        *group; /* texts for /etc/passwd and /etc/group; NULL: no mount */
    /* host network, or an engine that would put its own there; NULL: no mount */
    const char *resolv_conf, *hosts, *hostname;
    const struct strv *image_env;  /* of the image's config */
    const struct strv *passed_env; /* "NAME=VALUE" that matched the pass list */
    const struct strv *gpus;       /* names of the GPUs; NULL none */
    const struct strv *device_env; /* "NAME=VALUE" that come with GPUs; NULL none */
    const char *library_path;      /* last in LD_LIBRARY_PATH; NULL none */
    const struct strv *env_set;    /* "NAME=VALUE", or "NAME" = take it from host_env */
    char *const *host_env;         /* for bare names, and all of it for native */
    const char *path_prefix; /* host-tools bin directory, first in PATH; NULL none */
    const char *cwd;
    char *const *argv; /* NULL: joined */
    bool joined;       /* struct plan */
    bool network_host;
    bool caller_is_root; /* may write to /proc/sys, even without any capability */
    bool impure;
    bool interactive;
};

/* The default PATH where the image has none. */
#define PLAN_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The destinations that the image must have a mount point for, in the order in which
 * plan_build mounts them, for rootscan: those of the system files and of the binds.
 * Mount points below another bind or /tmp are left out. dests is owned by the caller,
 * its strings are borrowed from in. is_file[i] tells files from directories; a bind's
 * source type is told by bind_is_file (same order as in->binds). */
int plan_wanted_points(const struct plan_input *in, const bool *bind_is_file,
                       const char ***dests, bool **is_file, size_t *n,
                       struct error *err);

/* Fills an empty plan. */
int plan_build(struct plan *out, const struct plan_input *in, struct error *err);

/* The plan as JSON text and as text for people; environment values are shown. Owned by
 * the caller, NULL with err. */
char *plan_to_json(const struct plan *p, struct error *err);
char *plan_to_text(const struct plan *p, struct error *err);

#endif
