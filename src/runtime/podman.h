/* podman: what its files share, and what golden tests look at. */
#ifndef REPX_RUNTIME_PODMAN_H
#define REPX_RUNTIME_PODMAN_H

#include <stdbool.h>

#include "base/strv.h"
#include "runtime/engine.h"

struct buf;
struct error;

/* The complete environment of podman itself; nothing of the caller's. */
int podman_env(const char *dir, const char *id, struct strv *env, struct error *err);
/* Program and global options. */
void podman_globals(const struct runtime_tools *tools, const char *dir, const char *id,
                    struct strv *argv);
/* `podman run` for a plan whose engine has this directory and id, up to the init, whose
 * arguments follow; pure. */
int podman_argv(const struct plan *plan, const struct runtime_tools *tools,
                const char *dir, const char *id, bool rootless, struct strv *argv,
                struct error *err);
/* What repx-podman-hook reads; pure. tree: the directory that the mounts of a plan that
 * is joined come from, for the hook to keep in memory. */
void podman_spec(const struct plan *plan, const struct engine_mounts *mounts,
                 const char *tree, struct buf *out);
/* Fills the directory of a launch: skeleton, mounts, configuration, hook. */
int podman_prepare(struct engine *e, const struct plan *plan, struct error *err);

int podman_probe(const struct runtime_tools *tools, struct error *why);
void podman_diagnose(const struct runtime_tools *tools, runtime_report report,
                     void *arg);
char *podman_version(const struct runtime_tools *tools);

#endif
