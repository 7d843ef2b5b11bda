/* What is said when podman or docker is missing, broken, or ends as no engine should.
 * The programs are scripts of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/engine.h"
#include "runtime/runtime_internal.h"
#include "runtime/space.h"
#include "unit/runtime/harness.h"

static char fake[128], state_dir[128], daemon_url[160];
static int daemon_fd = -1;

/* An engine that writes down its arguments and does this. */
static void make_fake(const char *script)
{
    struct buf text = BUF_INIT;

    snprintf(fake, sizeof(fake), "%s/fake-engine", root);
    snprintf(state_dir, sizeof(state_dir), "%s/state", root);
    mkdir(state_dir, 0700);
    buf_addf(&text, "#!/bin/sh\necho \"$*\" >>%s/calls\n%s\n", root, script);
    write_file("fake-engine", buf_str(&text), 0755);
    buf_release(&text);
}

/* A socket that somebody listens on, as dockerd does. */
static void make_daemon(bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/daemon", root);
    snprintf(daemon_url, sizeof(daemon_url), "unix://%s/daemon", root);
    unlink(address.sun_path);
    if (daemon_fd >= 0)
        close(daemon_fd);
    daemon_fd = -1;
    if (!listening)
        return;
    daemon_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(daemon_fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(daemon_fd, 16), 0);
}

static struct runtime_tools tools_of_fake(void)
{
    return (struct runtime_tools){.init = init_copy,
                                  .podman = fake,
                                  .crun = fake,
                                  .podman_hook = init_copy,
                                  .docker = fake,
                                  .docker_host = daemon_url,
                                  .state_dir = state_dir};
}

static void refused(const struct runtime_tools *tools, const char *runtime,
                    const char *text, const char *remedy)
{
    struct error err = ERROR_INIT;

    assert_int_equal(runtime_find(runtime)->probe(tools, &err), 1);
    if (!strstr(err.text, text) || !strstr(err.text, remedy))
        fail_msg("not '%s' and '%s': %s", text, remedy, err.text);
}

static void test_missing(void **state)
{
    struct runtime_tools tools;

    make_fake("exit 0");
    make_daemon(true);
    tools = tools_of_fake();
    tools.podman = NULL;
    refused(&tools, "podman", "podman is not installed", "'uidmap'");
    tools = tools_of_fake();
    tools.crun = NULL;
    refused(&tools, "podman", "crun", "the package 'crun'");
    tools = tools_of_fake();
    tools.podman_hook = NULL;
    refused(&tools, "podman", "repx-podman-hook", "install repx-launch completely");
    tools = tools_of_fake();
    tools.docker = NULL;
    refused(&tools, "docker", "docker is not installed", "'docker.io'");
    tools = tools_of_fake();
    tools.init = NULL;
    refused(&tools, "docker", "repx-sandbox-init", "install repx-launch completely");
    tools = tools_of_fake();
    tools.state_dir = NULL;
    refused(&tools, "podman", "needs a directory", "node_local_path");
}

static void test_podman_that_fails(void **state)
{
    static const struct {
        const char *says, *remedy;
    } rows[] = {
        {"cannot set up namespace using newuidmap", "/etc/subuid"},
        {"no subuid ranges found", "usermod"},
        {"the requested cgroup controller is not available",
         "unified_cgroup_hierarchy"},
        {"something that nobody has heard of", "doctor"},
    };
    struct runtime_tools tools;

    for (size_t i = 0; i < array_size(rows); i++) {
        struct buf script = BUF_INIT;

        buf_addf(&script, "echo '%s' >&2; exit 125", rows[i].says);
        make_fake(buf_str(&script));
        tools = tools_of_fake();
        refused(&tools, "podman", rows[i].says, rows[i].remedy);
        refused(&tools, "podman", "exit code 125", "");
        buf_release(&script);
    }
    make_fake("kill -9 $$");
    refused(&tools, "podman", "signal 9", "it gave no reason");
}

static void test_docker_daemon(void **state)
{
    struct runtime_tools tools;

    make_fake("exit 0");
    make_daemon(false);
    tools = tools_of_fake();
    refused(&tools, "docker", "cannot reach docker's daemon", "systemctl start docker");
    tools.docker_host = (char[]){"tcp://127.0.0.1:2375"};
    refused(&tools, "docker", "another machine", "unix:///PATH");
    tools.docker_host =
        (char[]){"unix:///0123456789012345678901234567890123456789012345678901234567890"
                 "1234567890123456789012345678901234567890123456789012345678901"};
    refused(&tools, "docker", "too long", "");
    make_daemon(true);
    tools = tools_of_fake();
    make_fake("echo 'WARNING: old'; echo 'repx:linux [name=seccomp,profile=default "
              "name=rootless]'");
    refused(&tools, "docker", "rootless docker", "podman or bwrap");
    make_fake("echo 'repx:windows []'");
    refused(&tools, "docker", "no Linux containers", "");
    make_fake("echo 'Cannot connect' >&2; exit 1");
    refused(&tools, "docker", "Cannot connect", "exit code 1");
}

/* The root image is there, cannot be imported, and was imported by somebody else. */
static void test_docker_import(void **state)
{
    struct runtime_tools tools;

    make_daemon(true);
    tools = tools_of_fake();
    make_fake("case \"$*\" in *info*) echo 'repx:linux []';; *inspect*) exit 1;;\n"
              "*import*) echo 'no space left' >&2; exit 1;; esac");
    refused(&tools, "docker", "cannot import the root image", "no space left");
    make_fake("case \"$*\" in *info*) echo 'repx:linux []';; *import*) exit 1;; esac");
    {
        struct error err = ERROR_INIT;

        assert_int_equal(runtime_find("docker")->probe(&tools, &err), 0);
    }
}

/* supervise_run of a command whose engine is the script. */
static int run_fake(const char *runtime, const char *script, struct error *err)
{
    struct runtime_command cmd = RUNTIME_COMMAND_INIT;
    struct supervise_options opts = {
        .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .grace_ns = 1000000000};
    struct supervise_result result;
    struct plan plan = PLAN_INIT;
    struct runtime_tools tools;
    int r;

    make_fake(script);
    make_daemon(true);
    tools = tools_of_fake();
    assert_int_equal(supervise_prepare(err), 0);
    assert_int_equal(engine_trial_plan(&plan, runtime, err), 0);
    assert_int_equal(runtime_find(runtime)->command(&plan, &tools, &cmd, err), 0);
    r = supervise_run(&cmd, &opts, &result, err);
    assert_false(result.started);
    runtime_command_release(&cmd);
    plan_release(&plan);
    return r;
}

static void test_an_engine_that_makes_no_container(void **state)
{
    static const struct {
        const char *script, *says;
    } rows[] = {
        {"exit 125",
         "podman could not make the sandbox for '/.repx/init' (exit code 125)"},
        {"exit 0", "podman could not make the sandbox for '/.repx/init' (exit code 0)"},
        {"kill -9 $$", "was killed while it was made (signal 9)"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct error err = ERROR_INIT;

        assert_int_equal(run_fake("podman", rows[i].script, &err), -1);
        assert_int_equal(err.class, ERROR_LAUNCHER);
        if (!strstr(err.text, rows[i].says))
            fail_msg("%s", err.text);
    }
}

static void read_calls(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
}

/* A client that dies may leave its container behind: it is removed by name. */
static void test_a_lost_container_is_removed(void **state)
{
    struct error err = ERROR_INIT;
    char path[160], calls[4096];

    snprintf(path, sizeof(path), "%s/calls", root);
    unlink(path);
    assert_int_equal(
        run_fake("docker", "case \"$*\" in *' run '*) kill -9 $$;; esac", &err), -1);
    read_calls(path, calls, sizeof(calls));
    assert_non_null(strstr(calls, " rm --force repx-"));
    /* one that ends by itself has done so */
    unlink(path);
    error_clear(&err);
    assert_int_equal(run_fake("docker", "exit 0", &err), -1);
    read_calls(path, calls, sizeof(calls));
    assert_null(strstr(calls, " rm --force"));
}

/* The maker of a step's sandbox whose engine is the script, in a process of its own: a
 * stop signal is remembered for as long as that lives. */
struct maker {
    const char *script, *says;
    bool network_host;
    int signal;        /* arrives when the script begins */
    size_t namespaces; /* 0: an error */
};

static int check_space(const struct maker *m, const struct space *space, int r,
                       const struct error *err)
{
    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        return fprintf(stderr, "a process is left\n");
    if (r < 0 && (m->namespaces || !strstr(err->text, m->says)))
        return fprintf(stderr, "%s\n", err->text);
    if (space->n != m->namespaces)
        return fprintf(stderr, "%zu namespaces\n", space->n);
    return 0;
}

static void make_space(const struct maker *m)
{
    struct runtime_tools tools = tools_of_fake();
    struct space space = SPACE_INIT;
    struct plan plan = PLAN_INIT;
    struct error err = ERROR_INIT;
    char path[160], own_state[128];
    int r;

    snprintf(own_state, sizeof(own_state), "%s/step-state", root);
    mkdir(own_state, 0700);
    tools.state_dir = own_state;
    if (supervise_prepare(&err) < 0 || engine_trial_plan(&plan, "podman", &err) < 0)
        _exit(2);
    plan.joined = true;
    plan.network = m->network_host ? PLAN_NETWORK_HOST : PLAN_NETWORK_NONE;
    if (m->signal)
        raise(m->signal);
    r = space_make(runtime_find("podman"), &plan, &tools, &space, &err);
    r = check_space(m, &space, r, &err);
    snprintf(path, sizeof(path), "%s/engines/lock", own_state);
    if (unlink(path) < 0)
        _exit(3);
    *strrchr(path, '/') = '\0';
    /* nothing else was in it */
    _exit(rmdir(path) < 0 ? 4 : r ? 1 : 0);
}

/* Init, as the container of a podman would have it. */
#define HOLD "exec %s %s --channel \"$HOME/channel/socket\""

static void test_the_sandbox_of_a_step(void **state)
{
    char own[256], bare[256], mounts[256], network[256];
    const struct maker rows[] = {
        {"echo 'no subuid ranges' >&2; exit 125",
         "the sandbox could not be made: ", false, 0, 0},
        {"echo 'no subuid ranges' >&2; exit 125",
         "failed (exit code 125): no subuid ranges", false, 0, 0},
        {"kill -9 $$", "failed (signal 9): it gave no reason", false, 0, 0},
        {"exit 0", "failed (exit code 0)", false, 0, 0},
        {"case \"$*\" in *' run '*) exec sleep 600;; esac",
         "cancelled while the sandbox was made", false, SIGTERM, 0},
        {own, "", false, 0, 4},
        {bare, "shares the host's", false, 0, 0},
        {mounts, "shares the host's shared memory", true, 0, 0},
        {network, "shares the host's network", false, 0, 0},
        {network, "", true, 0, 3},
    };

    snprintf(own, sizeof(own), HOLD, "unshare -U -m -n -i --map-current-user",
             init_copy);
    snprintf(bare, sizeof(bare), HOLD, "", init_copy);
    snprintf(mounts, sizeof(mounts), HOLD, "unshare -U -m --map-current-user",
             init_copy);
    snprintf(network, sizeof(network), HOLD, "unshare -U -m -i --map-current-user",
             init_copy);
    for (size_t i = 0; i < array_size(rows); i++) {
        pid_t pid;
        int status;

        make_fake(rows[i].script);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            make_space(&rows[i]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (status != 0)
            fail_msg("row %zu: status %x", i, (unsigned)status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_podman_that_fails),
        cmocka_unit_test(test_docker_daemon),
        cmocka_unit_test(test_docker_import),
        cmocka_unit_test(test_an_engine_that_makes_no_container),
        cmocka_unit_test(test_a_lost_container_is_removed),
        cmocka_unit_test(test_the_sandbox_of_a_step),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
