/* A base_path with the outputs of job J: files, and links that stay inside and that
 * leave. */
#ifndef REPX_TESTS_BASE_FIXTURE_H
#define REPX_TESTS_BASE_FIXTURE_H

#include "unit/sys/tempdir.h"

#include "base/buf.h"
#include "base/cleanup.h"

static const char *base;

static inline char *in_base(const char *rest)
{
    return str_printf("%s/%s", base, rest);
}

static inline void make_dir(const char *rest)
{
    struct error err = ERROR_INIT;
    _cleanup_free_ char *path = in_base(rest);
    _cleanup_close_ int fd = pathfd_make_dirs_user(path, 0755, &err);

    assert_true(fd >= 0);
}

static inline void make_file(const char *rest)
{
    _cleanup_free_ char *path = in_base(rest);
    _cleanup_close_ int fd = open(path, O_CREAT | O_WRONLY, 0644);

    assert_true(fd >= 0);
}

static inline void make_link(const char *target, const char *rest)
{
    _cleanup_free_ char *path = in_base(rest);

    assert_int_equal(symlink(target, path), 0);
}

static inline int base_setup(void **state)
{
    if (tempdir_setup(state) < 0)
        return -1;
    base = tempdir.path;
    make_dir("outputs/J/out/sub");
    make_dir("outputs/J/branch-0/step-a/out");
    make_file("outputs/J/out/file");
    make_file("outputs/J/secret");
    make_link("sub", "outputs/J/out/inner");
    make_link("/nix/store/abc", "outputs/J/out/absolute");
    make_link("../secret", "outputs/J/out/escape");
    make_link("..", "outputs/J/out/up");
    return 0;
}

#endif
