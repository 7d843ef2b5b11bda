/* harness: runs a command under supervise_run in a process of its own (the launcher),
 * as a given user, so that a test can signal it, read what the job prints, and see that
 * nothing is left: the job's output pipe ends only when every process that holds it is
 * gone. */
#ifndef REPX_TESTS_RUNTIME_HARNESS_H
#define REPX_TESTS_RUNTIME_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "plan/build.h"
#include "runtime/runtime.h"
#include "runtime/supervise.h"

#define NOBODY 65534
#define WAIT_MS 30000

struct launch {
    const char *runtime;
    uid_t uid; /* 0: as we are */
    struct plan_input in;
    uint64_t grace_ns;
    int raise_first; /* a signal that is pending before supervise_run */
};

struct outcome {
    int rc;
    int children_left; /* of the launcher, when supervise_run returned */
    struct supervise_result result;
    struct error err;
};

struct running {
    pid_t pid;
    int outcome_fd, output_fd;
    struct buf output;
};

static char root[64];      /* an image: busybox and some odd files */
static char init_copy[80]; /* beside it: the build may be where only root can look */

static inline void write_file(const char *name, const char *text, mode_t mode)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void copy_program(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    char chunk[65536];
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, chunk, sizeof(chunk))) > 0)
        assert_int_equal(write(out, chunk, (size_t)n), n);
    close(in);
    close(out);
}

static inline int make_root(void **state)
{
    static const char *const dirs[] = {"bin", "proc", "dev",    "tmp",
                                       "etc", "usr",  "usr/lib"};
    char path[256];

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    umask(022);
    snprintf(root, sizeof(root), "%s/repx-runtime-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    for (size_t i = 0; i < array_size(dirs); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, dirs[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    snprintf(path, sizeof(path), "%s/bin/busybox", root);
    copy_program("/bin/busybox", path);
    snprintf(init_copy, sizeof(init_copy), "%s.init", root);
    copy_program(TEST_INIT_PROGRAM, init_copy);
    snprintf(path, sizeof(path), "%s/bin/sh", root);
    assert_int_equal(symlink("busybox", path), 0);
    write_file("etc/plain", "not a program\n", 0644);
    write_file("bin/no-interpreter", "#!/no/such/interpreter\n", 0755);
    write_file("bin/no-format", "what is this\n", 0755);
    return 0;
}

static inline int remove_root(void **state)
{
    char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, root, init_copy, NULL};
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        execv("/bin/rm", argv);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

/* The launcher process. Not a test: it must not use cmocka's assertions. */
static inline void launcher(const struct launch *l, int output, int outcome_fd)
{
    const struct runtime_backend *b = runtime_find(l->runtime);
    struct runtime_tools tools = {.bwrap = (char[]){"/usr/bin/bwrap"},
                                  .init = init_copy};
    struct supervise_options opts = {.stdin_fd = -1,
                                     .stdout_fd = output,
                                     .stderr_fd = output,
                                     .cwd = l->in.cwd,
                                     .grace_ns = l->grace_ns,
                                     .interactive = l->in.interactive};
    struct runtime_command cmd = RUNTIME_COMMAND_INIT;
    struct rlimit no_core = {0, 0};
    struct plan plan = PLAN_INIT;
    struct outcome o = {.rc = -1, .err = ERROR_INIT};

    setrlimit(RLIMIT_CORE, &no_core);
    if (l->uid && (setgroups(0, NULL) < 0 || setresgid(l->uid, l->uid, l->uid) < 0 ||
                   setresuid(l->uid, l->uid, l->uid) < 0))
        error_sys(&o.err, errno, "harness: setresuid");
    else if (supervise_prepare(&o.err) == 0 && plan_build(&plan, &l->in, &o.err) == 0 &&
             b->command(&plan, &tools, &cmd, &o.err) == 0) {
        if (l->raise_first)
            raise(l->raise_first);
        o.rc = supervise_run(&cmd, &opts, &o.result, &o.err);
    }
    o.children_left = !(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
    if (write(outcome_fd, &o, sizeof(o)) != sizeof(o))
        _exit(1);
    _exit(0);
}

static inline void launch_start(struct running *r, const struct launch *l)
{
    int output[2], outcome[2];

    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(pipe2(outcome, O_CLOEXEC), 0);
    r->output = (struct buf)BUF_INIT;
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0)
        launcher(l, output[1], outcome[1]);
    close(output[1]);
    close(outcome[1]);
    r->output_fd = output[0];
    r->outcome_fd = outcome[0];
}

/* Reads more output; false at its end. */
static inline bool read_more(struct running *r)
{
    struct pollfd p = {.fd = r->output_fd, .events = POLLIN};
    char chunk[65536];
    ssize_t n;

    if (poll(&p, 1, WAIT_MS) <= 0) {
        kill(r->pid, SIGKILL);
        fail_msg("the job's output did not end; so far: %s", buf_str(&r->output));
    }
    n = read(r->output_fd, chunk, sizeof(chunk));
    if (n > 0)
        buf_add(&r->output, chunk, (size_t)n);
    return n > 0;
}

static inline void wait_for_output(struct running *r, const char *text)
{
    while (!strstr(buf_str(&r->output), text))
        if (!read_more(r))
            fail_msg("'%s' was not printed, but: %s", text, buf_str(&r->output));
}

/* To the end of everything. */
static inline struct outcome launch_finish(struct running *r)
{
    struct outcome o = {.rc = -2};
    int status;

    while (read_more(r))
        ;
    if (read(r->outcome_fd, &o, sizeof(o)) != sizeof(o))
        o.rc = -2;
    close(r->output_fd);
    close(r->outcome_fd);
    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    /* orphans of a killed launcher come to us; they must end by themselves */
    while (waitpid(-1, NULL, 0) > 0)
        ;
    assert_int_equal(o.children_left, 0);
    return o;
}

static inline struct outcome launch_run(const struct launch *l, struct buf *output)
{
    struct running r;
    struct outcome o;

    launch_start(&r, l);
    o = launch_finish(&r);
    if (output)
        *output = r.output;
    else
        buf_release(&r.output);
    return o;
}

static char *harness_env[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};

/* runtime with the busybox image, or native on the host. argv is borrowed. */
static inline struct launch launch_of(const char *runtime, uid_t uid, char *const *argv)
{
    struct launch l = {.runtime = runtime, .uid = uid, .grace_ns = 20000000000};

    l.in.runtime = runtime;
    l.in.isolated = strcmp(runtime, "native") != 0;
    l.in.rootfs = l.in.isolated ? root : NULL;
    l.in.host_env = harness_env;
    l.in.cwd = "/";
    l.in.argv = argv;
    return l;
}

/* Each runtime, as ourselves and (if that is root) as an unprivileged user. */
static const struct {
    const char *runtime;
    uid_t uid;
} variants[] = {{"bwrap", 0}, {"bwrap", NOBODY}, {"native", 0}, {"native", NOBODY}};

#define for_each_variant(v)                                                            \
    for (size_t v = 0; v < array_size(variants); v++)                                  \
        if (variants[v].uid == 0 || geteuid() == 0)

#define SH(script)                                                                     \
    (char *[])                                                                         \
    {                                                                                  \
        (char[]){"/bin/sh"}, (char[]){"-c"}, (char[]){script}, NULL                    \
    }

#endif
