#include "unit/sys/tempdir.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "sys/process.h"

static void calling_user(void **state)
{
    struct process_user u;
    struct error err = ERROR_INIT;
    struct passwd *pw = getpwuid(geteuid());

    assert_int_equal(process_user_init(&u, &err), 0);
    assert_int_equal(u.uid, geteuid());
    assert_int_equal(u.gid, getegid());
    if (pw) {
        assert_string_equal(u.name, pw->pw_name);
        assert_string_equal(u.home, pw->pw_dir);
    } else {
        assert_int_equal(strncmp(u.name, "uid", 3), 0);
        assert_string_equal(u.home, "/");
    }
    assert_true(u.group[0] != '\0');
    process_user_release(&u);
    assert_null(u.name);
    process_user_release(&u);
}

static void unknown_user(void **state)
{
    struct error err = ERROR_INIT;
    struct process_user u;
    int status;
    pid_t pid;

    if (geteuid() != 0)
        return;
    pid = fork();
    if (pid == 0) {
        if (setresgid(7654321, 7654321, 7654321) < 0 ||
            setresuid(7654321, 7654321, 7654321) < 0 || process_user_init(&u, &err) < 0)
            _exit(1);
        _exit(strcmp(u.name, "uid7654321") || strcmp(u.group, "gid7654321") ||
              strcmp(u.home, "/"));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void node(void **state)
{
    struct utsname un;
    char *text;

    assert_int_equal(uname(&un), 0);
    text = process_kernel_release();
    assert_string_equal(text, un.release);
    free(text);
    text = process_hostname();
    assert_string_equal(text, un.nodename);
    free(text);
    text = process_boot_id();
    assert_int_equal(strlen(text), 36);
    assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
    free(text);
}

static void check_found(const char *name, const char *list, const char *want)
{
    char *got = process_find_program(name, list);

    if (!want) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static void finds_programs(void **state)
{
    char list[2048], *cwd = getcwd(NULL, 0);

    assert_int_equal(mkdirat(tempdir.fd, "one", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "two", 0755), 0);
    assert_int_equal(mkdirat(tempdir.fd, "one/tool", 0755), 0);
    put_file("two/tool", "", 0755);
    put_file("one/plain", "", 0644);
    put_file("two/plain", "", 0755);
    put_file("here", "", 0755);
    snprintf(list, sizeof(list), "%s/none:%s/one:%s/two", tempdir.path, tempdir.path,
             tempdir.path);
    check_found("tool", list, tempdir_path("two/tool"));
    check_found("plain", list, tempdir_path("two/plain"));
    check_found("missing", list, NULL);
    check_found("", list, NULL);
    check_found("../here", list, NULL);
    check_found("/any/thing", list, "/any/thing");
    check_found("tool", NULL, NULL);
    check_found("tool", "", NULL);
    assert_int_equal(fchdir(tempdir.fd), 0);
    check_found("here", ":.::", NULL);
    check_found("tool", "two", NULL);
    assert_int_equal(chdir(cwd), 0);
    free(cwd);
}

static void own_directory(void **state)
{
    struct error err = ERROR_INIT;
    char *dir = process_self_dir(&err), path[4096];
    struct stat a, b;

    snprintf(path, sizeof(path), "%s/%s", dir, program_invocation_short_name);
    assert_int_equal(stat(path, &a), 0);
    assert_int_equal(stat("/proc/self/exe", &b), 0);
    assert_true(a.st_ino == b.st_ino);
    free(dir);
    dir = process_self_program(&err);
    assert_string_equal(dir, path);
    free(dir);
}

static void signals_by_descriptor(void **state)
{
    int status, pidfd;
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(pidfd >= 0);
    process_signal(pidfd, SIGUSR1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGUSR1);
    /* nobody is there any more: no harm */
    process_signal(pidfd, SIGKILL);
    close(pidfd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calling_user),  cmocka_unit_test(unknown_user),
        cmocka_unit_test(node),          tempdir_test(finds_programs),
        cmocka_unit_test(own_directory), cmocka_unit_test(signals_by_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
