/* resolve_internal: what the files of resolve/ share. */
#ifndef REPX_RESOLVE_INTERNAL_H
#define REPX_RESOLVE_INTERNAL_H

#include "resolve/resolve.h"

/* One resolution in progress. */
struct resolve_context {
    struct settled *out;
    const struct request *req;
    const struct config *cfg;
    char *const *env;
    const struct config_target *target;       /* NULL: the built-in one */
    const struct config_scheduler *scheduler; /* NULL: the built-in one */
};

/* "command line --NAME", "environment REPX_NAME". Owned by the caller, NULL when out of
 * memory. */
char *resolve_request_origin(enum request_origin origin, const char *option);

/* Adds a triple to settled.origins. */
void resolve_note(struct settled *out, const char *name, const char *value,
                  const char *origin);

int resolve_target(struct resolve_context *c, struct error *err);
int resolve_paths(struct resolve_context *c, struct error *err);
int resolve_runtimes(struct resolve_context *c, struct error *err);
/* mount_host_paths, mount_paths, forced_mounts and the network, which the first
 * implies. */
int resolve_impure(struct resolve_context *c, struct error *err);

/* -1 with the rule when policy forbids to show source (absolute) or what is below it.
 */
int resolve_check_forbidden(const struct resolve_context *c, const char *source,
                            const char *what, struct error *err);

#endif
