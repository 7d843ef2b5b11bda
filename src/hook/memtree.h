/* memtree: a directory that is kept in memory by the mounts that show it, and needs no
 * place in a file system. The tasks of a Slurm step are in a sandbox of which no
 * process is left; what its mounts come from must not have to be found and removed once
 * the last of them has ended. (A directory that is removed takes along what is mounted
 * on its entries, in every mount namespace.)
 */
#ifndef REPX_HOOK_MEMTREE_H
#define REPX_HOOK_MEMTREE_H

/* Mounts a tmpfs at path, in this process's mount namespace, with the same directories,
 * regular files, links, and modes as path has. Returns -1 with errno. */
int memtree_mount(const char *path);

#endif
