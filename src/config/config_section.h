/* config_section: where the keys that follow a [header] belong. */
#ifndef REPX_CONFIG_SECTION_H
#define REPX_CONFIG_SECTION_H

#include <stdbool.h>

#include "config/config_keys.h"

struct config;
struct config_scheduler;
struct config_target;
struct error;

struct config_section {
    enum config_scope scope;
    void *base;                         /* the struct that takes the scope's keys */
    struct config_target *target;       /* NULL outside [targets.NAME...] */
    struct config_scheduler *scheduler; /* NULL outside [targets.NAME.local|slurm] */
    bool scheduler_is_slurm;
};

/* The part of a file before its first header. */
void config_section_init(struct config_section *s, struct config *c);

/* Takes a header with its brackets; adds the target that it names to c when it is new.
 * Pointers into c->targets are valid until the next call. */
int config_section_enter(struct config_section *s, struct config *c, const char *header,
                         const char *file, unsigned line, struct error *err);

#endif
