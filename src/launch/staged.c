#include "launch/staged.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "launch/broadcast.h"
#include "request/step_env.h"

/* A step waits for its nodes, not for a day. */
#define LEFT_AFTER_S (24 * 60 * 60)

/* Without the tag or digest behind it. */
static char *path_of(const char *reference)
{
    const char *end = strstr(reference, ".tar");

    return end ? strndup(reference, (size_t)(end - reference) + 4) : NULL;
}

static bool is_mine(int dir, const char *name, uid_t uid, struct stat *st)
{
    return fstatat(dir, name, st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st->st_mode) &&
           st->st_uid == uid;
}

const char *staged_find(char *const *env, uid_t uid)
{
    const char *reference = strv_env_get(env, STEP_STAGED_VARIABLE);
    _cleanup_free_ char *path = reference ? path_of(reference) : NULL;
    struct stat st;

    return path && path[0] == '/' && is_mine(AT_FDCWD, path, uid, &st) ? reference
                                                                       : NULL;
}

static void sweep(DIR *dir, const char *prefix, uid_t uid)
{
    time_t now = time(NULL);
    struct dirent *entry;
    struct stat st;

    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
            is_mine(dirfd(dir), entry->d_name, uid, &st) &&
            now - st.st_mtime > LEFT_AFTER_S)
            unlinkat(dirfd(dir), entry->d_name, 0);
}

void staged_remove(const char *reference, uid_t uid)
{
    _cleanup_free_ char *path = path_of(reference);
    _cleanup_closedir_ DIR *dir = NULL;
    char *slash = path ? strrchr(path, '/') : NULL;
    char prefix[64];

    if (!slash)
        return;
    unlink(path);
    slash[slash == path] = '\0';
    snprintf(prefix, sizeof(prefix), BROADCAST_PREFIX "-%u-", (unsigned)uid);
    dir = opendir(path);
    if (dir)
        sweep(dir, prefix, uid);
}
