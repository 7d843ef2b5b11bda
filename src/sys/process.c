#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/pathfd.h"

/* Name services answer with what a directory server sent, so the size is bounded. */
#define NSS_MAX (1024 * 1024)

/* Fills name and home from the name service; leaves NULL what it does not know. */
static void look_up_user(struct process_user *u)
{
    for (size_t size = 1024; size <= NSS_MAX; size *= 4) {
        _cleanup_free_ char *mem = malloc(size);
        struct passwd pw, *found = NULL;
        int r = mem ? getpwuid_r(u->uid, &pw, mem, size, &found) : ENOMEM;

        if (r == ERANGE)
            continue;
        if (r == 0 && found) {
            u->name = strdup(found->pw_name);
            u->home = strdup(found->pw_dir);
        }
        return;
    }
}

char *process_user_name(uid_t uid)
{
    struct process_user u = {.uid = uid};

    if (uid != (uid_t)-1)
        look_up_user(&u);
    free(u.home);
    return u.name;
}

static void look_up_group(struct process_user *u)
{
    for (size_t size = 1024; size <= NSS_MAX; size *= 4) {
        _cleanup_free_ char *mem = malloc(size);
        struct group gr, *found = NULL;
        int r = mem ? getgrgid_r(u->gid, &gr, mem, size, &found) : ENOMEM;

        if (r == ERANGE)
            continue;
        if (r == 0 && found)
            u->group = strdup(found->gr_name);
        return;
    }
}

int process_user_init(struct process_user *u, struct error *err)
{
    *u = (struct process_user){.uid = geteuid(), .gid = getegid()};
    look_up_user(u);
    look_up_group(u);
    if (!u->name)
        u->name = str_printf("uid%u", (unsigned)u->uid);
    if (!u->group)
        u->group = str_printf("gid%u", (unsigned)u->gid);
    if (!u->home || u->home[0] != '/') {
        free(u->home);
        u->home = strdup("/");
    }
    if (u->name && u->group && u->home)
        return 0;
    process_user_release(u);
    return error_oom(err);
}

void process_user_release(struct process_user *u)
{
    free(u->name);
    free(u->group);
    free(u->home);
    *u = (struct process_user){0};
}

char *process_kernel_release(void)
{
    struct utsname un;

    return strdup(uname(&un) == 0 ? un.release : "");
}

char *process_hostname(void)
{
    struct utsname un;

    return strdup(uname(&un) == 0 ? un.nodename : "");
}

/* The boot stays what it is for as long as we run. */
static char boot_id[64];
static pthread_once_t boot_id_once = PTHREAD_ONCE_INIT;

static void read_boot_id(void)
{
    _cleanup_close_ int fd =
        open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, boot_id, sizeof(boot_id) - 1);

    boot_id[n > 0 ? n : 0] = '\0';
    boot_id[strcspn(boot_id, "\n")] = '\0';
}

char *process_boot_id(void)
{
    pthread_once(&boot_id_once, read_boot_id);
    return strdup(boot_id);
}

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

char *process_find_program(const char *name, const char *path_list)
{
    const char *p = path_list ? path_list : "";

    if (name[0] == '/')
        return strdup(name);
    if (name[0] == '\0' || strchr(name, '/'))
        return NULL;
    while (*p) {
        size_t n = strcspn(p, ":");

        /* an empty or relative entry would find what lies in the current directory */
        if (n > 0 && n < PATH_MAX && p[0] == '/') {
            char *candidate = str_printf("%.*s/%s", (int)n, p, name);

            if (candidate && is_program(candidate))
                return candidate;
            free(candidate);
        }
        p += n;
        p += *p == ':';
    }
    return NULL;
}

char *process_self_program(struct error *err)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *copy;

    if (n < 0) {
        error_sys(err, errno, "cannot tell where this program is (/proc/self/exe)");
        return NULL;
    }
    path[n] = '\0';
    copy = strdup(path);
    if (!copy)
        error_oom(err);
    return copy;
}

char *process_self_dir(struct error *err)
{
    char *path = process_self_program(err);
    char *slash = path ? strrchr(path, '/') : NULL;

    if (slash)
        slash[slash == path ? 1 : 0] = '\0';
    return path;
}

void process_signal(int pidfd, int sig)
{
    syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}
