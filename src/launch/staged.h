/* staged: the copy of a step's image that srun has broadcast to this node
 * (launch/broadcast): used in the place of the image it was made from, and gone once
 * the store has it. */
#ifndef REPX_LAUNCH_STAGED_H
#define REPX_LAUNCH_STAGED_H

#include <sys/types.h>

/* The copy's reference when it is on this node and the user's own, else NULL: the store
 * has the image already, or the image itself must be read. Borrowed from env. */
const char *staged_find(char *const *env, uid_t uid);

/* Removes the copy, and what broadcasts have left here whose steps never came. */
void staged_remove(const char *reference, uid_t uid);

#endif
