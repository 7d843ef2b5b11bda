/* privileges: what a process in the sandbox gives up before a job can be there. */
#ifndef REPX_INIT_PRIVILEGES_H
#define REPX_INIT_PRIVILEGES_H

/* No capability is left in any set: effective, permitted, inheritable, ambient and
 * bounding. 0; 1 with errno: all but some of the bounding set, as without CAP_SETPCAP;
 * -1 with errno: they may all be held still. */
int privileges_drop(void);

#endif
