/* docker: what its files share, and what golden tests look at. */
#ifndef REPX_RUNTIME_DOCKER_H
#define REPX_RUNTIME_DOCKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/strv.h"
#include "runtime/engine.h"

struct buf;
struct error;

/* Who the job is. */
struct docker_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[64]; /* supplementary */
    size_t n_groups;
    char *hostname;
};

/* The whole environment of docker's client. */
int docker_env(const char *dir, struct strv *env, struct error *err);
/* Program and global options: an empty configuration, and where the daemon listens. */
void docker_globals(const struct runtime_tools *tools, const char *dir,
                    struct strv *argv);
/* `docker run` for a plan, up to the init, whose arguments follow; pure. */
int docker_argv(const struct plan *plan, const struct runtime_tools *tools,
                const char *dir, const char *id, const struct engine_mounts *mounts,
                const struct docker_user *user, const char *image, struct strv *argv,
                struct error *err);

/* The image with nothing but the symbolic links of the skeleton's root, which no mount
 * can make: imported once, under a lock, named by its content. tag is owned by the
 * caller. */
int docker_root_image(const struct engine *e, char **tag, struct error *err);

/* Skeleton, mounts and command of a launch. */
int docker_prepare(struct engine *e, const struct plan *plan, struct strv *argv,
                   struct error *err);

/* Can the daemon be reached at all? 0, or 1 with why. Costs next to nothing. */
int docker_reachable(const struct runtime_tools *tools, struct error *why);
int docker_probe(const struct runtime_tools *tools, struct error *why);
void docker_diagnose(const struct runtime_tools *tools, runtime_report report,
                     void *arg);
char *docker_version(const struct runtime_tools *tools);

#endif
