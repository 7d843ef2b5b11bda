#include "unit/sys/tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/strv.h"

typedef int (*open_fn)(int, const char *, int, mode_t, struct error *);

/* The content behind a path opened with a policy, or "!<errno>". Borrowed. */
static const char *content(open_fn f, const char *path)
{
    static char text[64];
    struct error err = ERROR_INIT;
    int fd = f(tempdir.fd, path, O_RDONLY, 0, &err);
    ssize_t n;

    if (fd < 0) {
        assert_int_equal(err.class, ERROR_LAUNCHER);
        assert_non_null(strstr(err.text, path));
        snprintf(text, sizeof(text), "!%d", err.errnum);
        return text;
    }
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

static const char *errno_text(int errnum)
{
    static char text[16];

    snprintf(text, sizeof(text), "!%d", errnum);
    return text;
}

static void make_links(void)
{
    assert_int_equal(mkdirat(tempdir.fd, "etc", 0755), 0);
    put_file("etc/passwd", "mine", 0644);
    assert_int_equal(symlinkat("/etc/passwd", tempdir.fd, "absolute"), 0);
    assert_int_equal(symlinkat("etc/passwd", tempdir.fd, "relative"), 0);
    assert_int_equal(symlinkat("../../../../../../etc/passwd", tempdir.fd, "up"), 0);
    assert_int_equal(symlinkat("etc", tempdir.fd, "dir"), 0);
    assert_int_equal(symlinkat("loop", tempdir.fd, "loop"), 0);
    assert_int_equal(symlinkat("/proc/self/root/etc/passwd", tempdir.fd, "magic"), 0);
}

static void in_root(void **state)
{
    make_links();
    assert_string_equal(content(pathfd_open_in_root, "etc/passwd"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "/etc/passwd"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "absolute"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "up"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "../../etc/passwd"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "dir/passwd"), "mine");
    assert_string_equal(content(pathfd_open_in_root, "loop"), errno_text(ELOOP));
    assert_string_equal(content(pathfd_open_in_root, "none"), errno_text(ENOENT));
    assert_string_equal(content(pathfd_open_in_root, "magic"), errno_text(ENOENT));
}

static void beneath(void **state)
{
    make_links();
    assert_string_equal(content(pathfd_open_beneath, "relative"), "mine");
    assert_string_equal(content(pathfd_open_beneath, "dir/passwd"), "mine");
    assert_string_equal(content(pathfd_open_beneath, "dir/../etc/passwd"), "mine");
    assert_string_equal(content(pathfd_open_beneath, "absolute"), errno_text(EXDEV));
    assert_string_equal(content(pathfd_open_beneath, "up"), errno_text(EXDEV));
    assert_string_equal(content(pathfd_open_beneath, "/etc/passwd"), errno_text(EXDEV));
    assert_string_equal(content(pathfd_open_beneath, "../x"), errno_text(EXDEV));
}

static void nofollow(void **state)
{
    struct error err = ERROR_INIT;
    struct stat st;
    int fd;

    make_links();
    assert_string_equal(content(pathfd_open_nofollow, "etc/passwd"), "mine");
    assert_string_equal(content(pathfd_open_nofollow, tempdir_path("etc/passwd")),
                        "mine");
    assert_string_equal(content(pathfd_open_nofollow, "relative"), errno_text(ELOOP));
    assert_string_equal(content(pathfd_open_nofollow, "dir/passwd"), errno_text(ELOOP));
    assert_string_equal(content(pathfd_open_nofollow, "etc/../../x"),
                        errno_text(EXDEV));
    fd = pathfd_open_nofollow(tempdir.fd, "dir", O_PATH | O_NOFOLLOW, 0, &err);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    close(fd);
}

static void creates_with_mode(void **state)
{
    struct error err = ERROR_INIT;
    mode_t old = umask(022);
    struct stat st;
    int fd =
        pathfd_open_beneath(tempdir.fd, "new", O_WRONLY | O_CREAT | O_EXCL, 0640, &err);

    umask(old);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    close(fd);
}

static void names(void **state)
{
    struct error err = ERROR_INIT;
    char *name = pathfd_name(tempdir.fd, &err);
    int fd;

    assert_string_equal(name, tempdir.path);
    free(name);
    put_file("gone", "", 0600);
    fd = openat(tempdir.fd, "gone", O_RDONLY | O_CLOEXEC);
    unlinkat(tempdir.fd, "gone", 0);
    assert_null(pathfd_name(fd, &err));
    assert_int_equal(err.errnum, ENOENT);
    close(fd);
    assert_null(pathfd_name(9999, &err));
    put_file("odd (deleted)", "", 0600);
    fd = openat(tempdir.fd, "odd (deleted)", O_RDONLY | O_CLOEXEC);
    name = pathfd_name(fd, &err);
    assert_string_equal(name, tempdir_path("odd (deleted)"));
    free(name);
    close(fd);
}

static void check_absolute(const char *path, const char *want)
{
    struct error err = ERROR_INIT;
    char *got = pathfd_absolute(path, &err);

    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static void absolute_is_lexical(void **state)
{
    struct error err = ERROR_INIT;
    char *cwd = getcwd(NULL, 0);

    assert_int_equal(fchdir(tempdir.fd), 0);
    check_absolute("/", "/");
    check_absolute("//", "/");
    check_absolute("/..", "/");
    check_absolute("/a/./b//c/", "/a/b/c");
    check_absolute("/a/../../b/..", "/");
    check_absolute("/a/b/../c", "/a/c");
    check_absolute("/a/...", "/a/...");
    check_absolute(".", tempdir.path);
    check_absolute("x/../y", tempdir_path("y"));
    assert_null(pathfd_absolute("", &err));
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_int_equal(chdir(cwd), 0);
    free(cwd);
}

static void canonical(void **state)
{
    struct error err = ERROR_INIT;
    char *got;

    make_links();
    got = pathfd_canonical(tempdir_path("dir/passwd"), &err);
    assert_string_equal(got, tempdir_path("etc/passwd"));
    free(got);
    assert_null(pathfd_canonical(tempdir_path("none"), &err));
    assert_int_equal(err.errnum, ENOENT);
}

static void make_dirs(void **state)
{
    struct error err = ERROR_INIT;
    struct stat st;
    int fd = pathfd_make_dirs(tempdir.fd, "a/b//./c/", 0700, &err);

    assert_true(fd >= 0);
    assert_int_equal(unlinkat(fd, "nothing", 0), -1);
    close(fd);
    assert_int_equal(fstatat(tempdir.fd, "a/b/c", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    fd = pathfd_make_dirs(tempdir.fd, "a/b", 0700, &err);
    assert_true(fd >= 0);
    close(fd);
    fd = pathfd_make_dirs(tempdir.fd, ".", 0700, &err);
    assert_true(fd >= 0);
    close(fd);
}

static void make_dirs_refuses(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(symlinkat("/tmp", tempdir.fd, "link"), 0);
    put_file("file", "", 0600);
    assert_int_equal(pathfd_make_dirs(tempdir.fd, "link/x", 0700, &err), -1);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(pathfd_make_dirs(tempdir.fd, "file/x", 0700, &err), -1);
    assert_int_equal(pathfd_make_dirs(tempdir.fd, "a/../../x", 0700, &err), -1);
    assert_int_equal(pathfd_make_dirs(tempdir.fd, "/abs", 0700, &err), -1);
    assert_false(exists("../x"));
}

static void make_dirs_user(void **state)
{
    struct error err = ERROR_INIT;
    int fd;

    assert_int_equal(mkdirat(tempdir.fd, "real", 0755), 0);
    assert_int_equal(symlinkat("real", tempdir.fd, "link"), 0);
    fd = pathfd_make_dirs_user(tempdir_path("link/x//y/"), 0755, &err);
    assert_true(fd >= 0);
    close(fd);
    assert_true(exists("real/x/y"));
    put_file("file", "", 0600);
    assert_int_equal(pathfd_make_dirs_user(tempdir_path("file/x"), 0755, &err), -1);
    assert_int_equal(err.errnum, ENOTDIR);
    assert_int_equal(pathfd_make_dirs_user("relative", 0755, &err), -1);
}

static void names_are_sorted(void **state)
{
    struct error err = ERROR_INIT;
    struct strv names = STRV_INIT;
    int dir, file;

    assert_int_equal(mkdirat(tempdir.fd, "d", 0700), 0);
    assert_int_equal(mkdirat(tempdir.fd, "d/b", 0700), 0);
    put_file("d/.a", "", 0600);
    assert_int_equal(symlinkat("gone", tempdir.fd, "d/c"), 0);
    dir = openat(tempdir.fd, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pathfd_names(dir, &names, &err), 0);
    assert_int_equal(names.count, 3);
    assert_string_equal(names.items[0], ".a");
    assert_string_equal(names.items[1], "b");
    assert_string_equal(names.items[2], "c");
    close(dir);
    strv_release(&names);
    file = openat(tempdir.fd, "d/.a", O_RDONLY | O_CLOEXEC);
    assert_int_equal(pathfd_names(file, &names, &err), -1);
    assert_int_equal(err.errnum, ENOTDIR);
    close(file);
    strv_release(&names);
}

static void read_all_is_bounded(void **state)
{
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    int fd;

    put_file("five", "12345", 0600);
    fd = openat(tempdir.fd, "five", O_RDONLY | O_CLOEXEC);
    buf_adds(&out, ">");
    assert_int_equal(pathfd_read_all(fd, 5, &out, &err), 0);
    assert_string_equal(buf_str(&out), ">12345");
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(pathfd_read_all(fd, 4, &out, &err), -1);
    assert_int_equal(err.errnum, EFBIG);
    assert_non_null(strstr(err.text, "larger than the 4 bytes"));
    assert_non_null(strstr(err.text, "five"));
    close(fd);
    assert_int_equal(pathfd_read_all(tempdir.fd, 100, &out, &err), -1);
    assert_non_null(strstr(err.text, "not a regular file"));
    buf_release(&out);
}

static void open_user(void **state)
{
    struct error err = ERROR_INIT;
    int fd;

    make_links();
    fd = pathfd_open_user(tempdir_path("relative"), O_RDONLY, &err);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    assert_int_equal(pathfd_open_user(tempdir_path("none"), O_RDONLY, &err), -1);
    assert_int_equal(err.errnum, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(in_root),
        tempdir_test(beneath),
        tempdir_test(nofollow),
        tempdir_test(creates_with_mode),
        tempdir_test(names),
        tempdir_test(absolute_is_lexical),
        tempdir_test(canonical),
        tempdir_test(make_dirs),
        tempdir_test(make_dirs_refuses),
        tempdir_test(make_dirs_user),
        tempdir_test(names_are_sorted),
        tempdir_test(read_all_is_bounded),
        tempdir_test(open_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
