/* attach: the mounts that repx-sandbox-init puts in place itself, before any job is
 * there. bwrap would read each of them for every bind that it makes. */
#ifndef REPX_INIT_ATTACH_H
#define REPX_INIT_ATTACH_H

#include <stdbool.h>

/* Takes INIT_ATTACH_ARG and what belongs to it off the command line, when it is there:
 * attaches the mount and gives up the capabilities that this took. 0, or the errno of
 * what failed. The argv[0] left is not the program's name. */
int attach_given(int *argc, char ***argv);

/* The number of an inherited descriptor, as it stands on the command line. */
bool attach_parse_fd(const char *s, int *fd);

#endif
