/* cpus: how many processors this process may use at once: what its affinity mask and
 * the CPU quotas of its control groups (v1 and v2, all the way up) leave. */
#ifndef REPX_SYS_CPUS_H
#define REPX_SYS_CPUS_H

/* At least 1. What cannot be read counts as no limit. */
unsigned cpus_usable(void);

/* The limit of the control groups alone, rounded up; 0 when there is none. proc_cgroup
 * is the text of /proc/self/cgroup, mountfd the directory where the hierarchies are
 * mounted (/sys/fs/cgroup). */
unsigned cpus_of_cgroups(int mountfd, const char *proc_cgroup);

#endif
