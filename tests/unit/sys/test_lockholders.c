#include "unit/sys/tempdir.h"

#include <stdlib.h>
#include <sys/file.h>

#include "sys/lockfile.h"
#include "sys/lockholders.h"

static void of_a_file(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT, other = LOCKFILE_INIT;
    struct error err = ERROR_INIT;
    struct lockholder *holders;
    int ready[2], status;
    size_t n;
    pid_t pid;
    char c;

    assert_int_equal(lockfile_try(&other, tempdir.fd, "other", true, &err), 0);
    assert_int_equal(lockfile_try(&a, tempdir.fd, "l", false, &err), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (lockfile_take(&b, tempdir.fd, "l", false, &err) == 0 &&
            write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(lockholders_find(a.fd, &holders, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_true((holders[0].pid == getpid() && holders[1].pid == pid) ||
                (holders[1].pid == getpid() && holders[0].pid == pid));
    assert_int_equal(holders[0].uid, geteuid());
    assert_int_equal(holders[1].uid, geteuid());
    free(holders);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    lockfile_release(&a);
    assert_int_equal(lockfile_try(&a, tempdir.fd, "l", true, &err), 0);
    assert_int_equal(flock(a.fd, LOCK_UN), 0);
    assert_int_equal(lockholders_find(a.fd, &holders, &n, &err), 0);
    assert_int_equal(n, 0);
    assert_null(holders);
    lockfile_release(&a);
    lockfile_release(&other);
    close(ready[0]);
    close(ready[1]);
}

static void variables(void **state)
{
    char *value = lockholders_env(getppid(), "PATH");

    assert_non_null(value);
    assert_non_null(strchr(value, '/'));
    free(value);
    assert_null(lockholders_env(getppid(), "REPX_NO_SUCH_VARIABLE"));
    assert_null(lockholders_env(getppid(), "PAT"));
    assert_null(lockholders_env(0, "PATH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(of_a_file),
        tempdir_test(variables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
