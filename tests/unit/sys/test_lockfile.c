#include "unit/sys/tempdir.h"

#include <errno.h>
#include <sys/file.h>

#include "base/buf.h"
#include "sys/lockfile.h"

static void one_exclusive_holder(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT;
    struct error err = ERROR_INIT;
    struct stat st;

    assert_int_equal(lockfile_try(&a, tempdir.fd, "l", true, &err), 0);
    assert_int_equal(fstat(a.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(fcntl(a.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lockfile_try(&b, tempdir.fd, "l", true, &err), 1);
    assert_true(b.fd >= 0);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", false, &err), 1);
    lockfile_release(&a);
    assert_int_equal(a.fd, -1);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", true, &err), 0);
    lockfile_release(&b);
    lockfile_release(&b);
    /* it is not unlinked by itself */
    assert_true(exists("l"));
}

static void many_sharers(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT, c = LOCKFILE_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(lockfile_try(&a, tempdir.fd, "l", false, &err), 0);
    assert_int_equal(lockfile_take(&b, tempdir.fd, "l", false, &err), 0);
    assert_int_equal(lockfile_try(&c, tempdir.fd, "l", true, &err), 1);
    lockfile_release(&a);
    assert_int_equal(lockfile_retry(&c, tempdir.fd, "l", true, &err), 1);
    lockfile_release(&b);
    assert_int_equal(lockfile_retry(&c, tempdir.fd, "l", true, &err), 0);
    lockfile_release(&c);
}

static void exclusive_becomes_shared(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT, c = LOCKFILE_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(lockfile_take(&a, tempdir.fd, "l", true, &err), 0);
    assert_int_equal(lockfile_try(&b, tempdir.fd, "l", false, &err), 1);
    assert_int_equal(lockfile_share(&a, &err), 0);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", false, &err), 0);
    assert_int_equal(lockfile_try(&c, tempdir.fd, "l", true, &err), 1);
    lockfile_release(&a);
    lockfile_release(&b);
    lockfile_release(&c);
}

static void dies_with_its_holder(void **state)
{
    struct lockfile l = LOCKFILE_INIT;
    struct error err = ERROR_INIT;
    int ready[2], status;
    char c;
    pid_t pid;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        if (lockfile_take(&l, tempdir.fd, "l", true, &err) == 0 &&
            write(ready[1], "x", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(lockfile_try(&l, tempdir.fd, "l", true, &err), 1);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_int_equal(lockfile_retry(&l, tempdir.fd, "l", true, &err), 0);
    lockfile_release(&l);
    close(ready[0]);
    close(ready[1]);
}

static void check_note(const struct lockfile *l, const char *want)
{
    struct error err = ERROR_INIT;
    struct buf note = BUF_INIT;

    buf_adds(&note, ">");
    assert_int_equal(lockfile_note_read(l, &note, &err), 0);
    assert_string_equal(buf_str(&note) + 1, want);
    buf_release(&note);
}

static void notes(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT;
    struct error err = ERROR_INIT;
    char big[4000];
    struct stat st;

    assert_int_equal(lockfile_take(&a, tempdir.fd, "l", true, &err), 0);
    assert_int_equal(lockfile_try(&b, tempdir.fd, "l", true, &err), 1);
    check_note(&b, "");
    assert_int_equal(lockfile_note_write(&a, "pid 1234 on node17", &err), 0);
    check_note(&b, "pid 1234 on node17");
    assert_int_equal(lockfile_note_write(&a, "pid 5", &err), 0);
    check_note(&b, "pid 5");
    assert_int_equal(fstat(a.fd, &st), 0);
    assert_int_equal(st.st_size, strlen("pid 5\n"));
    assert_int_equal(lockfile_note_write(&a, "one\ntwo", &err), 0);
    check_note(&b, "one");
    memset(big, 'n', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(lockfile_note_write(&a, big, &err), 0);
    big[1024] = '\0';
    check_note(&b, big);
    lockfile_release(&a);
    lockfile_release(&b);
}

static void an_unlinked_file_is_opened_again(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT, c = LOCKFILE_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(lockfile_try(&a, tempdir.fd, "l", true, &err), 0);
    assert_int_equal(lockfile_try(&b, tempdir.fd, "l", true, &err), 1);
    assert_int_equal(lockfile_unlink(&a, tempdir.fd, "l", &err), 0);
    assert_false(exists("l"));
    /* somebody new has the name; the one who waited for the old file must not get it */
    assert_int_equal(lockfile_try(&c, tempdir.fd, "l", true, &err), 0);
    /* the holder of the old file does not remove the new one */
    assert_int_equal(lockfile_unlink(&a, tempdir.fd, "l", &err), 0);
    assert_true(exists("l"));
    lockfile_release(&a);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", true, &err), 1);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", false, &err), 1);
    lockfile_release(&c);
    assert_int_equal(lockfile_retry(&b, tempdir.fd, "l", true, &err), 0);
    lockfile_release(&b);
}

/* Two processes take turns; each unlinks the file before it lets go. Never are two
 * inside at once. */
static void unlink_races(void **state)
{
    struct lockfile l = LOCKFILE_INIT;
    struct error err = ERROR_INIT;
    pid_t pids[4];
    int i, k, status;

    for (k = 0; k < 4; k++) {
        pids[k] = fork();
        if (pids[k] != 0)
            continue;
        for (i = 0; i < 300; i++) {
            if (lockfile_take(&l, tempdir.fd, "l", true, &err) < 0 ||
                mkdirat(tempdir.fd, "inside", 0700) < 0 ||
                unlinkat(tempdir.fd, "inside", AT_REMOVEDIR) < 0 ||
                lockfile_unlink(&l, tempdir.fd, "l", &err) < 0)
                _exit(1);
            lockfile_release(&l);
        }
        _exit(0);
    }
    for (k = 0; k < 4; k++) {
        assert_int_equal(waitpid(pids[k], &status, 0), pids[k]);
        assert_int_equal(status, 0);
    }
}

static void one_that_exists(void **state)
{
    struct lockfile a = LOCKFILE_INIT, b = LOCKFILE_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(lockfile_try_existing(&a, tempdir.fd, "l", false, &err), -1);
    assert_int_equal(err.errnum, ENOENT);
    assert_false(exists("l"));
    put_file("l", "", 0444);
    assert_int_equal(lockfile_try_existing(&a, tempdir.fd, "l", false, &err), 0);
    assert_int_equal(fcntl(a.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(lockfile_try(&b, tempdir.fd, "l", true, &err), 1);
    lockfile_release(&a);
    lockfile_release(&b);
}

static void only_regular_files(void **state)
{
    struct lockfile l = LOCKFILE_INIT;
    struct error err = ERROR_INIT;

    put_file("victim", "x", 0600);
    assert_int_equal(symlinkat("victim", tempdir.fd, "link"), 0);
    assert_int_equal(mkfifoat(tempdir.fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(tempdir.fd, "dir", 0700), 0);
    assert_int_equal(lockfile_try(&l, tempdir.fd, "link", true, &err), -1);
    assert_int_equal(err.errnum, ELOOP);
    assert_non_null(strstr(err.text, "link"));
    assert_int_equal(lockfile_try(&l, tempdir.fd, "fifo", true, &err), -1);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(lockfile_take(&l, tempdir.fd, "dir", true, &err), -1);
    assert_int_equal(lockfile_take(&l, tempdir.fd, "none/l", true, &err), -1);
    assert_int_equal(err.errnum, ENOENT);
    assert_int_equal(l.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(one_exclusive_holder),
        tempdir_test(many_sharers),
        tempdir_test(exclusive_becomes_shared),
        tempdir_test(dies_with_its_holder),
        tempdir_test(an_unlinked_file_is_opened_again),
        tempdir_test(unlink_races),
        tempdir_test(one_that_exists),
        tempdir_test(notes),
        tempdir_test(only_regular_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
