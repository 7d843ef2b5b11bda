/* runtime: backends as a table. A backend turns a plan into a command with descriptors
 * (pure but for the memory files it makes); supervise runs it. */
#ifndef REPX_RUNTIME_RUNTIME_H
#define REPX_RUNTIME_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "plan/plan.h"

struct engine;
struct error;
struct space;
struct stage;

/* Who makes the mounts of a bwrap sandbox. */
enum runtime_staging {
    STAGING_OFF,     /* bwrap, one after the other */
    STAGING_ON,      /* we, in a namespace of our own (stage.h) */
    STAGING_OVERLAY, /* and layers can be merged there by a rootless overlay */
};

/* Programs found on this node and directories of ours; filled by runtime_tools_find. */
struct runtime_tools {
    char *bwrap; /* absolute path, NULL: not found */
    char *init;  /* repx-sandbox-init, static; absolute path */
    char *job;   /* repx-job, static; NULL: not found, which only steps notice */
    char *podman, *crun;
    char *podman_hook; /* repx-podman-hook, a part of this program */
    char *docker;
    char *docker_host; /* what DOCKER_HOST says, else where the daemon listens */
    char *state_dir; /* <node-local>/repx: probe caches live below; NULL: no caching */
    enum runtime_staging staging; /* runtime_find_staging */
    char *staging_why;            /* why it is not STAGING_OVERLAY; owned */
};

#define RUNTIME_TOOLS_INIT                                                             \
    {                                                                                  \
        0                                                                              \
    }

/* A command ready for spawn. fds are owned: inherited under their own number. */
struct runtime_command {
    char *program;
    struct stage *stage;   /* what makes its mounts before it is executed, else NULL */
    struct engine *engine; /* podman, docker: what it owns beside the process */
    struct strv argv, env;
    int *fds;
    size_t n_fds;
    int status_fd; /* where repx-sandbox-init reports, -1 for native; ours, read end */
    int status_write_fd; /* the other end, inherited by the command; closed after spawn
                          */
    int info_fd;         /* bwrap --info-fd, read end; -1 */
    int info_write_fd;
    size_t command_at; /* index in argv of the job's own command; with repx-sandbox-init
                        * its working directory stands right before */
};

#define RUNTIME_COMMAND_INIT                                                           \
    {                                                                                  \
        .status_fd = -1, .status_write_fd = -1, .info_fd = -1, .info_write_fd = -1     \
    }

/* One finding about what a runtime needs on this node; text has the remedy when it is
 * not good. */
typedef void (*runtime_report)(void *arg, const char *check, bool good,
                               const char *text);

struct runtime_backend {
    const char *name;
    bool isolated;
    bool engine; /* its root is an own directory with the image bound entry by entry */
    bool daemon; /* somebody else, with other rights, looks up what it mounts */
    bool etc;    /* it puts its own hosts, hostname and resolv.conf into /etc where the
                  * plan has none */
    /* Is it usable on this node? A real trial. 0 yes; 1 no, with the reason in why (a
     * sentence with its remedy); -1 error. */
    int (*probe)(const struct runtime_tools *tools, struct error *why);
    /* Does what a probe has found, perhaps long ago, still answer? As probe, but costs
     * next to nothing. NULL: it cannot go away. */
    int (*alive)(const struct runtime_tools *tools, struct error *why);
    /* Version text for the record ("bubblewrap 0.8.0"). Owned by the caller, may be
     * NULL. */
    char *(*version)(const struct runtime_tools *tools);
    int (*command)(const struct plan *plan, const struct runtime_tools *tools,
                   struct runtime_command *out, struct error *err);
    /* What command() will start, for people: complete and readable, without the
     * descriptors of ours. NULL: the plan's own command is it. */
    int (*describe)(const struct plan *plan, const struct runtime_tools *tools,
                    struct strv *out, struct error *err);
    /* The namespaces of a plan that is joined (runtime/space.h). NULL: the backend has
     * none that a task could enter. */
    int (*space)(const struct runtime_backend *backend, const struct plan *plan,
                 const struct runtime_tools *tools, struct space *out,
                 struct error *err);
    /* What it needs, piece by piece, for doctor; nothing when it is not installed.
     * NULL: the probe says it all. */
    void (*diagnose)(const struct runtime_tools *tools, runtime_report report,
                     void *arg);
    /* Engines: removes by force what a killed launch may have left of the container id,
     * whose directory was dir. */
    int (*remove)(const struct runtime_tools *tools, const char *dir, const char *id,
                  struct error *err);
};

/* NULL: unknown name. */
const struct runtime_backend *runtime_find(const char *name);
/* All rows; *n. */
const struct runtime_backend *const *runtime_all(size_t *n);

int runtime_tools_find(struct runtime_tools *t, const char *bwrap_config,
                       const char *state_dir, struct error *err);
void runtime_tools_release(struct runtime_tools *t);
void runtime_command_release(struct runtime_command *c);

/* The first candidate that is available here. None: an error that lists each with its
 * reason; never anything that is not in the list. Answers are cached per boot below
 * tools->state_dir; a cached "no" is probed again. */
int runtime_select(const struct strv *candidates, const struct runtime_tools *tools,
                   const struct runtime_backend **out, struct error *err);

/* Fills tools->staging with what works on this node, by trial sandboxes, but with
 * `most` at most. The answer is kept for the boot; again: asks anew. */
void runtime_find_staging(struct runtime_tools *t, enum runtime_staging most,
                          bool again);
/* Whether the sandbox's first process may attach many mounts here; a trial, whose
 * answer is kept. False with the reason. */
bool runtime_ask_attach(const struct runtime_tools *tools, struct error *why);
/* "off", "on", "overlay". */
const char *runtime_staging_name(enum runtime_staging s);

#endif
