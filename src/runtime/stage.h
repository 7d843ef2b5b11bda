/* stage: the mounts of a sandbox, assembled by ourselves.
 *
 * bwrap reads mountinfo for each of its operations, so that its time grows with the
 * square of their number, and 0.8 has no overlay. Therefore the process that becomes
 * bwrap first makes a mount namespace of its own (a user namespace around it, unless it
 * is root), puts the plan's mounts together there, and hands bwrap one recursive bind.
 * What needs bwrap's pid namespace (/proc) stays bwrap's. The namespace that bwrap then
 * makes is less privileged, so that the kernel locks what is read-only here.
 *
 * Of many mounts the directory that they lie below is kept apart: it leaves the stage
 * as a detached mount, with all below it, and bwrap never reads it.
 *
 * Sources are cloned first, from the host's tree as it is. Mount points are found and
 * made through descriptors below the new root, links and ".." being taken as if it were
 * "/": what an image or a job has left there cannot lead out.
 */
#ifndef REPX_RUNTIME_STAGE_H
#define REPX_RUNTIME_STAGE_H

#include <stdbool.h>

#include "plan/plan.h"
#include "runtime/runtime.h"

struct error;

struct stage {
    const struct plan *plan; /* borrowed */
    char *dir;  /* an empty directory of the host; ours is mounted on it, unseen */
    char *root; /* below dir: what bwrap binds */
    /* A directory of the sandbox whose mounts bwrap does not see: they leave the stage
     * as one detached mount, which repx-sandbox-init attaches. NULL: none. */
    char *apart;
    int apart_fd; /* borrowed: the number under which the mount is inherited */
};

/* Of the tools' state directory, made when it is missing. NULL with err. */
struct stage *stage_new(const struct plan *plan, const struct runtime_tools *tools,
                        struct error *err);
void stage_free(struct stage *s);

/* Does the stage make this mount? The others are bwrap's. */
bool stage_makes(const struct plan_mount *m);

/* How many mounts are worth it. */
#define STAGE_APART_MIN 16

/* The deepest directory that more than half of a plan's mounts lie below, at least
 * `least`, when the plan's order allows to attach it last. Owned by the caller; NULL:
 * none. -1: out of memory. Pure. */
int stage_find_apart(const struct plan *plan, size_t least, char **out,
                     struct error *err);

/* Appends what init has to be told of the stage's mount, when there is one. */
void stage_attach_words(const struct stage *s, struct strv *argv);

/* What init's failure to attach the mount means. Always -1. */
int stage_explain_attach(const struct stage *s, int errnum, struct error *err);

/* Does setting mounts apart work on this node? A trial sandbox, its answer kept for the
 * boot. */
bool stage_can_set_apart(const struct runtime_tools *tools);

/* struct spawn's prepare: assembles the stage that arg is. The process can do nothing
 * afterwards but exec. */
int stage_assemble(void *arg, struct error *err);

#endif
