/* bindlist: the binds a launch wants, each destination once, in the order of mounting.
 */
#ifndef REPX_LAUNCH_BINDLIST_H
#define REPX_LAUNCH_BINDLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pathset.h"
#include "image/store_tmp.h"
#include "plan/build.h"

struct error;

struct bindlist {
    struct plan_bind *items; /* strings owned by the list */
    bool *is_file;           /* the source is not a directory */
    size_t n, cap;
    struct pathset dests; /* of items, by number */
};

#define BINDLIST_INIT                                                                  \
    {                                                                                  \
        0                                                                              \
    }

void bindlist_release(struct bindlist *l);

/* Appends a bind; strings are copied. A destination that is there already is left
 * alone: the first one counts. */
int bindlist_add(struct bindlist *l, enum plan_mount_kind kind, enum plan_role role,
                 const char *source, const char *dest, bool is_file, struct error *err);

bool bindlist_has(const struct bindlist *l, const char *dest);

/* Is there a directory in the list that shows what is at path already? */
bool bindlist_shows(const struct bindlist *l, const char *path);

/* Adds SRC[:DST[:ro|rw]] of the user or the site. The source must exist. */
int bindlist_add_mount(struct bindlist *l, const char *text, struct error *err);

/* Refuses a destination that a symbolic link leads out of the earlier bind that it lies
 * below: bwrap follows such a link while the host's root is still there, and makes the
 * mount point on the host. The links in a writable directory are a job's. */
int bindlist_check_nested(const struct bindlist *l, struct error *err);

/* The host's file system as the root of an impure sandbox (mount_host_paths), with the
 * /nix/store of host and image together. rootfs: the image's tree or NULL. When both
 * have a store, farm becomes a directory of the node-local store that has to live as
 * long as the sandbox. */
int bindlist_add_host_root(struct bindlist *l, const char *rootfs, struct store *store,
                           struct store_tmp *farm, struct error *err);

#endif
