/* plan: what is going to happen, as data. Built from settled facts only: no file, clock
 * or environment is read here, so that a plan can be printed, compared and tested
 * without privileges. Backends turn it into argv and descriptors.
 *
 * Mounts are ordered: a later mount may lie below an earlier one. Destinations are
 * absolute paths inside the sandbox, already resolved against the image's own links
 * (image/rootview).
 */
#ifndef REPX_PLAN_PLAN_H
#define REPX_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;

enum plan_mount_kind {
    PLAN_MOUNT_BIND_RO, /* source is a host path; recursive */
    PLAN_MOUNT_BIND_RW,
    PLAN_MOUNT_BIND_DEV,   /* a device node or directory with devices, read-write */
    PLAN_MOUNT_TMPFS,      /* fresh, mode 01777 */
    PLAN_MOUNT_DIR,        /* an empty directory on the sandbox's own root or a tmpfs */
    PLAN_MOUNT_SYMLINK,    /* source is the link's target text */
    PLAN_MOUNT_DATA,       /* source is the content of a read-only file */
    PLAN_MOUNT_PROC,       /* a /proc of the sandbox's pid namespace */
    PLAN_MOUNT_DEV,        /* a minimal /dev */
    PLAN_MOUNT_REMOUNT_RO, /* makes the mount at dest read-only, not what is mounted
                              below */
    PLAN_MOUNT_OVERLAY     /* the plan's layers merged, read-only; at "/" only. source
                              is the store's entry, for people */
};

/* What the mount is for: shown by `plan`, written to launch.json, used by podman and
 * docker, which bring a root of their own and skip PLAN_ROLE_ROOT. */
enum plan_role {
    PLAN_ROLE_ROOT,   /* the image, piece by piece */
    PLAN_ROLE_SYSTEM, /* /proc /dev /tmp, passwd, group, hosts */
    PLAN_ROLE_LAB,    /* job package, host-tools, store, metadata */
    PLAN_ROLE_INPUT,
    PLAN_ROLE_OUT,
    PLAN_ROLE_USER, /* --mount-path, mount_host_paths */
    PLAN_ROLE_GPU,  /* --gpus: device nodes, libraries, links to these */
};

struct plan_mount {
    enum plan_mount_kind kind;
    enum plan_role role;
    char *source; /* owned; NULL where the kind has none */
    char *dest;   /* owned */
};

/* A directory of the image that mount points lie below: overlay shows the one that
 * holds them, so that it must look as the image's. */
struct plan_dir {
    char *path; /* owned; "/" first, parents before children */
    unsigned mode;
    int64_t mtime_s;
    long mtime_ns;
};

enum plan_network { PLAN_NETWORK_NONE, PLAN_NETWORK_HOST };

struct plan {
    char *runtime; /* "bwrap", "podman", "docker", "native" */
    char *rootfs; /* host path of the image's tree; NULL: native, or impure host root */
    struct strv lowers;    /* host paths of the layers' trees, bottom first: the root is
                            * their overlay. Empty: rootfs is a whole tree */
    struct plan_dir *dirs; /* with lowers */
    size_t n_dirs;
    char *image_ref; /* digest name of the image, for engines; NULL without image */
    struct plan_mount *mounts;
    size_t n_mounts, cap_mounts;
    struct strv gpus; /* names of the devices, VENDOR/CLASS=NAME */
    struct strv env;  /* the complete environment */
    struct strv argv; /* the complete command */
    char *cwd;
    char *hostname; /* NULL: the host's */
    enum plan_network network;
    bool impure;
    /* Its processes come from outside, one by one (the tasks of a Slurm step): they can
     * enter no process-id namespace, so the sandbox has the host's, and its /proc. */
    bool joined;
    bool interactive; /* keeps the terminal: no new session */
};

#define PLAN_INIT                                                                      \
    {                                                                                  \
        0                                                                              \
    }

void plan_release(struct plan *p);

/* Appends a mount; strings are copied. -1 with err when out of memory, or when dest is
 * not absolute and normal. */
int plan_add_mount(struct plan *p, enum plan_mount_kind kind, enum plan_role role,
                   const char *source, const char *dest, struct error *err);

const char *plan_mount_kind_name(enum plan_mount_kind kind);
const char *plan_role_name(enum plan_role role);

#endif
