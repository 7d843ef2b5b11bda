#include "init/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "unit/sys/tempdir.h"

/* System calls with this number fail with EPERM, in this process from here on. */
static bool deny(unsigned number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Nothing effective, permitted or inheritable, and nothing ambient. */
static bool holds_none(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, data) < 0)
        return false;
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if (data[i].effective || data[i].permitted || data[i].inheritable)
            return false;
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SYS_ADMIN, 0, 0) == 0;
}

static bool bounding_is_empty(void)
{
    int held = 0;

    for (int cap = 0; held == 0; cap++)
        held = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
    return held < 0;
}

/* Each in a process of its own, as root or in a user namespace. */
static int with_rights(int (*body)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(geteuid() == 0 || unshare(CLONE_NEWUSER) == 0 ? body() : 99);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int drop_all(void)
{
    if (privileges_drop() != 0)
        return 1;
    if (!holds_none())
        return 2;
    return bounding_is_empty() ? 0 : 3;
}

static void nothing_is_left(void **state)
{
    (void)state;
    assert_int_equal(with_rights(drop_all), 0);
}

/* Who has none already. */
static int drop_twice(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

    if (syscall(SYS_capset, &header, none) < 0)
        return 1;
    if (privileges_drop() != 1 || errno != EPERM)
        return 2;
    return holds_none() ? 0 : 3;
}

static void without_the_right_the_bounding_set_stays(void **state)
{
    (void)state;
    assert_int_equal(with_rights(drop_twice), 0);
}

static int drop_denied(void)
{
    if (!deny(SYS_capset))
        return 1;
    return privileges_drop() == -1 && errno == EPERM ? 0 : 2;
}

static void what_is_still_held_is_no_success(void **state)
{
    (void)state;
    assert_int_equal(with_rights(drop_denied), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(without_the_right_the_bounding_set_stays),
        cmocka_unit_test(what_is_still_held_is_no_success),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
