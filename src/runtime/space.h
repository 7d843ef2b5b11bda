/* space: the namespaces of a sandbox that outlive every process of it. The tasks of a
 * Slurm step share one sandbox per node; slurmstepd has started them, so they enter it
 * one by one (setns). Instead of a process that would have to hold it open, be found,
 * and be ended, there are descriptors: what is here can be sent to others (SCM_RIGHTS)
 * and lives as long as somebody has it or is inside.
 */
#ifndef REPX_RUNTIME_SPACE_H
#define REPX_RUNTIME_SPACE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/runtime.h"

struct error;

#define SPACE_MAX 8

/* In the order in which they have to be entered: the user namespace that owns the
 * others first, the mount namespace, and then the user namespace inside it, where bwrap
 * made one of its own. Only those that differ from this process's. */
struct space {
    int fds[SPACE_MAX];        /* owned, close-on-exec */
    uint32_t types[SPACE_MAX]; /* CLONE_NEW* */
    size_t n;
};

#define SPACE_INIT                                                                     \
    {                                                                                  \
        .n = 0                                                                         \
    }

/* Makes the sandbox of a plan that is joined and opens its namespaces; when it returns
 * no process of it is left. -1 for a backend that cannot, with what to do instead. A
 * stop signal (supervise_prepare) ends it. */
int space_make(const struct runtime_backend *backend, const struct plan *plan,
               const struct runtime_tools *tools, struct space *out, struct error *err);
void space_release(struct space *s);

#endif
