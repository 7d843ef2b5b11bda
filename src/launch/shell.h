/* shell: which shell debug-run starts: the image's own, else one of the lab's
 * host-tools, which the sandbox has anyway. */
#ifndef REPX_LAUNCH_SHELL_H
#define REPX_LAUNCH_SHELL_H

#include "launch/prepare.h"

struct error;

/* Fills argv with the command of an interactive shell. After launch_fetch. */
int shell_find(const struct launch *l, const char *host_tools, struct strv *argv,
               struct error *err);

#endif
