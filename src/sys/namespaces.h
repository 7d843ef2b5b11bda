/* namespaces: a mount namespace of the calling process's own, with the rights to mount
 * in it and none outside. For a process that is about to exec: credentials and mounts
 * change for good. */
#ifndef REPX_SYS_NAMESPACES_H
#define REPX_SYS_NAMESPACES_H

struct error;

/* Root gets a mount namespace; others, and a root without CAP_SYS_ADMIN, a user
 * namespace around it, in which their uid and gid stay the same numbers. Mounts of the
 * host go on arriving (an automounter's), none of ours gets out. Needs a single
 * thread. The parent-death signal is lost (spawn sets it again). */
int namespaces_own_mounts(struct error *err);

/* Gives up what namespaces_own_mounts gave. Root keeps its rights: bwrap, run by root,
 * uses them. */
int namespaces_drop_rights(struct error *err);

#endif
