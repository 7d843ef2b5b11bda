#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "request/handoff.h"
#include "spank/courier.h"

static void fill(struct handoff_request *r)
{
    r->launcher = strdup("/l");
    r->node = strdup("n1");
    r->job_id = 7;
    strv_add(&r->options, "--image=X");
}

static bool is_open(int fd)
{
    return fd >= 0 && fcntl(fd, F_GETFD) >= 0;
}

static bool survives_exec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
}

static void test_a_whole_one(void **state)
{
    struct handoff_request r = HANDOFF_REQUEST_INIT;
    struct error err = ERROR_INIT;
    struct handoff h = HANDOFF_INIT;
    struct courier c;
    struct stat st;
    char bytes[4096], text[COURIER_TEXT], expected[COURIER_TEXT];
    const int *all[] = {&c.state, &c.hold[0], &c.hold[1], &c.send, &c.queue, &c.join};
    ssize_t n;

    (void)state;
    fill(&r);
    assert_int_equal(courier_open(&c, &r, "/proc/self/exe", getuid(), getgid(), &err),
                     0);
    for (size_t i = 0; i < array_size(all); i++)
        assert_false(survives_exec(*all[i]));
    assert_int_equal(fstat(c.state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_uid, getuid());
    n = pread(c.state, bytes, sizeof(bytes), 0);
    assert_int_equal(handoff_decode(bytes, (size_t)n, &h, &err), 0);
    assert_int_equal(h.phase, HANDOFF_NEW);
    assert_int_equal(h.request.job_id, 7);
    assert_string_equal(h.request.options.items[0], "--image=X");
    assert_int_equal(courier_pass(&c, text, &err), 0);
    snprintf(expected, sizeof(expected), "%d:%d:%d:%d:%d:%d", c.state, c.hold[0],
             c.hold[1], c.send, c.queue, c.join);
    assert_string_equal(text, expected);
    for (size_t i = 0; i < array_size(all); i++)
        assert_true(survives_exec(*all[i]));
    handoff_release(&h);
    handoff_request_release(&r);
    courier_close(&c);
    assert_int_equal(c.state, -1);
    assert_int_equal(courier_pass(&c, text, &err), -1);
}

/* What was sent stays until the queue itself goes: that keeps a sandbox and its image's
 * lock for as long as slurmstepd lives. */
static void test_the_queue_stays(void **state)
{
    struct handoff_request r = HANDOFF_REQUEST_INIT;
    struct error err = ERROR_INIT;
    struct courier c;
    struct pollfd p = {.events = POLLIN};
    char got[8];
    int others[4];

    (void)state;
    fill(&r);
    assert_int_equal(courier_open(&c, &r, "/proc/self/exe", getuid(), getgid(), &err),
                     0);
    others[0] = c.state;
    others[1] = c.hold[0];
    others[2] = c.send;
    others[3] = c.join;
    assert_int_equal(send(c.send, "keep", 4, 0), 4);
    courier_keep_queue(&c);
    for (size_t i = 0; i < array_size(others); i++)
        assert_false(is_open(others[i]));
    assert_true(is_open(c.queue));
    p.fd = c.queue;
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(recv(c.queue, got, sizeof(got), MSG_PEEK), 4);
    assert_int_equal(recv(c.queue, got, sizeof(got), MSG_PEEK), 4);
    courier_close(&c);
    handoff_request_release(&r);
}

static void test_failures_leave_nothing(void **state)
{
    struct handoff_request r = HANDOFF_REQUEST_INIT;
    struct error err = ERROR_INIT;
    struct courier c;
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

    (void)state;
    close(before);
    assert_int_equal(courier_open(&c, &r, "/nowhere", 0, 0, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere"));
    assert_int_equal(courier_open(&c, &r, "/proc/self/exe", 0, 0, &err), -1);
    assert_non_null(strstr(err.text, "names no launcher"));
    assert_int_equal(c.join, -1);
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(after, before);
    close(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_one),
        cmocka_unit_test(test_the_queue_stays),
        cmocka_unit_test(test_failures_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
