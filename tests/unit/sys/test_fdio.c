#include "unit/sys/tempdir.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include "sys/fdio.h"

static void writes_through_a_small_pipe(void **state)
{
    struct error err = ERROR_INIT;
    size_t size = 1U << 20;
    char *data = malloc(size), *back = malloc(size + 1);
    int p[2], status;
    pid_t pid;

    for (size_t i = 0; i < size; i++)
        data[i] = (char)(i * 7);
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0)
        _exit(fdio_write_all(p[1], data, size, &err) == 0 ? 0 : 1);
    close(p[1]);
    assert_int_equal(fdio_read_full(p[0], back, size + 1, &err), size);
    assert_memory_equal(back, data, size);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(p[0]);
    free(data);
    free(back);
}

static void errors_are_reported(void **state)
{
    struct error err = ERROR_INIT;
    char c;
    int p[2];

    assert_int_equal(fdio_write_all(-1, "x", 1, &err), -1);
    assert_int_equal(err.errnum, EBADF);
    assert_int_equal(fdio_read_full(-1, &c, 1, &err), -1);
    assert_int_equal(fdio_inherit(-1, &err), -1);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    close(p[0]);
    assert_int_equal(fdio_write_all(p[1], "x", 1, &err), -1);
    assert_int_equal(err.errnum, EPIPE);
    close(p[1]);
    signal(SIGPIPE, SIG_DFL);
}

static void memfd_is_sealed(void **state)
{
    struct error err = ERROR_INIT;
    char text[16] = "";
    int fd = fdio_memfd("args", "hello", 5, &err);

    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    assert_int_equal(fdio_read_full(fd, text, sizeof(text), &err), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(pwrite(fd, "J", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fdio_inherit(fd, &err), 0);
    assert_false(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    fd = fdio_memfd("empty", NULL, 0, &err);
    assert_true(fd >= 0);
    close(fd);
}

static void missing_stdio_is_opened(void **state)
{
    struct error err = ERROR_INIT;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct stat null, got;

        close(0);
        close(2);
        if (fdio_open_stdio(&err) < 0 || stat("/dev/null", &null) < 0)
            _exit(1);
        for (int fd = 0; fd <= 2; fd += 2)
            if (fstat(fd, &got) < 0 || got.st_rdev != null.st_rdev ||
                (fcntl(fd, F_GETFD) & FD_CLOEXEC))
                _exit(2);
        _exit(fdio_open_stdio(&err) < 0 ? 3 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void clocks(void **state)
{
    uint64_t before = fdio_monotonic_ns();
    char text[32];

    poll(NULL, 0, 2);
    assert_true(fdio_monotonic_ns() - before >= 1000000);
    fdio_utc_now(text, sizeof(text));
    assert_int_equal(strlen(text), 20);
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[19], 'Z');
    assert_int_equal(strncmp(text, "20", 2), 0);
    fdio_utc_now(text, 4);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_through_a_small_pipe),
        cmocka_unit_test(errors_are_reported),
        cmocka_unit_test(memfd_is_sealed),
        cmocka_unit_test(missing_stdio_is_opened),
        cmocka_unit_test(clocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
