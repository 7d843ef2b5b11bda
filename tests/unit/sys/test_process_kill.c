/* The source itself is included: which of its two ways to find children is taken
 * depends on the kernel, and both must work. */
#include "unit/sys/tempdir.h"

#include <sys/prctl.h>

#include "sys/process_kill.c"

/* A child that waits until the other end of the pipe is closed. */
static pid_t waiting_child(int until[2])
{
    pid_t pid = fork();
    char c;

    assert_true(pid >= 0);
    if (pid == 0) {
        close(until[1]);
        _exit((int)read(until[0], &c, 1));
    }
    return pid;
}

static bool has(const struct pids *v, pid_t pid)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->items[i] == pid)
            return true;
    return false;
}

static void proc_names_our_children(void **state)
{
    struct pids v = {NULL, 0, 0}, w = {NULL, 0, 0};
    pid_t pids[50];
    int until[2];

    assert_true(proc_is_ours());
    assert_int_equal(pipe2(until, O_CLOEXEC), 0);
    for (int i = 0; i < 50; i++)
        pids[i] = waiting_child(until);
    list_from_proc(&v);
    assert_int_equal(v.count, 50);
    for (int i = 0; i < 50; i++)
        assert_true(has(&v, pids[i]));
    if (list_from_tasks(&w)) {
        assert_int_equal(w.count, 50);
        for (int i = 0; i < 50; i++)
            assert_true(has(&w, pids[i]));
    }
    close(until[0]);
    close(until[1]);
    for (int i = 0; i < 50; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    free(v.items);
    free(w.items);
}

/* A name with blanks and parentheses does not hide who the parent is. */
static void names_cannot_lie(void **state)
{
    char name[16] = ") S 1 1 (x", text[32];
    int until[2], ready[2];
    char c;
    pid_t pid;

    assert_int_equal(pipe2(until, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        close(until[1]);
        prctl(PR_SET_NAME, name);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        _exit((int)read(until[0], &c, 1));
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    snprintf(text, sizeof(text), "%d", (int)pid);
    assert_int_equal(parent_of(text), getpid());
    assert_int_equal(parent_of("0"), 0);
    close(until[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(parent_of(text), 0);
    close(until[0]);
    close(ready[0]);
    close(ready[1]);
}

__attribute__((noreturn)) static void sleep_for_ever(int ready)
{
    signal(SIGTERM, SIG_IGN);
    if (write(ready, "x", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

/* Children, their children, a session leader, one that is stopped and one that is dead.
 */
static void kills_all_and_reaps(void **state)
{
    char text[8];
    int ready[2];
    pid_t pid;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    for (int i = 0; i < 3; i++) {
        pid = fork();
        if (pid == 0) {
            setsid();
            if (fork() == 0 && fork() == 0)
                sleep_for_ever(ready[1]);
            sleep_for_ever(ready[1]);
        }
    }
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    if (fork() == 0)
        _exit(0);
    close(ready[1]);
    for (int i = 0; i < 9; i++)
        assert_int_equal(read(ready[0], text, 1), 1);
    process_kill_children();
    /* end of the pipe: nobody who held it is left */
    assert_int_equal(read(ready[0], text, 1), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    close(ready[0]);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void nothing_to_kill(void **state)
{
    uint64_t start = fdio_monotonic_ns();

    process_kill_children();
    assert_true(fdio_monotonic_ns() - start < 1000000000);
}

/* A process that is called so, with such an argument; it is there once this returns. */
static pid_t start_named(const char *name, const char *argument)
{
    int ready[2];
    pid_t pid;
    char c;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        execl("/bin/sleep", name, "600", argument, NULL);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 0);
    close(ready[0]);
    return pid;
}

static bool lives(pid_t pid)
{
    return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Only what has both the name and the text. */
static void kills_by_name_and_text(void **state)
{
    static const char *const names[] = {"conmon", "crun", NULL};
    const char *text = "600"; /* sleep(1) takes numbers alone */
    char mine[32];
    pid_t one, two, other_name, other_text;

    snprintf(mine, sizeof(mine), "0.%d77", (int)getpid());
    one = start_named("/usr/bin/conmon", mine);
    two = start_named("crun", mine);
    other_name = start_named("/usr/conmon/tail", mine);
    other_text = start_named("conmon", text);
    process_kill_named(names, mine);
    assert_false(lives(one));
    assert_false(lives(two));
    assert_true(lives(other_name));
    assert_true(lives(other_text));
    process_kill_children();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proc_names_our_children),
        cmocka_unit_test(names_cannot_lie),
        cmocka_unit_test(nothing_to_kill),
        cmocka_unit_test(kills_all_and_reaps),
        cmocka_unit_test(kills_by_name_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
