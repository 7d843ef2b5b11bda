/* engine: what podman and docker have in common. The engine's own program makes the
 * container; everything that goes into it comes from the plan:
 *
 *   - an own directory per launch, <node-local>/repx/engines/<id>, 0700, removed at the
 *     end, or by the next launch when this one was killed;
 *   - in it "tree/rootfs", a skeleton of the sandbox's root: mount points, links,
 *     nothing else. The image's entries are bound onto it from the store, which the
 *     engine thus never writes to;
 *   - in it "channel", shown to the container as ENGINE_POINT: repx-sandbox-init and
 * the socket over which it gets command, environment and the job's own descriptors, and
 *     tells what becomes of it. When the launcher dies the connection breaks, init ends
 *     and the container with it.
 */
#ifndef REPX_RUNTIME_ENGINE_H
#define REPX_RUNTIME_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "plan/plan.h"
#include "runtime/runtime.h"
#include "sys/lockfile.h"

struct error;

/* Where the channel is inside. The root is always an own directory, so that it needs
 * nothing in the image. */
#define ENGINE_POINT "/.repx"
#define ENGINE_INIT ENGINE_POINT "/init"
#define ENGINE_SOCKET ENGINE_POINT "/socket"

/* Podman refuses a --runroot of more than 50 bytes, and its sockets are there: that
 * part of a launch's files is in a private directory of this one, with the launch's id.
 */
#define ENGINE_SHORT "/tmp"

/* What is mounted from the directory of a launch: all that has to be there as long as
 * the sandbox is. */
#define ENGINE_TREE "tree"
#define ENGINE_ROOTFS ENGINE_TREE "/rootfs"

enum engine_mount_kind { ENGINE_BIND, ENGINE_TMPFS, ENGINE_PROC, ENGINE_DEV };

/* A mount as an engine is asked for it, in order. */
struct engine_mount {
    enum engine_mount_kind kind;
    bool writable, devices, file;
    char *source, *dest; /* owned; source is NULL but for binds */
};

struct engine_mounts {
    struct engine_mount *items;
    size_t n, cap;
};

#define ENGINE_MOUNTS_INIT                                                             \
    {                                                                                  \
        0                                                                              \
    }

struct engine {
    const struct runtime_backend *backend;
    const struct runtime_tools *tools; /* borrowed; outlives the engine */
    char id[32]; /* "repx-<16 hex digits>": the container's name */
    char *dir;   /* the own directory */
    int parent_fd, dirfd;
    struct lockfile lock; /* held as long as the launch lives */
    int listen_fd;        /* until init has connected */
    struct strv words;    /* for init: MODE CWD ARGV..., or MODE alone */
    struct strv env;      /* of the job */
    struct strv checks;   /* init_protocol.h */
    bool connected;       /* init has its orders */
    bool may_remain;      /* the container, because its program ended abnormally */
};

/* Makes the directory of a launch, with the channel listening; removes first what
 * killed launches have left. The result belongs to the caller. */
struct engine *engine_new(const struct runtime_backend *backend,
                          const struct runtime_tools *tools, const struct plan *plan,
                          struct error *err);
/* Ends what may be left of the container and removes the directory. NULL is nothing. */
void engine_free(struct engine *e);

/* "<dir>/<name>", owned by the caller. */
char *engine_path(const struct engine *e, const char *name, struct error *err);
/* Writes a small file of the directory. */
int engine_write(const struct engine *e, const char *name, const char *text, size_t len,
                 struct error *err);

/* Makes ENGINE_SHORT/<id>, which goes when the engine's directory goes. Returns it
 * open.
 */
int engine_make_short(const struct engine *e, struct error *err);

/* Makes the skeleton for a plan and lists its mounts, ENGINE_POINT last. cover_root:
 * the engine's root is not the skeleton, so that its directories are mounts too. The
 * checks for init are added to the engine. */
int engine_build(struct engine *e, const struct plan *plan, bool cover_root,
                 struct engine_mounts *out, struct error *err);
int engine_mounts_add(struct engine_mounts *m, enum engine_mount_kind kind,
                      const char *source, const char *dest, struct error *err);
bool engine_mounts_has(const struct engine_mounts *m, const char *dest);
void engine_mounts_release(struct engine_mounts *m);

/* Adds what is mounted below the sources of read-only binds as mounts of their own:
 * docker (before 25) would leave those writable. */
int engine_add_submounts(struct engine_mounts *m, struct error *err);

/* Mounts below /proc are the engine's own business: it seals what the plan wants sealed
 * there. True when the plan has some. */
bool engine_seals_proc(const struct plan *plan);

/* Takes the connection of init, when it is there, and sends the orders: stdio[N]
 * becomes descriptor N of the job, but a terminal stays the engine's when keep_terminal
 * is set, and so does what is -1. 0: done, *status_fd and *pidfd (of init) belong to
 * the caller. 1: nothing yet. -1. */
int engine_accept(struct engine *e, const int stdio[3], bool keep_terminal,
                  int *status_fd, int *pidfd, struct error *err);

/* What a check of init's that failed means (INIT_STAGE_MOUNT). Always -1. */
int engine_explain_mount(const struct engine *e, int32_t check, struct error *err);

/* Runs a program of the engine to its end; its output is for the caller. 0: it
 * succeeded. 1: it did not, with err filled. -1: it could not run. */
int engine_run(char *const *argv, char *const *env, int stdin_fd, struct buf *output,
               struct error *err);
/* That a program of the engine failed, in one sentence with what it has said. Always 1.
 */
int engine_explain(const char *program, int wait_status, struct buf *output,
                   struct error *err);

/* The smallest plan, for trial containers: /proc, /dev, /tmp, no image. */
int engine_trial_plan(struct plan *plan, const char *runtime, struct error *err);

/* A mount as the argument of --mount (fields of CSV) or --tmpfs. Owned by the caller.
 */
char *engine_mount_option(const struct engine_mount *m);

/* What a plan binds, for people: --mount options with the plan's own sources. */
int engine_describe_mounts(const struct plan *plan, bool with_root, struct strv *out,
                           struct error *err);

#endif
