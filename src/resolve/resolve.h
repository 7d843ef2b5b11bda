/* resolve: request + configuration + SLURM_* -> one settled answer, each value with its
 * origin. Precedence: command line, REPX_*, --config, user, site, built-in. Policy is
 * applied here. No runtime is probed here: candidates are listed in order. */
#ifndef REPX_RESOLVE_RESOLVE_H
#define REPX_RESOLVE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "config/config.h"
#include "request/request.h"

struct error;

struct settled {
    char *target;
    char *scheduler;       /* "local" or "slurm": whose execution_types count */
    char *base_path;       /* absolute, expanded */
    char *node_local_path; /* NULL: not configured */
    struct strv runtimes; /* candidates in order; never native unless listed or asked */
    bool runtime_forced;  /* by the user: the only candidate */
    bool mount_host_paths;
    struct strv mount_paths;   /* SRC:DST:ro|rw, absolute, expanded */
    struct strv forced_mounts; /* of the site */
    bool network_host;
    char *gpus;             /* "none", "auto" or a list of device names */
    struct strv cdi_dirs;   /* of the site: where the devices are described */
    struct strv env_pass;   /* built-in pass list and env_pass: names, "PREFIX*" */
    struct strv env_set;    /* "NAME=VALUE" and "NAME" from --env */
    uint64_t grace;         /* seconds */
    char *staging;          /* "auto", "flat": without overlay, "off": bwrap alone */
    char *stage_path;       /* of broadcast images on the nodes, until extracted */
    uint64_t stage_timeout; /* seconds, of one broadcast */
    uint64_t cache_max_size, cache_min_free; /* bytes, 0 none */
    char *shared_store;                      /* the site's, NULL none */
    /* For `repx-launch config`: "name", "value", "origin" triples. */
    struct strv origins;
};

#define SETTLED_INIT                                                                   \
    {                                                                                  \
        0                                                                              \
    }

/* env: the caller's environment (SLURM_*, HOME, USER). */
int resolve(struct settled *out, const struct request *req, const struct config *cfg,
            char *const *env, struct error *err);
void settled_release(struct settled *s);

/* %u user, %U uid, %h short host name, %j job, %%; $NAME, ${NAME}, $$ at any place of a
 * path, ~ at its start. An unset or empty variable is an error, except that the name
 * service stands in for HOME and USER. Owned by the caller. */
char *resolve_expand(const char *text, char *const *env, struct error *err);

/* Is this image (canonical path, ChainID hex) allowed by the site? -1 with the rule. */
int resolve_image_allowed(const struct config *cfg, const char *path, const char *hex,
                          struct error *err);

/* May this directory of the host (canonical path) be the root of a sandbox? It is shown
 * as a mount is: forbidden_mounts counts, and without allow_impure the host's own root
 * is refused. -1 with the rule. */
int resolve_tree_allowed(const struct config *cfg, char *const *env, const char *path,
                         struct error *err);

/* The environment variables of env that match the pass list, in the order of env. */
void resolve_env_pass(const struct settled *s, char *const *env, struct strv *out);

#endif
