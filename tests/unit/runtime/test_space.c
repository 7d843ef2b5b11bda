/* The namespaces that tasks of a step join (runtime/space.h), for real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include "runtime/space.h"
#include "unit/runtime/harness.h"

/* A process of its own makes the space, as uid, and lets tasks of another process join
 * one after the other, as slurmstepd's do. Their output, then how it went. */
struct step {
    uid_t uid;
    const char *runtime;
    bool network_host;
    const char *init; /* NULL: the real one */
    int raise_first;
    const char *scripts[3];
};

/* What a join program does, shortened. */
static void become_task(const struct space *s, const char *script)
{
    char *const argv[] = {(char[]){"sh"}, (char[]){"-c"}, strdup(script), NULL};
    char *const env[] = {(char[]){"PATH=/bin"}, NULL};

    for (size_t i = 0; i < s->n; i++)
        if (setns(s->fds[i], (int)s->types[i]) < 0) {
            dprintf(1, "setns %zu: %s\n", i, strerror(errno));
            _exit(99);
        }
    execve("/bin/sh", argv, env);
    _exit(98);
}

static void run_tasks(const struct step *st, const struct space *s)
{
    for (size_t i = 0; i < array_size(st->scripts) && st->scripts[i]; i++) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
            become_task(s, st->scripts[i]);
        waitpid(pid, &status, 0);
        if (status != 0)
            dprintf(1, "task %zu: status %x\n", i, (unsigned)status);
    }
}

static void maker(const struct step *st)
{
    const struct runtime_backend *b = runtime_find(st->runtime);
    struct runtime_tools tools = {.bwrap = (char[]){"/usr/bin/bwrap"},
                                  .init = st->init ? (char *)(uintptr_t)st->init
                                                   : init_copy};
    struct launch l = launch_of("bwrap", st->uid, NULL);
    struct space space = SPACE_INIT;
    struct plan plan = PLAN_INIT;
    struct error err = ERROR_INIT;
    int r;

    l.in.joined = true;
    l.in.network_host = st->network_host;
    l.in.caller_is_root = st->uid == 0;
    if (st->uid &&
        (setgroups(0, NULL) < 0 || setresgid(st->uid, st->uid, st->uid) < 0 ||
         setresuid(st->uid, st->uid, st->uid) < 0))
        _exit(1);
    if (supervise_prepare(&err) < 0 || plan_build(&plan, &l.in, &err) < 0)
        _exit(2);
    if (st->raise_first)
        raise(st->raise_first);
    r = space_make(b, &plan, &tools, &space, &err);
    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        dprintf(1, "a process of the sandbox is left\n");
    if (r < 0)
        dprintf(1, "error: %s\n", err.text);
    else
        run_tasks(st, &space);
    space_release(&space);
    plan_release(&plan);
    _exit(0);
}

static void check(const struct step *st, const char *want)
{
    struct running r = {.output = BUF_INIT};
    int output[2], status;

    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    r.pid = fork();
    assert_true(r.pid >= 0);
    if (r.pid == 0) {
        dup2(output[1], 1);
        dup2(output[1], 2);
        maker(st);
    }
    close(output[1]);
    r.output_fd = output[0];
    while (read_more(&r))
        ;
    close(output[0]);
    assert_int_equal(waitpid(r.pid, &status, 0), r.pid);
    if (!strstr(buf_str(&r.output), want))
        fail_msg("not '%s' but: %s", want, buf_str(&r.output));
    assert_int_equal(status, 0);
    buf_release(&r.output);
}

#define for_each_user(u)                                                               \
    for (uid_t u = 0; u <= NOBODY; u += NOBODY)                                        \
        if (u == 0 || geteuid() == 0)

/* One sandbox: what a task leaves in /dev/shm and /tmp the next one finds, the image is
 * read-only, and every namespace but that of processes is another than here. */
static void test_tasks_share_it(void **state)
{
    (void)state;
    for_each_user(u)
    {
        struct step st = {
            .uid = u,
            .runtime = "bwrap",
            .scripts = {"echo one > /dev/shm/a; echo two > /tmp/b; "
                        "(: > /x) 2>&1 | busybox sed 's/.*: //'",
                        "busybox cat /dev/shm/a /tmp/b; busybox ip -o link | "
                        "busybox wc -l; busybox ls /; busybox id -u"}};
        char want[200];

        snprintf(want, sizeof(want),
                 "Read-only file system\none\ntwo\n1\nbin\ndev\netc\nproc\ntmp\nusr\n"
                 "%u\n",
                 (unsigned)u);
        check(&st, want);
    }
}

/* The numbers of this test's own namespaces, as a task prints them. */
static void own_namespace(const char *name, char *out, size_t size)
{
    char path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    n = readlink(path, out, size - 1);
    assert_true(n > 0);
    out[n] = '\0';
}

static void test_what_is_shared_with_the_host(void **state)
{
    static const struct {
        const char *name;
        bool host, host_network;
    } rows[] = {{"pid", true, true},   {"cgroup", true, true}, {"mnt", false, false},
                {"ipc", false, false}, {"uts", false, false},  {"user", false, false},
                {"net", false, true}};

    (void)state;
    for (size_t i = 0; i < array_size(rows) * 2; i++) {
        size_t k = i / 2;
        bool network = i % 2, host = network ? rows[k].host_network : rows[k].host;
        char own[64], script[200];
        struct step st = {.uid = geteuid() == 0 ? NOBODY : 0,
                          .runtime = "bwrap",
                          .network_host = network,
                          .scripts = {script}};

        own_namespace(rows[k].name, own, sizeof(own));
        snprintf(script, sizeof(script),
                 "test $(busybox readlink /proc/self/ns/%s) %s '%s' && echo as wanted",
                 rows[k].name, host ? "=" : "!=", own);
        check(&st, "as wanted\n");
    }
}

static void test_failures_are_told(void **state)
{
    struct step st = {.runtime = "bwrap", .init = "/bin/true"};

    (void)state;
    check(&st, "error: the sandbox could not be made; bwrap's message above tells why");
    st = (struct step){.runtime = "bwrap", .init = "/no/such/init"};
    check(&st, "error: the sandbox's init");
    st = (struct step){.runtime = "bwrap", .raise_first = SIGTERM};
    check(&st, "error: cancelled while the sandbox was made");
    st = (struct step){.runtime = "native"};
    check(&st, "error: the tasks of a step cannot enter a sandbox of native");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_share_it),
        cmocka_unit_test(test_what_is_shared_with_the_host),
        cmocka_unit_test(test_failures_are_told),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
