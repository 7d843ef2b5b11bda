#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fdpass.h"

struct received {
    char data[16];
    ssize_t len;
    int fds[FDPASS_MAX];
    size_t n;
};

static void receive(int socket, struct received *r)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
    } control;
    struct iovec iov = {r->data, sizeof(r->data)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};

    r->len = recvmsg(socket, &m, MSG_CMSG_CLOEXEC);
    assert_true(m.msg_controllen >= CMSG_LEN(sizeof(int)));
    assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
    r->n = (control.header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(r->fds, CMSG_DATA(&control.header), r->n * sizeof(int));
}

static void descriptors_arrive_in_their_order(void **state)
{
    int pair[2], fds[FDPASS_MAX];
    struct received r = {.len = -1};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (size_t i = 0; i < FDPASS_MAX; i++)
        fds[i] = i % 2 ? pair[0] : pair[1];
    assert_int_equal(fdpass_send(pair[0], "text", 4, fds, FDPASS_MAX, 0), 0);
    receive(pair[1], &r);
    assert_int_equal(r.len, 4);
    assert_memory_equal(r.data, "text", 4);
    assert_int_equal(r.n, FDPASS_MAX);
    for (size_t i = 0; i < r.n; i++) {
        struct stat sent, got;

        assert_int_equal(fstat(fds[i], &sent), 0);
        assert_int_equal(fstat(r.fds[i], &got), 0);
        assert_true(sent.st_ino == got.st_ino);
        close(r.fds[i]);
    }
    close(pair[0]);
    close(pair[1]);
}

static void what_cannot_be_sent_is_an_error(void **state)
{
    int pair[2], fds[FDPASS_MAX + 1] = {0};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fdpass_send(pair[0], "x", 1, fds, 0, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(fdpass_send(pair[0], "x", 1, fds, FDPASS_MAX + 1, 0), -1);
    assert_int_equal(errno, EINVAL);
    close(pair[1]);
    /* not a signal */
    assert_int_equal(fdpass_send(pair[0], "x", 1, pair, 1, 0), -1);
    assert_int_equal(errno, EPIPE);
    close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_arrive_in_their_order),
        cmocka_unit_test(what_cannot_be_sent_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
