/* image_test: a temporary directory, files in it, and images made of tars. */
#ifndef TEST_IMAGE_TEST_H
#define TEST_IMAGE_TEST_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "image/digest.h"
#include "image/image.h"
#include "image/store.h"
#include "sys/pathfd.h"
#include "unit/image/tar_builder.h"

#define assert_ok(call)                                                                \
    do {                                                                               \
        if ((call) != 0)                                                               \
            fail_msg("%s: %s", #call, err.text);                                       \
    } while (0)

#define assert_mentions(what)                                                          \
    do {                                                                               \
        if (!strstr(err.text, (what)))                                                 \
            fail_msg("\"%s\" is not in: %s", (what), err.text);                        \
    } while (0)

struct test_dir {
    char path[PATH_MAX];
    int fd;
};

static struct test_dir test_dir = {.fd = -1};

static inline int test_setup(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(test_dir.path, sizeof(test_dir.path), "%s/repx-image-XXXXXX",
             tmp && tmp[0] == '/' ? tmp : "/tmp");
    if (!mkdtemp(test_dir.path))
        return -1;
    test_dir.fd = open(test_dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return test_dir.fd < 0 ? -1 : 0;
}

static inline int test_teardown(void **state)
{
    struct error err = ERROR_INIT;
    int rc;

    (void)state;
    rc = pathfd_empty_dir(test_dir.fd, &err);
    close(test_dir.fd);
    return rc < 0 ? -1 : rmdir(test_dir.path);
}

static inline char *test_path(const char *name)
{
    static char path[PATH_MAX * 2];

    snprintf(path, sizeof(path), "%s/%s", test_dir.path, name);
    return path;
}

static inline void test_mkdir(const char *name)
{
    struct error err = ERROR_INIT;
    int fd = pathfd_make_dirs(test_dir.fd, name, 0755, &err);

    if (fd < 0)
        fail_msg("%s", err.text);
    close(fd);
}

/* Writes a file, making its directories. */
static inline void test_write(const char *name, const void *data, size_t len)
{
    const char *slash = strrchr(name, '/');
    int fd;

    if (slash) {
        char dir[PATH_MAX];

        snprintf(dir, sizeof(dir), "%.*s", (int)(slash - name), name);
        test_mkdir(dir);
    }
    fd = openat(test_dir.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data ? data : "", len), (ssize_t)len);
    close(fd);
}

static inline void test_text(const char *name, const char *text)
{
    test_write(name, text, strlen(text));
}

static inline int test_open_dir(const char *name)
{
    int fd = openat(test_dir.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* The file's text is exactly this. */
static inline void assert_text(int dirfd, const char *name, const char *expected)
{
    char text[4096] = {0};
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        fail_msg("%s is missing", name);
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(n >= 0);
    assert_string_equal(text, expected);
}

static inline bool exists(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline mode_t mode_of(int dirfd, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode;
}

/* How many entries a directory has. */
static inline size_t count_entries(const char *name)
{
    struct error err = ERROR_INIT;
    size_t n = 0;
    int fd = pathfd_open_beneath(test_dir.fd, name, O_RDONLY | O_DIRECTORY, 0, &err);
    char block[4096];
    ssize_t got;

    assert_true(fd >= 0);
    while ((got = getdents64(fd, block, sizeof(block))) > 0) {
        ssize_t at = 0;

        while (at < got) {
            const struct dirent64 *e =
                (const struct dirent64 *)(const void *)(block + at);

            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                n++;
            at += e->d_reclen;
        }
    }
    close(fd);
    return n;
}

/* A docker image directory of these layer tars; lie: the index of a layer whose
 * declared digest is wrong, -1 none. The first layer's file is a link out of the
 * directory, as in RepX labs. */
static inline void test_docker_image(const char *dir, const struct buf *tars, size_t n,
                                     int lie)
{
    struct buf manifest = BUF_INIT, config = BUF_INIT;
    struct error err = ERROR_INIT;
    char name[PATH_MAX];
    struct digest d;
    size_t i;

    buf_adds(&manifest, "[{\"Config\":\"");
    buf_adds(&config,
             "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Env\":"
             "[\"PATH=/bin\",\"A=b=c\"],\"WorkingDir\":\"/w\"},"
             "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (i = 0; i < n; i++) {
        assert_int_equal(digest_of(tars[i].data, tars[i].len, &d, &err), 0);
        if ((int)i == lie)
            d.hex[0] = d.hex[0] == '0' ? '1' : '0';
        buf_addf(&config, "%s\"sha256:%s\"", i ? "," : "", d.hex);
        if (i == 0) {
            char target[64];

            snprintf(name, sizeof(name), "%s-store/first.tar", dir);
            test_write(name, tars[i].data, tars[i].len);
            snprintf(name, sizeof(name), "%s/l0", dir);
            test_mkdir(name);
            snprintf(name, sizeof(name), "%s/l0/layer.tar", dir);
            snprintf(target, sizeof(target), "../../%s-store/first.tar", dir);
            assert_int_equal(symlinkat(target, test_dir.fd, name), 0);
        } else {
            snprintf(name, sizeof(name), "%s/l%zu/layer.tar", dir, i);
            test_write(name, tars[i].data, tars[i].len);
        }
    }
    buf_adds(&config, "]}}");
    assert_int_equal(digest_of(config.data, config.len, &d, &err), 0);
    buf_addf(&manifest, "%s.json\",\"RepoTags\":[\"r:t\"],\"Layers\":[", d.hex);
    for (i = 0; i < n; i++)
        buf_addf(&manifest, "%s\"l%zu/layer.tar\"", i ? "," : "", i);
    buf_adds(&manifest, "]}]");
    snprintf(name, sizeof(name), "%s/%s.json", dir, d.hex);
    test_write(name, config.data, config.len);
    snprintf(name, sizeof(name), "%s/manifest.json", dir);
    test_write(name, manifest.data, manifest.len);
    buf_release(&manifest);
    buf_release(&config);
}

#endif
