/* What a step's sandbox needs beside image and lab: the batch script, the terminal, and
 * what Slurm's MPI servers and their clients in the tasks share. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "launch/step_internal.h"
#include "sys/pathfd.h"

/* Slurm makes <SlurmdSpoolDir>/pmix.JOB.STEP for the user, 0700, in a directory that is
 * not the user's. A variable is the user's word; without these marks it would be a bind
 * mount of any directory, past the site's policy. */
static bool is_pmix_dir(const struct stat *dir, const struct stat *parent, uid_t user)
{
    return S_ISDIR(dir->st_mode) && dir->st_uid == user && (dir->st_mode & 077) == 0 &&
           (parent->st_uid != user || user == 0) && (parent->st_mode & 022) == 0;
}

/* The canonical path of PMIX_SERVER_TMPDIR, NULL when it is not what Slurm makes. */
static char *find_pmix_dir(const struct step *st, const char *value, struct error *err)
{
    const struct handoff_request *r = &st->handoff.request;
    _cleanup_free_ char *path = pathfd_absolute(value, err);
    _cleanup_free_ char *want = str_printf("pmix.%u.%u", r->job_id, r->step_id);
    _cleanup_close_ int parent_fd = -1, fd = -1;
    struct stat dir, parent;
    char *base;

    if (!path || !want)
        return NULL;
    base = strrchr(path, '/');
    if (strcmp(base + 1, want) != 0)
        return NULL;
    *base = '\0';
    parent_fd = open(path[0] ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0)
        return NULL;
    fd = openat(parent_fd, base + 1, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &dir) < 0 || fstat(parent_fd, &parent) < 0 ||
        !is_pmix_dir(&dir, &parent, st->session.user.uid))
        return NULL;
    return pathfd_name(fd, err);
}

static int add_pmix(struct step *st, struct error *err)
{
    const char *value = strv_env_get(st->env, "PMIX_SERVER_TMPDIR");
    struct error ignored = ERROR_INIT;
    _cleanup_free_ char *source = NULL, *dest = NULL;

    if (!value || value[0] != '/')
        return 0;
    source = find_pmix_dir(st, value, &ignored);
    if (!source) {
        log_warn("PMIX_SERVER_TMPDIR=%s is no directory that Slurm made for this step; "
                 "it is not visible in the sandbox",
                 value);
        return 0;
    }
    dest = pathfd_absolute(value, err);
    if (!dest)
        return -1;
    return bindlist_add(&st->binds, PLAN_MOUNT_BIND_RW, PLAN_ROLE_SYSTEM, source, dest,
                        false, err);
}

static int add_device(struct step *st, const char *name, struct error *err)
{
    _cleanup_free_ char *path = str_printf("/dev/%s", name);
    struct stat s;

    if (!path)
        return error_oom(err);
    if (stat(path, &s) < 0)
        return 0;
    return bindlist_add(&st->binds, PLAN_MOUNT_BIND_DEV, PLAN_ROLE_SYSTEM, path, path,
                        !S_ISDIR(s.st_mode), err);
}

/* The devices of fast networks and of copies between processes, which MPI libraries use
 * past the kernel's sockets. They are the node's network: with the host's only. */
static int add_fabric(struct step *st, struct error *err)
{
    static const char *const prefixes[] = {"infiniband", "hfi1_", "cxi", "knem",
                                           "xpmem"};
    _cleanup_closedir_ DIR *dev = opendir("/dev");
    struct dirent *e;

    while (dev && (e = readdir(dev)))
        for (size_t i = 0; i < array_size(prefixes); i++)
            if (strncmp(e->d_name, prefixes[i], strlen(prefixes[i])) == 0 &&
                add_device(st, e->d_name, err) < 0)
                return -1;
    return 0;
}

/* An MPI library looks at the node it is on: cores and caches to bind ranks to, network
 * interfaces, which are all in /sys (docs/adr/0021). */
static int add_hardware(struct step *st, struct error *err)
{
    if (!strv_env_get(st->env, "SLURM_MPI_TYPE") ||
        st->session.settled.mount_host_paths)
        return 0;
    if (bindlist_add(&st->binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_SYSTEM, "/sys", "/sys",
                     false, err) < 0)
        return -1;
    return st->session.settled.network_host ? add_fabric(st, err) : 0;
}

/* ttyname(3) looks for the terminal's device by its name. */
static int add_terminal(struct step *st, struct error *err)
{
    if (st->session.settled.mount_host_paths ||
        (!strv_env_get(st->env, "SLURM_PTY_PORT") && isatty(STDIN_FILENO) != 1))
        return 0;
    return bindlist_add(&st->binds, PLAN_MOUNT_BIND_DEV, PLAN_ROLE_SYSTEM, "/dev/pts",
                        "/dev/pts", false, err);
}

int step_add_binds(struct step *st, struct error *err)
{
    const char *script = st->handoff.request.batch_script;

    if (script && bindlist_add(&st->binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_SYSTEM, script,
                               script, true, err) < 0)
        return -1;
    if (add_terminal(st, err) < 0 || add_hardware(st, err) < 0)
        return -1;
    return add_pmix(st, err);
}

/* Slurm does not tell whether --mpi was given or is the cluster's default, and an MPI
 * library in the image cannot be seen from here. So this is advice, once a step. */
void step_advise_mpi(const struct step *st)
{
    const struct handoff_request *r = &st->handoff.request;
    const char *type = strv_env_get(st->env, "SLURM_MPI_TYPE");
    bool over_network = strv_env_get(st->env, "PMIX_RANK") || r->n_nodes > 1;

    if (!type || r->node_id != 0 || r->n_tasks < 2 || !over_network ||
        st->session.settled.network_host || !st->launch.backend->isolated ||
        st->request.network_origin != REQUEST_UNSET)
        return;
    log_info("the tasks have no network but loopback; an MPI program (%s) needs "
             "--repx-network=host",
             type);
}
