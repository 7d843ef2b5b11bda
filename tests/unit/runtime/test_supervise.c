#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/supervise_internal.h"
#include "unit/runtime/harness.h"

static void test_exit_codes_are_exact(void **state)
{
    static const struct {
        const char *script;
        int code;
    } cases[] = {{"exit 0", 0}, {"exit 1", 1}, {"exit 77", 77}, {"exit 255", 255}};

    for_each_variant(v)
    {
        for (size_t i = 0; i < array_size(cases); i++) {
            char script[32];
            char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, script, NULL};
            struct launch l = launch_of(variants[v].runtime, variants[v].uid, argv);
            struct outcome o;

            snprintf(script, sizeof(script), "%s", cases[i].script);
            o = launch_run(&l, NULL);
            assert_string_equal(o.err.text, "");
            assert_int_equal(o.rc, 0);
            assert_true(o.result.started);
            assert_true(WIFEXITED(o.result.wait_status));
            assert_int_equal(WEXITSTATUS(o.result.wait_status), cases[i].code);
            assert_int_equal(o.result.signalled, 0);
            assert_true(o.result.start_ns > 0 && o.result.end_ns >= o.result.start_ns);
            assert_true(o.result.usage.ru_maxrss > 0);
        }
    }
}

static void test_deaths_by_signal_are_exact(void **state)
{
    static const int signals[] = {SIGKILL, SIGSEGV, SIGTERM, SIGUSR1};

    for_each_variant(v)
    {
        for (size_t i = 0; i < array_size(signals); i++) {
            char script[32];
            char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"}, script, NULL};
            struct launch l = launch_of(variants[v].runtime, variants[v].uid, argv);
            struct outcome o;

            snprintf(script, sizeof(script), "kill -%d $$", signals[i]);
            o = launch_run(&l, NULL);
            assert_int_equal(o.rc, 0);
            assert_true(WIFSIGNALED(o.result.wait_status));
            assert_int_equal(WTERMSIG(o.result.wait_status), signals[i]);
            assert_false(o.result.killed);
        }
    }
}

static void test_sigterm_is_passed_on_once(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(
            variants[v].runtime, variants[v].uid,
            SH("trap 'echo got; exit 3' TERM; echo ready; sleep 60 & wait; wait"));
        struct running r;
        struct outcome o;

        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        kill(r.pid, SIGTERM);
        o = launch_finish(&r);
        assert_string_equal(buf_str(&r.output), "ready\ngot\n");
        assert_int_equal(o.rc, 0);
        assert_int_equal(o.result.wait_status, 3 << 8);
        assert_int_equal(o.result.signalled, SIGTERM);
        assert_false(o.result.killed);
        buf_release(&r.output);
    }
}

/* Asking twice passes it on twice, and does not shorten the grace. */
static void test_second_request_is_passed_on(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(
            variants[v].runtime, variants[v].uid,
            SH("trap 'echo int' INT; trap 'echo term; exit 4' TERM; echo ready; "
               "while :; do sleep 60 & wait; done"));
        struct running r;
        struct outcome o;

        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        kill(r.pid, SIGINT);
        wait_for_output(&r, "int\n");
        kill(r.pid, SIGTERM);
        o = launch_finish(&r);
        assert_non_null(strstr(buf_str(&r.output), "term\n"));
        assert_int_equal(o.result.wait_status, 4 << 8);
        assert_int_equal(o.result.signalled, SIGINT);
        assert_false(o.result.killed);
        buf_release(&r.output);
    }
}

static void test_other_signals_do_not_stop(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(
            variants[v].runtime, variants[v].uid,
            SH("trap 'echo one' USR1; trap 'echo two; exit 5' USR2; echo ready; "
               "while :; do sleep 60 & wait; done"));
        struct running r;
        struct outcome o;

        l.grace_ns = 1;
        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        kill(r.pid, SIGUSR1);
        wait_for_output(&r, "one\n");
        kill(r.pid, SIGUSR2);
        o = launch_finish(&r);
        assert_int_equal(o.result.wait_status, 5 << 8);
        assert_int_equal(o.result.signalled, 0);
        assert_false(o.result.killed);
        buf_release(&r.output);
    }
}

static void test_after_the_grace_it_is_killed(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(variants[v].runtime, variants[v].uid,
                                    SH("trap '' TERM; echo ready; sleep 60; sleep 60"));
        struct running r;
        struct outcome o;

        l.grace_ns = 100000000;
        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        kill(r.pid, SIGTERM);
        o = launch_finish(&r);
        assert_int_equal(o.rc, 0);
        assert_true(o.result.killed);
        assert_int_equal(o.result.signalled, SIGTERM);
        assert_true(WIFSIGNALED(o.result.wait_status));
        assert_int_equal(WTERMSIG(o.result.wait_status), SIGKILL);
        buf_release(&r.output);
    }
}

static void signal_descendants(pid_t pid, int sig)
{
    char path[64], line[4096] = "";
    pid_t child;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
    f = fopen(path, "r");
    if (f && fgets(line, sizeof(line), f))
        for (char *p = line, *end; (child = (pid_t)strtol(p, &end, 10)) > 0; p = end)
            signal_descendants(child, sig);
    if (f)
        fclose(f);
    kill(pid, sig);
}

/* Slurm signals every process of a step: bwrap and init must outlive the job's own end.
 * The sleep may be hit, and waited for, long before its shell is. */
static void test_signal_to_every_process(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(
            variants[v].runtime, variants[v].uid,
            SH("trap 'trap \"\" TERM; echo cleaning; exit 6' TERM; echo ready; "
               "while :; do sleep 60 & wait; done"));
        struct running r;
        struct outcome o;

        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        signal_descendants(r.pid, SIGTERM);
        o = launch_finish(&r);
        assert_string_equal(buf_str(&r.output), "ready\ncleaning\n");
        assert_int_equal(o.rc, 0);
        assert_int_equal(o.result.wait_status, 6 << 8);
        buf_release(&r.output);
    }
}

/* launch_finish waits until nobody holds the output any more. */
static void test_background_processes_are_gone(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(
            variants[v].runtime, variants[v].uid,
            SH("(trap '' TERM HUP; sleep 1000; sleep 1000) & (sleep 1000 &) ; exit 0"));
        struct outcome o = launch_run(&l, NULL);

        assert_int_equal(o.rc, 0);
        assert_int_equal(o.result.wait_status, 0);
    }
}

static void test_killed_launcher_leaves_nothing(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(variants[v].runtime, variants[v].uid,
                                    SH("echo ready; exec sleep 1000"));
        struct running r;

        launch_start(&r, &l);
        wait_for_output(&r, "ready\n");
        kill(r.pid, SIGKILL);
        assert_int_equal(launch_finish(&r).rc, -2);
        buf_release(&r.output);
    }
}

/* bwrap dies alone, as by the OOM killer: init goes with it, and it is told as a loss.
 */
static void test_killed_sandbox_is_told(void **state)
{
    struct launch l = launch_of(
        "bwrap", 0,
        SH("trap 'echo again' USR1; echo ready; while :; do sleep 1000 & wait; done"));
    char path[64], line[64] = "";
    struct running r;
    struct outcome o;
    FILE *f;

    launch_start(&r, &l);
    wait_for_output(&r, "ready\n");
    /* init passes signals on once it has told that the job runs */
    kill(r.pid, SIGUSR1);
    wait_for_output(&r, "again\n");
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)r.pid, (int)r.pid);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    fclose(f);
    assert_true(strtol(line, NULL, 10) > 1);
    kill((pid_t)strtol(line, NULL, 10), SIGKILL);
    o = launch_finish(&r);
    assert_int_equal(o.rc, -1);
    assert_true(o.result.started);
    assert_false(o.result.killed);
    assert_non_null(strstr(o.err.text, "killed from outside"));
    buf_release(&r.output);
}

static void test_cancelled_before_the_start(void **state)
{
    for_each_variant(v)
    {
        struct launch l =
            launch_of(variants[v].runtime, variants[v].uid, SH("echo must not run"));
        struct buf output;
        struct outcome o;

        l.raise_first = SIGTERM;
        o = launch_run(&l, &output);
        assert_int_equal(o.rc, -1);
        assert_false(o.result.started);
        assert_int_equal(o.result.signalled, SIGTERM);
        assert_int_equal(o.err.class, ERROR_LAUNCHER);
        assert_string_equal(o.err.text, "cancelled by SIGTERM before the job started");
        assert_int_equal(output.len, 0);
    }
}

/* A signal that does not ask to stop reaches the job although it came before it. */
static void test_early_signal_is_kept(void **state)
{
    for_each_variant(v)
    {
        struct launch l =
            launch_of(variants[v].runtime, variants[v].uid, SH("sleep 60"));
        struct outcome o;

        l.raise_first = SIGUSR1;
        o = launch_run(&l, NULL);
        assert_int_equal(o.rc, 0);
        assert_int_equal(WTERMSIG(o.result.wait_status), SIGUSR1);
    }
}

static void test_a_megabyte_of_output(void **state)
{
    for_each_variant(v)
    {
        struct launch l = launch_of(variants[v].runtime, variants[v].uid,
                                    SH("busybox head -c 1048576 /dev/zero"));
        struct buf output;
        struct outcome o = launch_run(&l, &output);

        assert_int_equal(o.rc, 0);
        assert_int_equal(o.result.wait_status, 0);
        assert_int_equal(output.len, 1048576);
        buf_release(&output);
    }
}

static void check_not_executed(const char *runtime, const char *program,
                               enum error_class class, const char *text)
{
    char name[256];
    char *argv[] = {name, NULL};
    struct launch l = launch_of(runtime, 0, argv);
    struct outcome o;

    /* natively the odd files are used where they are */
    snprintf(name, sizeof(name), "%s%s", l.in.isolated || program[0] != '/' ? "" : root,
             program);
    o = launch_run(&l, NULL);
    assert_int_equal(o.rc, -1);
    assert_false(o.result.started);
    assert_int_equal(o.err.class, class);
    if (!strstr(o.err.text, text))
        fail_msg("'%s' is not in: %s", text, o.err.text);
}

static void test_commands_that_cannot_run(void **state)
{
    static const char *const runtimes[] = {"bwrap", "native"};

    for (size_t i = 0; i < array_size(runtimes); i++) {
        const char *r = runtimes[i];

        check_not_executed(r, "no-such-command", ERROR_NOT_FOUND, "no-such-command");
        check_not_executed(r, "/bin/nothing", ERROR_NOT_FOUND, "/bin/nothing");
        check_not_executed(r, "/etc/plain", ERROR_CANNOT_EXECUTE, "/etc/plain");
        check_not_executed(r, "/etc", ERROR_CANNOT_EXECUTE, "/etc");
        check_not_executed(r, "/bin/no-format", ERROR_CANNOT_EXECUTE, "#!");
        check_not_executed(r, "/bin/no-interpreter", ERROR_CANNOT_EXECUTE,
                           "interpreter");
    }
}

static void test_missing_working_directory(void **state)
{
    struct launch l = launch_of("bwrap", 0, SH("echo must not run"));
    struct outcome o;

    l.in.cwd = "/no/such/place";
    o = launch_run(&l, NULL);
    assert_int_equal(o.rc, -1);
    assert_int_equal(o.err.class, ERROR_LAUNCHER);
    assert_non_null(strstr(o.err.text, "working directory '/no/such/place'"));
}

static void test_sandbox_that_cannot_be_made(void **state)
{
    static const struct plan_bind bind = {PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER,
                                          "/no/such/source", "/tmp/x"};
    struct launch l = launch_of("bwrap", 0, SH("echo must not run"));
    struct buf output;
    struct outcome o;

    l.in.binds = &bind;
    l.in.n_binds = 1;
    o = launch_run(&l, &output);
    assert_int_equal(o.rc, -1);
    assert_false(o.result.started);
    assert_int_equal(o.err.class, ERROR_LAUNCHER);
    assert_non_null(strstr(o.err.text, "could not make the sandbox"));
    assert_non_null(strstr(buf_str(&output), "/no/such/source"));
    assert_null(strstr(buf_str(&output), "must not run"));
    buf_release(&output);
}

static void test_child_pid_is_read_strictly(void **state)
{
    assert_int_equal(
        supervise_parse_child_pid("{\n    \"child-pid\": 123,\n  \"x\": 1}"), 123);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 7}"), 7);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 4194304\n}"), 4194304);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 12"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": -1}"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 0}"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 99999999999}"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": 1x}"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"child-pid\": \"1\"}"), 0);
    assert_int_equal(supervise_parse_child_pid("{\"pid\": 1}"), 0);
    assert_int_equal(supervise_parse_child_pid(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes_are_exact),
        cmocka_unit_test(test_deaths_by_signal_are_exact),
        cmocka_unit_test(test_sigterm_is_passed_on_once),
        cmocka_unit_test(test_second_request_is_passed_on),
        cmocka_unit_test(test_other_signals_do_not_stop),
        cmocka_unit_test(test_after_the_grace_it_is_killed),
        cmocka_unit_test(test_signal_to_every_process),
        cmocka_unit_test(test_background_processes_are_gone),
        cmocka_unit_test(test_killed_launcher_leaves_nothing),
        cmocka_unit_test(test_killed_sandbox_is_told),
        cmocka_unit_test(test_cancelled_before_the_start),
        cmocka_unit_test(test_early_signal_is_kept),
        cmocka_unit_test(test_a_megabyte_of_output),
        cmocka_unit_test(test_commands_that_cannot_run),
        cmocka_unit_test(test_missing_working_directory),
        cmocka_unit_test(test_sandbox_that_cannot_be_made),
        cmocka_unit_test(test_child_pid_is_read_strictly),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
