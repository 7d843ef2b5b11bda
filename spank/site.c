#include "spank/site.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

static int set_path(const char **field, const char *name, const char *value,
                    struct error *err)
{
    if (value[0] != '/')
        return error_fail(err,
                          "plugstack.conf: %s=%s is not an absolute path; correct the "
                          "line of repx.so",
                          name, value);
    *field = value;
    return 0;
}

int site_parse(struct site *s, int argc, char *const argv[], struct error *err)
{
    const struct {
        const char *name;
        const char **field;
    } known[] = {
        {"config", &s->config}, {"launcher", &s->launcher}, {"join", &s->join}};

    *s = (struct site){.launcher = REPX_LAUNCHER, .join = REPX_JOIN};
    for (int i = 0; i < argc; i++) {
        size_t k, n = strcspn(argv[i], "=");

        for (k = 0; k < array_size(known); k++)
            if (argv[i][n] == '=' && strlen(known[k].name) == n &&
                strncmp(argv[i], known[k].name, n) == 0)
                break;
        if (k == array_size(known))
            return error_fail(err,
                              "plugstack.conf: '%s' is no argument of repx.so; there "
                              "are config=FILE, launcher=FILE and join=FILE",
                              argv[i]);
        if (set_path(known[k].field, known[k].name, argv[i] + n + 1, err) < 0)
            return -1;
    }
    return 0;
}

/* 1: path is a link, which is root's and may be followed. */
static int check_part(const char *path, bool last, struct error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return error_sys(err, errno, "cannot look at %s", path);
    if (st.st_uid != 0)
        return error_fail(err, "%s belongs to uid %u, not to root", path, st.st_uid);
    if (S_ISLNK(st.st_mode))
        return 1;
    if (last && !S_ISREG(st.st_mode))
        return error_fail(err, "%s is not a file", path);
    if ((st.st_mode & 022) && (last || !(st.st_mode & S_ISVTX)))
        return error_fail(err, "%s can be written by others than root", path);
    return 0;
}

/* Puts the link's target in the place of the link, path[0..len). */
static int follow(char *path, size_t len, const char *link, struct error *err)
{
    char target[PATH_MAX], whole[2 * PATH_MAX];
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    size_t dir = len;

    if (n < 0)
        return error_sys(err, errno, "cannot read the link %s", link);
    target[n] = '\0';
    while (path[dir - 1] != '/')
        dir--;
    if (target[0] == '/')
        dir = 0;
    n = snprintf(whole, sizeof(whole), "%.*s%s%s", (int)dir, path, target, path + len);
    if (n >= PATH_MAX)
        return error_sys(err, ENAMETOOLONG, "%s", link);
    memcpy(path, whole, (size_t)n + 1);
    return 0;
}

/* The length of the first link on the way, 0 without one. */
static int first_link(const char *path, char *part, size_t *link, struct error *err)
{
    size_t len = strlen(path);

    *link = 0;
    for (size_t i = 1; i <= len; i++) {
        int r;

        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        r = check_part(part, path[i] == '\0', err);
        if (r < 0)
            return -1;
        if (r == 1) {
            *link = i;
            return 0;
        }
    }
    return 0;
}

int site_trust(const char *path, struct error *err)
{
    enum { LINKS = 40 }; /* as many as the kernel follows */
    char now[PATH_MAX], part[PATH_MAX];
    size_t link, len = strlen(path);

    if (path[0] != '/' || len >= sizeof(now))
        return error_fail(err, "'%s' is not an absolute path", path);
    memcpy(now, path, len + 1);
    for (int i = 0; i < LINKS; i++) {
        if (first_link(now, part, &link, err) < 0)
            return -1;
        if (link == 0)
            return 0;
        if (follow(now, link, part, err) < 0)
            return -1;
    }
    return error_sys(err, ELOOP, "%s", path);
}

int site_check(const struct site *s, struct error *err)
{
    struct stat st;

    if (site_trust(s->launcher, err) < 0 || site_trust(s->join, err) < 0)
        return error_hint(err, "ask the administrator to look at the line of repx.so "
                               "in plugstack.conf");
    /* Whether it can be believed, and what it says, is the launcher's to find out. */
    if (s->config && stat(s->config, &st) < 0)
        return error_sys(err, errno,
                         "the site's configuration %s, which plugstack.conf names",
                         s->config);
    return 0;
}
