/* The per-boot answers of probes: <state_dir>/probes/<backend>. A file counts when it
 * begins with exactly what is true now: the boot, the user, and the programs with
 * inode, size and time, so that an upgrade asks again. Only "yes" is kept. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/runtime_internal.h"
#include "sys/atomicfile.h"
#include "sys/lockfile.h"
#include "sys/pathfd.h"
#include "sys/process.h"
#include "sys/trust.h"

#define CACHE_MAX 16384

/* How long to wait for another process's trial, which takes some milliseconds: it may
 * be suspended with its job, and then everybody makes one. */
#define AWAIT_PAUSE_NS 4000000
#define AWAIT_TRIES 1250

/* False when the program is not there or must not be believed: then nothing is cached.
 */
static bool add_program(struct buf *key, const char *path)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = -1;
    struct stat st;

    if (!path)
        return false;
    fd = pathfd_open_user(path, O_PATH | O_CLOEXEC, &ignored);
    if (fd < 0 || trust_program(fd, path, &ignored) < 0 || fstat(fd, &st) < 0)
        return false;
    buf_addf(key, "program %s %llu %lld %lld.%09ld\n", path,
             (unsigned long long)st.st_ino, (long long)st.st_size,
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return true;
}

/* The programs that the answer is about. */
static bool add_programs(struct buf *key, const struct runtime_tools *tools,
                         const char *backend)
{
    if (!add_program(key, tools->init))
        return false;
    if (strcmp(backend, "podman") == 0)
        return add_program(key, tools->podman) && add_program(key, tools->crun) &&
               add_program(key, tools->podman_hook);
    if (strcmp(backend, "docker") == 0) {
        buf_addf(key, "daemon %s\n", tools->docker_host);
        return add_program(key, tools->docker);
    }
    return add_program(key, tools->bwrap);
}

static bool build_key(const struct runtime_tools *tools, const char *backend,
                      struct buf *key)
{
    _cleanup_free_ char *boot = process_boot_id();

    if (!boot || !*boot)
        return false;
    buf_addf(key, "repx-probe 1\nboot %s\nuid %u\n", boot, (unsigned)geteuid());
    return add_programs(key, tools, backend) && !key->failed;
}

/* The last directory that was found to be trusted: a launch asks for several answers,
 * and each walk from the root is 20 system calls. */
static struct {
    char *state_dir;
    int fd;
} known = {NULL, -1};

static void remember_dir(const char *state_dir, int fd)
{
    free(known.state_dir);
    cleanup_closep(&known.fd);
    known.state_dir = strdup(state_dir);
    known.fd = known.state_dir ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
}

/* The directory of the answers, -1 when there is none to be trusted. */
static int open_dir(const struct runtime_tools *tools)
{
    struct error err = ERROR_INIT;
    _cleanup_free_ char *path = NULL;
    int fd;

    if (!tools->state_dir)
        return -1;
    if (known.fd >= 0 && strcmp(known.state_dir, tools->state_dir) == 0)
        return fcntl(known.fd, F_DUPFD_CLOEXEC, 3);
    path = str_printf("%s/probes", tools->state_dir);
    if (!path)
        return -1;
    fd = trust_private_dir(path, &err);
    if (fd < 0)
        log_debug("no probe answers are kept: %s", err.text);
    else
        remember_dir(tools->state_dir, fd);
    return fd;
}

static bool read_answer(int dir, const char *backend, struct buf *out)
{
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = -1;

    fd = pathfd_open_nofollow(dir, backend, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0,
                              &ignored);
    return fd >= 0 && pathfd_read_all(fd, CACHE_MAX, out, &ignored) == 0;
}

bool probe_cache_yes(const struct runtime_tools *tools, const char *backend,
                     char **version_out)
{
    _cleanup_close_ int dir = open_dir(tools);
    _cleanup_buf_ struct buf key = BUF_INIT;
    _cleanup_buf_ struct buf answer = BUF_INIT;
    const char *version;

    if (version_out)
        *version_out = NULL;
    if (dir < 0 || !build_key(tools, backend, &key) ||
        !read_answer(dir, backend, &answer))
        return false;
    if (answer.len < key.len || memcmp(answer.data, key.data, key.len) != 0)
        return false;
    version = buf_str(&answer) + key.len;
    if (version_out && strncmp(version, "version ", 8) == 0 && version[8] != '\n')
        *version_out = strndup(version + 8, strcspn(version + 8, "\n"));
    return true;
}

bool probe_cache_await(const struct runtime_tools *tools, const char *backend,
                       struct lockfile *lock)
{
    _cleanup_close_ int dir = open_dir(tools);
    struct error ignored = ERROR_INIT;
    char name[64];
    int r;

    if (dir < 0)
        return false;
    snprintf(name, sizeof(name), "%s.lock", backend);
    r = lockfile_try(lock, dir, name, true, &ignored);
    for (int i = 0; r == 1 && i < AWAIT_TRIES; i++) {
        nanosleep(&(struct timespec){.tv_nsec = AWAIT_PAUSE_NS}, NULL);
        r = lockfile_retry(lock, dir, name, true, &ignored);
    }
    return true;
}

void probe_cache_store(const struct runtime_tools *tools, const char *backend,
                       const char *version)
{
    _cleanup_close_ int dir = open_dir(tools);
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    if (dir < 0 || !build_key(tools, backend, &text))
        return;
    buf_addf(&text, "version %s\n", version ? version : "");
    if (buf_check(&text, &err) < 0 ||
        atomicfile_write(dir, backend, buf_str(&text), text.len, 0600, false, &err) < 0)
        log_debug("the answer of the %s probe is not kept: %s", backend, err.text);
}
