/* Neighbours are played by files that root gives away, so those cases need root; the
 * rest runs as whoever runs the tests. */
#include "unit/sys/tempdir.h"

#include <errno.h>

#include "sys/trust.h"

#define NEIGHBOUR 12345

static int open_private(const char *name, struct error *err)
{
    error_clear(err);
    return trust_private_dir(tempdir_path(name), err);
}

static void expect_private(const char *name)
{
    struct error err = ERROR_INIT;
    struct stat st, want;
    int fd = open_private(name, &err);

    assert_string_equal(err.text, "");
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(stat(tempdir_path(name), &want), 0);
    assert_true(st.st_ino == want.st_ino);
    assert_int_equal(mkdirat(fd, "usable", 0700), 0);
    assert_int_equal(unlinkat(fd, "usable", AT_REMOVEDIR), 0);
    close(fd);
}

/* Refused, with all of the given words in the message. */
static void expect_refused(const char *name, const char *one, const char *two)
{
    struct error err = ERROR_INIT;

    assert_int_equal(open_private(name, &err), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_non_null(strstr(err.text, tempdir_path(name)));
    if (!strstr(err.text, one) || !strstr(err.text, two))
        fail_msg("'%s' lacks '%s' or '%s'", err.text, one, two);
}

static void make_dir(const char *name, mode_t mode)
{
    assert_int_equal(mkdirat(tempdir.fd, name, 0700), 0);
    assert_int_equal(fchmodat(tempdir.fd, name, mode, 0), 0);
}

static void creates_what_is_missing(void **state)
{
    mode_t old = umask(0);
    struct stat st;

    expect_private("a/b/c");
    umask(old);
    assert_int_equal(fstatat(tempdir.fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(fstatat(tempdir.fd, "a/b/c", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    expect_private("a/b/c");
    expect_private("a//./b/../b/c/");
}

static void readable_by_others_is_fine(void **state)
{
    make_dir("open", 0755);
    expect_private("open");
    expect_private("open/below");
}

static void writable_by_others_is_not(void **state)
{
    make_dir("world", 0777);
    make_dir("group", 0775);
    make_dir("sticky", 01777);
    expect_refused("world", "mode 0777", "chmod");
    expect_refused("world/below", "world' can be written to by others", "chmod go-w");
    expect_refused("group", "mode 0775", "chmod");
    expect_refused("group/below", "mode 0775", "owner uid");
    /* as the way it is like /tmp; as the last it is not private */
    expect_private("sticky/below");
    expect_refused("sticky", "mode 1777", "chmod 700");
    assert_false(exists("world/below"));
    assert_false(exists("group/below"));
}

static void own_links_on_the_way(void **state)
{
    make_dir("real", 0700);
    make_dir("real/sub", 0700);
    assert_int_equal(symlinkat("real", tempdir.fd, "relative"), 0);
    assert_int_equal(symlinkat(tempdir_path("relative/sub"), tempdir.fd, "absolute"),
                     0);
    assert_int_equal(symlinkat("sub/../../relative", tempdir.fd, "real/up"), 0);
    expect_private("relative/new");
    expect_private("absolute/new");
    expect_private("real/up/sub/new");
    assert_true(exists("real/new"));
    assert_true(exists("real/sub/new"));
    expect_refused("relative", "is a symbolic link", "relative'");
    expect_refused("relative/", "is a symbolic link", "relative'");
}

static void links_into_open_places(void **state)
{
    make_dir("world", 0777);
    make_dir("world/mine", 0700);
    assert_int_equal(symlinkat("world/mine", tempdir.fd, "link"), 0);
    expect_refused("link/x", "world' can be written to by others", "chmod");
}

static void loops_and_files(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(symlinkat("two", tempdir.fd, "one"), 0);
    assert_int_equal(symlinkat("one", tempdir.fd, "two"), 0);
    expect_refused("one/x", "one symbolic link too many", "");
    put_file("file", "", 0600);
    expect_refused("file", "file'", "cannot be entered");
    expect_refused("file/x", "file'", "cannot be entered");
    assert_int_equal(trust_private_dir("relative", &err), -1);
    assert_int_equal(trust_private_dir("", &err), -1);
    assert_int_equal(symlinkat("nowhere", tempdir.fd, "dangling"), 0);
    /* a dangling link of ours is followed, and its target made */
    expect_private("dangling/x");
}

static int private_dir_of_a_user(void)
{
    struct error err = ERROR_INIT;
    int fd = trust_private_dir(tempdir_path("mine/store"), &err);

    CHECK(fd >= 0);
    CHECK(trust_private_dir("/", &err) == -1);
    CHECK(strstr(err.text, "is not yours"));
    CHECK(trust_private_dir("/usr/repx-test-not-there", &err) == -1);
    CHECK(err.errnum == EACCES);
    return 0;
}

static void as_an_ordinary_user(void **state)
{
    assert_int_equal(as_user(private_dir_of_a_user), 0);
}

static int neighbours_traps(void)
{
    struct error err = ERROR_INIT;

    CHECK(trust_private_dir(tempdir_path("sticky/taken/x"), &err) == -1);
    CHECK(strstr(err.text, "sticky/taken' was made by another user"));
    CHECK(strstr(err.text, "uid 12345"));
    CHECK(trust_private_dir(tempdir_path("sticky/taken"), &err) == -1);
    CHECK(strstr(err.text, "was made by another user"));
    CHECK(trust_private_dir(tempdir_path("sticky/link/x"), &err) == -1);
    CHECK(strstr(err.text, "sticky/link'"));
    CHECK(trust_private_dir(tempdir_path("theirs/x"), &err) == -1);
    CHECK(strstr(err.text, "belongs to another user"));
    CHECK(trust_private_dir(tempdir_path("roots/link/x"), &err) >= 0);
    return 0;
}

static void neighbours(void **state)
{
    make_dir("sticky", 01777);
    make_dir("sticky/taken", 0777);
    make_dir("theirs", 0755);
    make_dir("roots", 0755);
    make_dir("mine", 0700);
    assert_int_equal(symlinkat("../mine", tempdir.fd, "sticky/link"), 0);
    assert_int_equal(symlinkat("../mine", tempdir.fd, "roots/link"), 0);
    assert_int_equal(fchownat(tempdir.fd, "sticky/taken", NEIGHBOUR, NEIGHBOUR, 0), 0);
    assert_int_equal(fchownat(tempdir.fd, "theirs", NEIGHBOUR, NEIGHBOUR, 0), 0);
    assert_int_equal(fchownat(tempdir.fd, "mine", TEST_UID, TEST_UID, 0), 0);
    assert_int_equal(
        fchownat(tempdir.fd, "sticky/link", NEIGHBOUR, NEIGHBOUR, AT_SYMLINK_NOFOLLOW),
        0);
    assert_int_equal(as_user(neighbours_traps), 0);
    /* and root falls into none of them either, nor into its user's */
    assert_int_equal(fchown(tempdir.fd, 0, 0), 0);
    expect_refused("sticky/taken/x", "was made by another user", "uid 12345");
    expect_refused("sticky/link/x", "was made by another user", "");
    expect_refused("theirs/x", "belongs to another user", "");
    expect_refused("mine/x", "belongs to another user", "only root controls");
    assert_false(exists("mine/x/x"));
}

typedef int (*trust_fn)(int, const char *, struct error *);

/* "" when f trusts the file, otherwise the message. Borrowed. */
static const char *verdict(trust_fn f, const char *path)
{
    static struct error err;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r;

    assert_true(fd >= 0);
    error_clear(&err);
    r = f(fd, path, &err);
    close(fd);
    assert_int_equal(r, err.text[0] ? -1 : 0);
    if (r < 0)
        assert_non_null(strstr(err.text, path));
    return err.text;
}

static void programs(void **state)
{
    assert_string_equal(verdict(trust_program, "/usr/bin/env"), "");
    put_file("own", "", 0700);
    put_file("group", "", 0775);
    put_file("plain", "", 0644);
    assert_string_equal(verdict(trust_program, tempdir_path("own")), "");
    assert_non_null(strstr(verdict(trust_program, tempdir_path("group")), "mode 0775"));
    assert_non_null(
        strstr(verdict(trust_program, tempdir_path("plain")), "is not executable"));
    assert_non_null(strstr(verdict(trust_program, tempdir.path), "not a regular file"));
    if (geteuid() == 0) {
        assert_int_equal(fchownat(tempdir.fd, "own", NEIGHBOUR, NEIGHBOUR, 0), 0);
        assert_non_null(
            strstr(verdict(trust_program, tempdir_path("own")), "uid 12345"));
    }
}

static int site_file_of_a_user(void)
{
    struct error err = ERROR_INIT;
    int fd = openat(tempdir.fd, "own", O_RDONLY | O_CREAT | O_CLOEXEC, 0644);

    CHECK(trust_site_file(fd, tempdir_path("own"), &err) == -1);
    CHECK(strstr(err.text, "does not belong to root"));
    fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    CHECK(trust_site_file(fd, "/etc/passwd", &err) == 0);
    CHECK(trust_site_file(fd, "/etc/hostname", &err) == -1);
    CHECK(trust_site_file(fd, "etc/passwd", &err) == -1);
    return 0;
}

static void site_files(void **state)
{
    assert_int_equal(as_user(site_file_of_a_user), 0);
}

static void site_files_of_root(void **state)
{
    make_dir("etc", 0755);
    make_dir("shared", 01777);
    put_file("etc/repx.ini", "", 0644);
    put_file("etc/loose.ini", "", 0664);
    put_file("shared/repx.ini", "", 0644);
    assert_int_equal(symlinkat("etc/repx.ini", tempdir.fd, "link.ini"), 0);
    assert_string_equal(verdict(trust_site_file, tempdir_path("etc/repx.ini")), "");
    assert_string_equal(verdict(trust_site_file, tempdir_path("link.ini")), "");
    assert_non_null(
        strstr(verdict(trust_site_file, tempdir_path("etc/loose.ini")), "mode 0664"));
    assert_non_null(strstr(verdict(trust_site_file, tempdir_path("shared/repx.ini")),
                           "its directory"));
    assert_int_equal(fchmodat(tempdir.fd, "etc", 0775, 0), 0);
    assert_non_null(strstr(verdict(trust_site_file, tempdir_path("etc/repx.ini")),
                           "etc' can be written to by others"));
    assert_int_equal(fchmodat(tempdir.fd, "etc", 0755, 0), 0);
    assert_int_equal(fchownat(tempdir.fd, "etc", NEIGHBOUR, NEIGHBOUR, 0), 0);
    assert_non_null(strstr(verdict(trust_site_file, tempdir_path("etc/repx.ini")),
                           "belongs to another user"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(creates_what_is_missing),
        tempdir_test(readable_by_others_is_fine),
        tempdir_test(writable_by_others_is_not),
        tempdir_test(own_links_on_the_way),
        tempdir_test(links_into_open_places),
        tempdir_test(loops_and_files),
        tempdir_test(as_an_ordinary_user),
        tempdir_test(programs),
        tempdir_test(site_files),
    };
    const struct CMUnitTest root_tests[] = {
        tempdir_test(neighbours),
        tempdir_test(site_files_of_root),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    if (geteuid() == 0)
        failed += cmocka_run_group_tests(root_tests, NULL, NULL);
    return failed;
}
