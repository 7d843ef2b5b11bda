/* spawn_internal: what the files of spawn share: where a child failed, and what that
 * means. */
#ifndef REPX_SYS_SPAWN_INTERNAL_H
#define REPX_SYS_SPAWN_INTERNAL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "sys/spawn.h"

enum spawn_stage {
    STAGE_SESSION = 1,
    STAGE_DEATH_SIGNAL,
    STAGE_DESCRIPTORS,
    STAGE_CWD,
    STAGE_NO_NEW_PRIVS,
    STAGE_PREPARE,
    STAGE_SIGNALS,
    STAGE_EXEC,
};

/* What the child sends when it cannot become the program. */
struct spawn_failure {
    int stage;
    int errnum;
    struct error why; /* of STAGE_PREPARE */
};

_Static_assert(sizeof(struct spawn_failure) <= PIPE_BUF,
               "one write, whole or not at all");

/* For messages. Borrowed. */
const char *spawn_program_name(const struct spawn *s);

/* Reads the start of the program; true when it is a script. head is NUL-terminated and
 * starts behind the "#!". */
bool spawn_script_head(const struct spawn *s, char *head, size_t size);

/* Fills err from what the child has sent. Returns -1. */
int spawn_explain(const struct spawn *s, const struct spawn_failure *f,
                  struct error *err);

#endif
