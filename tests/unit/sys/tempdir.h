/* A fresh directory per test, and a child without privileges. */
#ifndef REPX_TESTS_TEMPDIR_H
#define REPX_TESTS_TEMPDIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/pathfd.h"

#define TEST_UID 65534

struct tempdir {
    char *path; /* canonical */
    int fd;
};

static struct tempdir tempdir;

static inline int tempdir_setup(void **state)
{
    const char *base = getenv("TMPDIR");
    char name[4096];

    snprintf(name, sizeof(name), "%s/repx-unit-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(name))
        return -1;
    tempdir.path = realpath(name, NULL);
    tempdir.fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return tempdir.path && tempdir.fd >= 0 ? 0 : -1;
}

static inline int tempdir_teardown(void **state)
{
    struct error err = ERROR_INIT;
    int r = pathfd_empty_dir(tempdir.fd, &err);

    if (r < 0)
        fprintf(stderr, "teardown: %s\n", err.text);
    close(tempdir.fd);
    if (rmdir(tempdir.path) < 0)
        r = -1;
    free(tempdir.path);
    return r;
}

#define tempdir_test(f)                                                                \
    cmocka_unit_test_setup_teardown(f, tempdir_setup, tempdir_teardown)

/* "<tempdir>/<name>" in one of a few static buffers. */
static inline const char *tempdir_path(const char *name)
{
    static char paths[4][8192];
    static unsigned turn;
    char *p = paths[turn++ % 4];

    snprintf(p, sizeof(paths[0]), "%s/%s", tempdir.path, name);
    return p;
}

static inline void put_file(const char *name, const char *text, mode_t mode)
{
    int fd = openat(tempdir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline bool exists(const char *name)
{
    struct stat st;

    return fstatat(tempdir.fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Runs f in a child, as an ordinary user when the tests run as root; the temporary
 * directory belongs to that user. f returns 0 when all is well and says on stderr what
 * is not. */
static inline int as_user(int (*f)(void))
{
    int status;
    pid_t pid;

    if (geteuid() == 0)
        assert_int_equal(fchown(tempdir.fd, TEST_UID, TEST_UID), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (geteuid() == 0 &&
            (setgroups(0, NULL) < 0 || setresgid(TEST_UID, TEST_UID, TEST_UID) < 0 ||
             setresuid(TEST_UID, TEST_UID, TEST_UID) < 0))
            _exit(99);
        _exit(f());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* For the functions that run in such a child. */
#define CHECK(cond)                                                                    \
    do {                                                                               \
        if (!(cond)) {                                                                 \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);       \
            return 1;                                                                  \
        }                                                                              \
    } while (0)

#endif
