/* netfs: is a directory on a file system that other machines write to as well? There,
 * locks may hold on one machine only, and what another machine has renamed or removed
 * is seen late. */
#ifndef REPX_SYS_NETFS_H
#define REPX_SYS_NETFS_H

/* The name of the network or cluster file system with this f_type of statfs(2), NULL
 * for all others. */
const char *netfs_of_type(unsigned long type);

/* The same for the file system of a descriptor; NULL also when it cannot be asked. */
const char *netfs_name(int fd);

#endif
