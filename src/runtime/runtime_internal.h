/* runtime_internal: what the files of runtime/ share. */
#ifndef REPX_RUNTIME_RUNTIME_INTERNAL_H
#define REPX_RUNTIME_RUNTIME_INTERNAL_H

#include <sys/types.h>

#include "runtime/runtime.h"

struct buf;
struct lockfile;

extern const struct runtime_backend backend_native;
extern const struct runtime_backend backend_bwrap;
extern const struct runtime_backend backend_podman;
extern const struct runtime_backend backend_docker;

/* bwrap's options for a plan, one operation per mount and in the same order; pure.
 * data_fds: a descriptor for each PLAN_MOUNT_DATA of the plan, in order. */
int bwrap_options(const struct plan *plan, const int *data_fds, int info_fd,
                  struct strv *out, struct error *err);

/* bwrap's options when the stage has made the mounts; appended. */
void bwrap_staged_options(const struct stage *stage, struct strv *out);

/* The space of backends whose command holds the sandbox open for a plan that is joined
 * and reports as repx-sandbox-init does. */
int space_of_command(const struct runtime_backend *backend, const struct plan *plan,
                     const struct runtime_tools *tools, struct space *out,
                     struct error *err);

/* The space of engines whose container has the user's own user namespace: the same,
 * over the channel. Nothing of the container is left, but what the namespaces hold. */
int space_of_engine(const struct runtime_backend *backend, const struct plan *plan,
                    const struct runtime_tools *tools, struct space *out,
                    struct error *err);

/* Opens the namespaces of the process, which pidfd keeps from being another one. */
int space_capture(struct space *s, pid_t holder, int pidfd, struct error *err);

/* bwrap's smallest trial: the features that bwrap_options relies on, on this node. */
int bwrap_probe(const struct runtime_tools *tools, struct error *why);

/* Why may an unprivileged user not make namespaces here? Appended to err as its remedy.
 */
void bwrap_explain(struct error *err);

/* The first line of what "PROGRAM --version" prints, or what the probe of this boot
 * remembers of it. Owned by the caller; NULL: unknown. */
char *runtime_program_version(const struct runtime_tools *tools, const char *backend,
                              const char *program, char *const *env);

/* Items as one NUL-separated block ("a\0b\0"). */
void strv_to_block(const struct strv *v, struct buf *out);

/* Gives fd to the command, which owns it from now on, also on failure. */
int runtime_command_add_fd(struct runtime_command *c, int fd, struct error *err);

/* The per-boot answers. yes: the cache knows that this backend works, with these
 * programs, for this user, since this boot. version_out (may be NULL) gets the
 * remembered version text or NULL. */
bool probe_cache_yes(const struct runtime_tools *tools, const char *backend,
                     char **version_out);
/* Before a trial: one process at a time makes it, where many launches begin on a node
 * at the same moment. True: ask the cache again, another one's may have ended since.
 * The lock (LOCKFILE_INIT before) is the caller's to release, whether it is held or
 * not. */
bool probe_cache_await(const struct runtime_tools *tools, const char *backend,
                       struct lockfile *lock);
/* Remembers a "yes"; a failure to do so costs the next launch a probe and nothing else.
 */
void probe_cache_store(const struct runtime_tools *tools, const char *backend,
                       const char *version);

#endif
