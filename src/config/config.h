/* config: what the site and the user configured. Strict: unknown key, malformed value
 * or over-long line is an error with file and line (CONTRACT section 9). Owner of
 * ini.h.
 *
 * Files are read in this order and a later one wins key by key: /etc/repx/repx.ini
 * (root's, the only one whose [policy] counts), $XDG_CONFIG_HOME/repx/config.toml, then
 * repx.ini there, then --config FILE.
 */
#ifndef REPX_CONFIG_CONFIG_H
#define REPX_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;

/* Where a value was set: "file:line"; NULL when it is not set. Owned by the config. */
struct config_string {
    char *value;
    char *origin;
};
struct config_bool {
    bool value;
    char *origin;
};
struct config_number {
    uint64_t value;
    char *origin;
};
struct config_list {
    struct strv value;
    char *origin;
};

/* [targets.NAME.local] and [targets.NAME.slurm] */
struct config_scheduler {
    struct config_list execution_types;
    struct config_string default_execution_type;
    char *origin; /* of the section's first header; NULL: there is no such section */
};

struct config_target {
    char *name;
    char *origin; /* of the section's first header */
    struct config_string base_path;
    struct config_string node_local_path;
    struct config_string default_scheduler;      /* "local" or "slurm" */
    struct config_string default_execution_type; /* for both schedulers */
    struct config_bool mount_host_paths;
    struct config_list mount_paths;
    struct config_string network;
    struct config_list env_pass;
    struct config_string gpus;           /* as --gpus */
    struct config_number cache_max_size; /* bytes */
    struct config_number cache_min_free; /* bytes */
    struct config_number grace;          /* seconds */
    struct config_string staging;        /* "auto", "flat" or "off" */
    struct config_string stage_path;     /* where sbcast puts images on the nodes */
    struct config_number stage_timeout;  /* seconds */
    struct config_scheduler local, slurm;
};

/* [policy], site file only */
struct config_policy {
    struct config_list allowed_runtimes;
    struct config_bool allow_impure;       /* default true */
    struct config_bool allow_host_network; /* default true */
    struct config_bool allow_gpus;         /* default true */
    struct config_list cdi_dirs;           /* of CDI specifications */
    struct config_list forbidden_mounts;   /* path prefixes */
    struct config_list forced_mounts;      /* SRC[:DST[:ro|rw]] */
    struct config_list allowed_images;     /* path prefixes or sha256:... */
    struct config_string shared_store;     /* root's store that all users read */
    struct config_number cache_max_size;
    struct config_number cache_min_free;
};

struct config {
    struct config_string submission_target;
    struct config_string default_scheduler; /* of targets without their own */
    struct config_target *targets;
    size_t n_targets;
    struct config_policy policy;
    struct strv files; /* those that were read, in order */
};

#define CONFIG_INIT                                                                    \
    {                                                                                  \
        0                                                                              \
    }

/* Reads one file's text. trusted_policy: [policy] counts; elsewhere it is an error. */
int config_parse(struct config *c, const char *text, size_t len, const char *file_name,
                 bool trusted_policy, struct error *err);

/* Reads the standard files. extra is --config or NULL; it must exist. site_file is
 * normally CONFIG_SITE_FILE; a site file that exists and cannot be trusted or read is
 * an error (fail closed). */
#define CONFIG_SITE_FILE "/etc/repx/repx.ini"
int config_load(struct config *c, const char *site_file, char *const *env,
                const char *extra, struct error *err);
void config_release(struct config *c);

const struct config_target *config_find_target(const struct config *c,
                                               const char *name);

#endif
