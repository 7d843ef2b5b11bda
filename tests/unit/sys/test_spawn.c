/* The program starts itself with "--report" to show what a child got. */
#include "unit/sys/tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>

#include "base/buf.h"
#include "base/strv.h"
#include "sys/process.h"
#include "sys/spawn.h"

static char self[4096];
static char *no_env[] = {NULL};

/* ---- the child's side ---- */

static void report_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    char line[512] = "fds=";

    for (int fd = 0; fd < 200; fd++)
        if (fd != dirfd(dir) && fcntl(fd, F_GETFD) >= 0)
            snprintf(line + strlen(line), sizeof(line) - strlen(line), "%d,", fd);
    while ((e = readdir(dir)))
        if (atoi(e->d_name) >= 200)
            snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s,",
                     e->d_name);
    closedir(dir);
    puts(line);
}

static void report_signals(void)
{
    struct sigaction sa;
    sigset_t mask;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigismember(&mask, sig) == 1)
            printf("blocked=%d\n", sig);
        if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN)
            printf("ignored=%d\n", sig);
    }
}

static int report(void)
{
    char cwd[4096], text[64];
    int death = 0;
    ssize_t n;

    report_descriptors();
    report_signals();
    prctl(PR_GET_PDEATHSIG, &death);
    printf("leader=%d group=%d death=%d nnp=%d cwd=%s\n", getsid(0) == getpid(),
           getpgid(0) == getpid(), death, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
           getcwd(cwd, sizeof(cwd)) ? cwd : "?");
    for (int fd = 3; fd < 20; fd++) {
        n = pread(fd, text, sizeof(text) - 1, 0);
        if (n > 0) {
            text[n] = '\0';
            printf("fd%d=%s\n", fd, text);
        }
    }
    return 0;
}

/* Leaves a process behind that holds stdout. */
static int background(void)
{
    puts("left");
    fflush(stdout);
    if (fork() == 0)
        for (;;)
            pause();
    return 0;
}

/* ---- the parent's side ---- */

static struct spawn self_with(char *const *argv)
{
    struct spawn s = SPAWN_INIT;

    s.program = self;
    s.argv = argv;
    s.env = no_env;
    return s;
}

static char *run_report(struct spawn *s)
{
    char *argv[] = {self, (char[]){"--report"}, NULL};
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    int status;

    s->program = self;
    s->argv = argv;
    s->env = no_env;
    status = spawn_run(s, &out, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(status, 0);
    return buf_steal(&out);
}

static void exit_code_and_signal(void **state)
{
    char *code[] = {self, (char[]){"--exit"}, (char[]){"42"}, NULL};
    char *killed[] = {self, (char[]){"--kill"}, NULL};
    struct error err = ERROR_INIT;
    struct spawn s = self_with(code);
    int status = spawn_run(&s, NULL, &err);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    s = self_with(killed);
    status = spawn_run(&s, NULL, &err);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void environment_is_complete(void **state)
{
    char *argv[] = {(char[]){"env"}, NULL};
    char *env[] = {(char[]){"ONE=1"}, (char[]){"TWO=a b"}, NULL};
    struct spawn s = SPAWN_INIT;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;

    s.program = "/usr/bin/env";
    s.argv = argv;
    s.env = env;
    assert_int_equal(spawn_run(&s, &out, &err), 0);
    assert_string_equal(buf_str(&out), "ONE=1\nTWO=a b\n");
    buf_release(&out);
}

static void nothing_leaks(void **state)
{
    struct spawn s = SPAWN_INIT;
    int leak = open("/dev/null", O_RDONLY), high = fcntl(leak, F_DUPFD, 150);
    char *text = run_report(&s);

    assert_non_null(strstr(text, "fds=0,1,2,\n"));
    free(text);
    close(leak);
    close(high);
}

static void descriptors_may_swap(void **state)
{
    struct spawn s = SPAWN_INIT;
    struct spawn_fd fds[3];
    char *text;
    int a, b;

    put_file("a", "A", 0600);
    put_file("b", "B", 0600);
    a = openat(tempdir.fd, "a", O_RDONLY | O_CLOEXEC);
    b = openat(tempdir.fd, "b", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dup3(a, 10, O_CLOEXEC), 10);
    assert_int_equal(dup3(b, 11, O_CLOEXEC), 11);
    fds[0] = (struct spawn_fd){10, 11};
    fds[1] = (struct spawn_fd){11, 10};
    fds[2] = (struct spawn_fd){11, 12};
    s.fds = fds;
    s.n_fds = 3;
    text = run_report(&s);
    assert_non_null(strstr(text, "fds=0,1,2,10,11,12,\n"));
    assert_non_null(strstr(text, "fd10=B\nfd11=A\nfd12=B\n"));
    free(text);
    close(a);
    close(b);
    close(10);
    close(11);
}

/* The descriptor of the error pipe is low: a target of the same number must not hurt.
 */
static void targets_do_not_hit_the_error_pipe(void **state)
{
    struct spawn_fd fds[20];
    struct spawn s = SPAWN_INIT;
    struct error err = ERROR_INIT;
    char *argv[] = {(char[]){"x"}, NULL};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), pidfd = -1;

    for (int i = 0; i < 20; i++)
        fds[i] = (struct spawn_fd){null, 3 + i};
    s.fds = fds;
    s.n_fds = 20;
    s.program = tempdir_path("missing");
    s.argv = argv;
    s.env = no_env;
    assert_int_equal(spawn_start(&s, &pidfd, &err), -1);
    assert_int_equal(err.class, ERROR_NOT_FOUND);
    close(null);
}

static void bad_descriptors(void **state)
{
    char *argv[] = {self, (char[]){"--exit"}, (char[]){"0"}, NULL};
    struct spawn s = self_with(argv);
    struct spawn_fd fds[] = {{999, 5}};
    struct error err = ERROR_INIT;

    s.fds = fds;
    s.n_fds = 1;
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_int_equal(err.errnum, EBADF);
    fds[0] = (struct spawn_fd){-1, 5};
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
    assert_int_equal(err.errnum, EBADF);
}

static void signals_are_reset(void **state)
{
    struct spawn s = SPAWN_INIT;
    sigset_t mine, old, blocked, after;
    char *text, want[64];

    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    sigprocmask(SIG_BLOCK, &mine, &old);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    text = run_report(&s);
    assert_null(strstr(text, "blocked="));
    assert_null(strstr(text, "ignored="));
    free(text);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    s.blocked = &blocked;
    text = run_report(&s);
    snprintf(want, sizeof(want), "blocked=%d\n", SIGTERM);
    assert_non_null(strstr(text, want));
    free(text);
    sigprocmask(SIG_SETMASK, &old, &after);
    assert_int_equal(sigismember(&after, SIGUSR1), 1);
    assert_int_equal(sigismember(&after, SIGUSR2), 0);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

static void ignored_sigchld_does_not_lose_the_status(void **state)
{
    char *argv[] = {self, (char[]){"--exit"}, (char[]){"7"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;
    int status;

    signal(SIGCHLD, SIG_IGN);
    status = spawn_run(&s, NULL, &err);
    signal(SIGCHLD, SIG_DFL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void attributes(void **state)
{
    struct spawn s = SPAWN_INIT;
    char want[4200], *text;

    text = run_report(&s);
    assert_non_null(strstr(text, "leader=0 group=0 death=0 nnp="));
    free(text);
    s.new_session = true;
    s.new_group = true;
    s.die_with_parent = true;
    s.no_new_privs = true;
    s.cwd = tempdir.path;
    text = run_report(&s);
    snprintf(want, sizeof(want), "leader=1 group=1 death=9 nnp=1 cwd=%s\n",
             tempdir.path);
    assert_non_null(strstr(text, want));
    free(text);
    s = (struct spawn)SPAWN_INIT;
    s.new_group = true;
    text = run_report(&s);
    assert_non_null(strstr(text, "leader=0 group=1"));
    free(text);
}

static void expect_failure(const char *name, enum error_class class, int errnum,
                           const char *says)
{
    char *argv[] = {(char[]){"x"}, NULL};
    struct spawn s = SPAWN_INIT;
    struct error err = ERROR_INIT;
    int pidfd = -1;

    s.program = tempdir_path(name);
    s.argv = argv;
    s.env = no_env;
    assert_int_equal(spawn_start(&s, &pidfd, &err), -1);
    assert_int_equal(pidfd, -1);
    assert_int_equal(err.class, class);
    assert_int_equal(err.errnum, errnum);
    assert_non_null(strstr(err.text, s.program));
    if (says)
        assert_non_null(strstr(err.text, says));
    /* the failed child was reaped */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void exec_failures_are_told_apart(void **state)
{
    expect_failure("missing", ERROR_NOT_FOUND, ENOENT, NULL);
    expect_failure("missing/dir/too", ERROR_NOT_FOUND, ENOENT, NULL);
    put_file("script", "#! /no/such/shell -e\n", 0755);
    expect_failure("script", ERROR_CANNOT_EXECUTE, ENOENT,
                   "its interpreter '/no/such/shell'");
    put_file("plain", "#!/bin/sh\n", 0644);
    expect_failure("plain", ERROR_CANNOT_EXECUTE, EACCES, "execute permission");
    put_file("garbage", "\x01\x02\x03\x04garbage", 0755);
    expect_failure("garbage", ERROR_CANNOT_EXECUTE, ENOEXEC, "architecture");
    put_file("empty", "", 0755);
    expect_failure("empty", ERROR_CANNOT_EXECUTE, ENOEXEC, NULL);
    assert_int_equal(mkdirat(tempdir.fd, "dir", 0755), 0);
    expect_failure("dir", ERROR_CANNOT_EXECUTE, EACCES, NULL);
    expect_failure("plain/below", ERROR_CANNOT_EXECUTE, ENOTDIR, NULL);
}

/* A copy of a dynamic program whose loader has another name. */
static void missing_elf_interpreter(void **state)
{
    struct error err = ERROR_INIT;
    struct buf image = BUF_INIT;
    int fd = open("/usr/bin/env", O_RDONLY | O_CLOEXEC);
    char *loader;

    assert_int_equal(pathfd_read_all(fd, 1U << 24, &image, &err), 0);
    close(fd);
    loader = memmem(image.data, image.len, "/ld-linux", 9);
    assert_non_null(loader);
    memcpy(loader, "/no-linux", 9);
    fd = openat(tempdir.fd, "elf", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_int_equal(write(fd, image.data, image.len), image.len);
    close(fd);
    buf_release(&image);
    expect_failure("elf", ERROR_CANNOT_EXECUTE, ENOENT, "ELF interpreter");
}

static void missing_cwd_is_named(void **state)
{
    char *argv[] = {self, (char[]){"--exit"}, (char[]){"0"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;

    s.cwd = "/no/such/place";
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_int_equal(err.errnum, ENOENT);
    assert_non_null(strstr(err.text, "/no/such/place"));
    assert_non_null(strstr(err.text, self));
}

static void relative_program_is_refused(void **state)
{
    char *argv[] = {(char[]){"env"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;

    s.program = "env";
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    s.program = NULL;
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
    s = self_with(NULL);
    assert_int_equal(spawn_run(&s, NULL, &err), -1);
}

static void program_by_descriptor(void **state)
{
    char *argv[] = {(char[]){"by-descriptor"}, (char[]){"--exit"}, (char[]){"5"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    int status;

    s.program = NULL;
    s.program_fd = open(self, O_PATH | O_CLOEXEC);
    status = spawn_run(&s, NULL, &err);
    assert_int_equal(WEXITSTATUS(status), 5);
    close(s.program_fd);
    put_file("script", "#!/bin/sh\necho \"$1\"\n", 0755);
    argv[1] = (char[]){"said"};
    s.program_fd = openat(tempdir.fd, "script", O_RDONLY | O_CLOEXEC);
    assert_int_equal(spawn_run(&s, &out, &err), 0);
    assert_string_equal(buf_str(&out), "said\n");
    close(s.program_fd);
    buf_release(&out);
}

static void output_is_bounded(void **state)
{
    char *argv[] = {self, (char[]){"--flood"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;

    assert_int_equal(spawn_run(&s, &out, &err), 0);
    assert_int_equal(out.len, 64 * 1024);
    assert_int_equal(strspn(out.data, "x"), 64 * 1024);
    buf_release(&out);
}

static void background_process_does_not_hold_us(void **state)
{
    char *argv[] = {self, (char[]){"--background"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;

    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(spawn_run(&s, &out, &err), 0);
    assert_string_equal(buf_str(&out), "left\n");
    process_kill_children();
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    buf_release(&out);
}

/* A middle process starts a sleeper that is to die with it, and dies. */
static void dies_with_its_parent(void **state)
{
    char *argv[] = {self, (char[]){"--sleep"}, NULL};
    struct spawn s = self_with(argv);
    struct error err = ERROR_INIT;
    int status, pidfd;
    pid_t middle, sleeper;

    s.die_with_parent = true;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    middle = fork();
    if (middle == 0)
        _exit(spawn_start(&s, &pidfd, &err) > 0 ? 0 : 1);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 0);
    sleeper = waitpid(-1, &status, 0);
    assert_true(sleeper > 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static int child_role(char **argv)
{
    if (strcmp(argv[1], "--report") == 0)
        return report();
    if (strcmp(argv[1], "--exit") == 0)
        return atoi(argv[2]);
    if (strcmp(argv[1], "--kill") == 0)
        return raise(SIGTERM);
    if (strcmp(argv[1], "--background") == 0)
        return background();
    if (strcmp(argv[1], "--flood") == 0)
        for (int i = 0; i < 300000; i++)
            putchar('x');
    while (strcmp(argv[1], "--sleep") == 0)
        pause();
    return 0;
}

/* What a forked child found out, as bits of its exit code. */
static int forked_body(void *arg)
{
    const int *kept = arg;
    char byte = 0;
    sigset_t mask;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    return (getpgrp() == getpid() ? 1 : 0) | (read(0, &byte, 1) == 0 ? 2 : 0) |
           (fcntl(*kept, F_GETFD) >= 0 ? 4 : 0) |
           (sigismember(&mask, SIGUSR1) == 1 && !sigismember(&mask, SIGUSR2) ? 8 : 0);
}

static void fork_goes_on_in_this_program(void **state)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), pidfd, status;
    struct spawn_fd input = {.from = null, .to = 0};
    struct spawn s = SPAWN_INIT;
    struct error err = ERROR_INIT;
    sigset_t blocked;
    pid_t pid;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    s.new_group = true;
    s.die_with_parent = true;
    s.fds = &input;
    s.n_fds = 1;
    s.blocked = &blocked;
    pid = spawn_fork(&s, forked_body, &null, &pidfd, &err);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 15);
    close(pidfd);
    close(null);
}

/* What a child does last before exec: here, what the launcher's does, too. */
static int prepare_forgets(void *arg, struct error *err)
{
    struct spawn_fd *moved = arg;

    /* after the descriptors are in place */
    if (write(moved->to, "p", 1) != 1)
        return error_sys(err, errno, "write");
    /* as the kernel does when an ordinary user makes a user namespace */
    return prctl(PR_SET_PDEATHSIG, 0);
}

static int prepare_fails(void *arg, struct error *err)
{
    error_set(err, ERROR_NOT_FOUND, ENOENT, "cannot make '%s'", "x\ny");
    return error_hint(err, "do this");
}

static void prepare_runs_before_exec(void **state)
{
    char *argv[] = {self, (char[]){"--report"}, NULL};
    struct spawn_fd fd = {.to = 50};
    struct spawn s = SPAWN_INIT;
    char *text, byte = 0;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fd.from = ends[1];
    s.program = self;
    s.argv = argv;
    s.env = no_env;
    s.fds = &fd;
    s.n_fds = 1;
    s.die_with_parent = true;
    s.prepare = prepare_forgets;
    s.prepare_arg = &fd;
    text = run_report(&s);
    assert_non_null(strstr(text, "death=9"));
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'p');
    free(text);
    close(ends[0]);
    close(ends[1]);
}

static void prepare_failure_arrives_as_it_is(void **state)
{
    char *argv[] = {self, (char[]){"--report"}, NULL};
    struct spawn s = SPAWN_INIT;
    struct error err = ERROR_INIT;
    int pidfd = -1;

    s.program = self;
    s.argv = argv;
    s.env = no_env;
    s.prepare = prepare_fails;
    assert_int_equal(spawn_start(&s, &pidfd, &err), -1);
    assert_int_equal(err.class, ERROR_NOT_FOUND);
    assert_int_equal(err.errnum, ENOENT);
    assert_string_equal(err.text,
                        "cannot make 'x\ny': No such file or directory; do this");
    assert_int_equal(pidfd, -1);
    /* reaped */
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_code_and_signal),
        cmocka_unit_test(environment_is_complete),
        cmocka_unit_test(nothing_leaks),
        tempdir_test(descriptors_may_swap),
        tempdir_test(targets_do_not_hit_the_error_pipe),
        cmocka_unit_test(bad_descriptors),
        cmocka_unit_test(signals_are_reset),
        cmocka_unit_test(ignored_sigchld_does_not_lose_the_status),
        tempdir_test(attributes),
        tempdir_test(exec_failures_are_told_apart),
        tempdir_test(missing_elf_interpreter),
        cmocka_unit_test(missing_cwd_is_named),
        cmocka_unit_test(relative_program_is_refused),
        tempdir_test(program_by_descriptor),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(background_process_does_not_hold_us),
        cmocka_unit_test(dies_with_its_parent),
        cmocka_unit_test(fork_goes_on_in_this_program),
        tempdir_test(prepare_runs_before_exec),
        cmocka_unit_test(prepare_failure_arrives_as_it_is),
    };
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (argc > 1)
        return child_role(argv);
    return n < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
