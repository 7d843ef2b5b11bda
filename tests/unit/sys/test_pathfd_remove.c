#include "unit/sys/tempdir.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

static void missing_and_plain(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(pathfd_remove_tree(tempdir.fd, "none", &err), 0);
    put_file("file", "x", 0400);
    assert_int_equal(pathfd_remove_tree(tempdir.fd, "file", &err), 0);
    assert_false(exists("file"));
}

static void only_one_name(void **state)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/abs", "a/"};
    struct error err = ERROR_INIT;

    assert_int_equal(mkdirat(tempdir.fd, "a", 0755), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pathfd_remove_tree(tempdir.fd, bad[i], &err), -1);
    assert_true(exists("a"));
}

static void links_are_not_followed(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(mkdirat(tempdir.fd, "kept", 0755), 0);
    put_file("kept/file", "x", 0600);
    assert_int_equal(mkdirat(tempdir.fd, "tree", 0755), 0);
    assert_int_equal(symlinkat("../kept", tempdir.fd, "tree/link"), 0);
    assert_int_equal(mkfifoat(tempdir.fd, "tree/fifo", 0600), 0);
    assert_int_equal(symlinkat("kept", tempdir.fd, "top"), 0);
    assert_int_equal(pathfd_remove_tree(tempdir.fd, "tree", &err), 0);
    assert_int_equal(pathfd_remove_tree(tempdir.fd, "top", &err), 0);
    assert_false(exists("tree"));
    assert_false(exists("top"));
    assert_true(exists("kept/file"));
}

static void empty_keeps_the_directory(void **state)
{
    struct error err = ERROR_INIT;
    int fd;

    assert_int_equal(mkdirat(tempdir.fd, "dir", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "dir/sub", 0755), 0);
    put_file("dir/sub/file", "x", 0600);
    put_file("dir/file", "x", 0600);
    fd = openat(tempdir.fd, "dir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pathfd_empty_dir(fd, &err), 0);
    close(fd);
    assert_int_equal(unlinkat(tempdir.fd, "dir", AT_REMOVEDIR), 0);
}

static void many_siblings(void **state)
{
    struct error err = ERROR_INIT;
    char name[64];

    assert_int_equal(mkdirat(tempdir.fd, "wide", 0755), 0);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "wide/d%d", i);
        assert_int_equal(mkdirat(tempdir.fd, name, 0755), 0);
        snprintf(name, sizeof(name), "wide/f%d", i);
        put_file(name, "", 0600);
    }
    assert_int_equal(pathfd_remove_tree(tempdir.fd, "wide", &err), 0);
    assert_false(exists("wide"));
}

/* Directories that deny their owner everything. */
static int denied_tree(void)
{
    static const mode_t modes[] = {0000, 0555, 0444, 0111, 0333};
    struct error err = ERROR_INIT;
    char name[64];

    CHECK(mkdirat(tempdir.fd, "tree", 0755) == 0);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        snprintf(name, sizeof(name), "tree/d%zu", i);
        CHECK(mkdirat(tempdir.fd, name, 0755) == 0);
        snprintf(name, sizeof(name), "tree/d%zu/sub", i);
        CHECK(mkdirat(tempdir.fd, name, 0755) == 0);
        snprintf(name, sizeof(name), "tree/d%zu/sub/file", i);
        CHECK(mknodat(tempdir.fd, name, S_IFREG | 0400, 0) == 0);
        snprintf(name, sizeof(name), "tree/d%zu/sub", i);
        CHECK(fchmodat(tempdir.fd, name, 0000, 0) == 0);
        snprintf(name, sizeof(name), "tree/d%zu", i);
        CHECK(fchmodat(tempdir.fd, name, modes[i], 0) == 0);
    }
    CHECK(fchmodat(tempdir.fd, "tree", 0000, 0) == 0);
    CHECK(pathfd_remove_tree(tempdir.fd, "tree", &err) == 0);
    CHECK(!exists("tree"));
    return 0;
}

static void modes_of_directories(void **state)
{
    assert_int_equal(as_user(denied_tree), 0);
}

static int foreign_tree(void)
{
    struct error err = ERROR_INIT;

    CHECK(pathfd_remove_tree(tempdir.fd, "foreign", &err) == -1);
    CHECK(err.errnum == EACCES || err.errnum == EPERM);
    CHECK(strstr(err.text, "foreign"));
    return 0;
}

/* What belongs to somebody else is an error that names it. Made by root when we are
 * root; otherwise /proc/self/fd stands for what nobody may remove. */
static void what_is_not_ours(void **state)
{
    struct error err = ERROR_INIT;
    int fd;

    if (geteuid() == 0) {
        assert_int_equal(mkdirat(tempdir.fd, "foreign", 0755), 0);
        put_file("foreign/file", "x", 0600);
        assert_int_equal(as_user(foreign_tree), 0);
        assert_true(exists("foreign/file"));
        return;
    }
    fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pathfd_remove_tree(fd, "attr", &err), -1);
    close(fd);
}

/* Far deeper than PATH_MAX, than the descriptor limit and than a recursion would bear.
 */
static void deep_tree(void **state)
{
    struct rlimit old, few = {32, 32};
    struct error err = ERROR_INIT;
    int fd = openat(tempdir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), next;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = old.rlim_max;
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(pathfd_remove_tree(tempdir.fd, "d", &err), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_false(exists("d"));
}

/* In a mount namespace of its own: a bind mount of the same file system below the tree.
 */
static int mounted_tree(void)
{
    int space = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    struct error err = ERROR_INIT;

    CHECK(unshare(space) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    /* the old descriptor belongs to the old namespace and sees none of our mounts */
    tempdir.fd = open(tempdir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(mount(tempdir_path("outside"), tempdir_path("tree/sub/mnt"), NULL, MS_BIND,
                NULL) == 0);
    CHECK(pathfd_remove_tree(tempdir.fd, "tree", &err) == -1);
    CHECK(err.errnum == EXDEV);
    CHECK(strstr(err.text, "tree/sub/mnt"));
    CHECK(exists("outside/file"));
    CHECK(mount("none", tempdir_path("top"), "tmpfs", 0, NULL) == 0);
    CHECK(pathfd_remove_tree(tempdir.fd, "top", &err) == -1);
    CHECK(err.errnum == EXDEV);
    return 0;
}

static void mounts_are_refused(void **state)
{
    int status;
    pid_t pid;

    assert_int_equal(mkdirat(tempdir.fd, "outside", 0755), 0);
    put_file("outside/file", "x", 0600);
    assert_int_equal(mkdirat(tempdir.fd, "tree", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "tree/sub", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "tree/sub/mnt", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "top", 0755), 0);
    pid = fork();
    if (pid == 0)
        _exit(mounted_tree());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(exists("outside/file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(missing_and_plain),      tempdir_test(only_one_name),
        tempdir_test(links_are_not_followed), tempdir_test(empty_keeps_the_directory),
        tempdir_test(many_siblings),          tempdir_test(modes_of_directories),
        tempdir_test(what_is_not_ours),       tempdir_test(deep_tree),
        tempdir_test(mounts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
