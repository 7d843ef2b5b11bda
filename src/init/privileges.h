/* privileges: what a process in the sandbox gives up before a job can be there. */
#ifndef REPX_INIT_PRIVILEGES_H
#define REPX_INIT_PRIVILEGES_H

/* No capability is left in any set: effective, permitted, inheritable, ambient and
 * bounding. 0, or -1 with errno; EPERM: those of the bounding set stay, because
 * CAP_SETPCAP was not held, the others are gone. */
int privileges_drop(void);

#endif
