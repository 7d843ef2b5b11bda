/* What a job sees in a real sandbox (CONTRACT section 3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/ioctl.h>

#include "unit/runtime/harness.h"

#define for_each_user(u)                                                               \
    for (uid_t u = 0; u <= NOBODY; u += NOBODY)                                        \
        if (u == 0 || geteuid() == 0)

/* What the script prints must be exactly this. */
static void check_output(struct launch *l, const char *want)
{
    struct buf output;
    struct outcome o = launch_run(l, &output);

    assert_string_equal(o.err.text, "");
    assert_string_equal(buf_str(&output), want);
    assert_int_equal(o.result.wait_status, 0);
    buf_release(&output);
}

static void test_writes_outside_fail_with_erofs(void **state)
{
    for_each_user(u)
    {
        struct launch l = launch_of(
            "bwrap", u,
            SH("for f in /x /etc/x /bin/x /usr/lib/x /dev/x /etc/plain; do "
               "(: > $f) 2>&1 | busybox sed 's/.*: //'; done; "
               "for f in /tmp/x /dev/shm/x /dev/null; do : > $f && echo $f; done; "
               "busybox stat -c %a /tmp /dev/shm"));

        check_output(&l, "Read-only file system\nRead-only file system\n"
                         "Read-only file system\nRead-only file system\n"
                         "Read-only file system\nRead-only file system\n"
                         "/tmp/x\n/dev/shm/x\n/dev/null\n1777\n1777\n");
    }
}

static void test_no_privilege_is_left(void **state)
{
    for_each_user(u)
    {
        struct launch l = launch_of(
            "bwrap", u,
            SH("busybox grep -E '^(Cap|NoNew|SigBlk|SigIgn)' /proc/self/status; "
               "busybox id -u; busybox ls /proc/self/fd | busybox wc -l; "
               "busybox readlink /proc/1/exe || echo init is out of reach; "
               "busybox ip -o link | busybox wc -l; echo $$"));
        struct buf want = BUF_INIT;

        buf_addf(&want,
                 "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                 "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
                 "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
                 "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\n"
                 "%u\n4\ninit is out of reach\n1\n2\n",
                 (unsigned)(u ? u : geteuid()));
        check_output(&l, buf_str(&want));
        buf_release(&want);
    }
}

/* The job's environment is the plan's, to the byte, and does not act on bwrap. */
static void test_environment_is_the_plan_s(void **state)
{
    char *set[] = {(char[]){"LD_PRELOAD=/no/such/lib.so"}, (char[]){"A=1"},
                   (char[]){"OLDPWD=/x"}, (char[]){"NL=a\nb"}, NULL};
    char *argv[] = {(char[]){"busybox"}, (char[]){"env"}, NULL};

    for_each_user(u)
    {
        struct strv v = STRV_INIT;
        struct launch l = launch_of("bwrap", u, argv);

        strv_extend(&v, set);
        l.in.env_set = &v;
        l.in.cwd = "/tmp";
        check_output(&l,
                     "A=1\nHOME=/tmp\nLD_PRELOAD=/no/such/lib.so\nNL=a\nb\n"
                     "OLDPWD=/x\nPATH=" PLAN_DEFAULT_PATH "\nPWD=/tmp\nTERM=xterm\n");
        strv_release(&v);
    }
}

static void entry(struct rootview_entry *e, const char *name, enum rootview_type type)
{
    *e = (struct rootview_entry){strdup(name), type,
                                 type == ROOTVIEW_SYMLINK ? strdup("busybox") : NULL};
}

/* Mount points that the image lacks: at the top, below a directory of the image, and
 * where a file is in the way; the rest of the image is still there, and read-only. */
static void test_missing_mount_points(void **state)
{
    struct rootview_entry top[4], etc[1], bin[2];
    struct rootview_dir dirs[] = {{(char[]){"/"}, top, 4},
                                  {(char[]){"/bin"}, bin, 2},
                                  {(char[]){"/etc"}, etc, 1}};
    struct rootview_dest dests[] = {
        {(char[]){"/etc/passwd"}, (char[]){"/etc/passwd"}},
        {(char[]){"/deep/er/out"}, (char[]){"/deep/er/out"}},
        {(char[]){"/etc/plain"}, (char[]){"/etc/plain"}},
        {(char[]){"/bin/in"}, (char[]){"/bin/in"}},
    };
    struct rootview view = {.dirs = dirs, .n_dirs = 3, .dests = dests, .n_dests = 4};
    char out[128];
    struct plan_bind binds[] = {
        {PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, out, "/deep/er/out"},
        {PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, out, "/etc/plain"},
        {PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, out, "/bin/in"},
    };

    entry(&top[0], "bin", ROOTVIEW_DIR);
    entry(&top[1], "etc", ROOTVIEW_DIR);
    entry(&top[2], "tmp", ROOTVIEW_DIR);
    entry(&top[3], "usr", ROOTVIEW_DIR);
    entry(&etc[0], "plain", ROOTVIEW_FILE);
    entry(&bin[0], "busybox", ROOTVIEW_FILE);
    entry(&bin[1], "sh", ROOTVIEW_SYMLINK);
    for_each_user(u)
    {
        struct launch l = launch_of(
            "bwrap", u,
            SH("echo $1 > /deep/er/out/f && busybox cat /etc/plain/f /bin/in/f; "
               "for f in /x /deep/x /deep/er/x /etc/x /etc/plain/x /bin/x /usr/x; do "
               "(: > $f) 2>&1 | busybox grep -c Read-only; done; "
               "busybox ls / /usr; busybox cat /etc/passwd"));

        snprintf(out, sizeof(out), "%s/../repx-out-%d-%u", root, (int)getpid(),
                 (unsigned)u);
        assert_int_equal(mkdir(out, 0755), 0);
        if (geteuid() == 0 && u)
            assert_int_equal(chown(out, u, u), 0);
        l.in.view = &view;
        l.in.binds = binds;
        l.in.n_binds = array_size(binds);
        l.in.passwd = "me:x:1:1::/tmp:/bin/sh\n";
        check_output(&l, "\n\n1\n1\n1\n1\n1\n1\n1\n"
                         "/:\nbin\ndeep\ndev\netc\nproc\ntmp\nusr\n\n/usr:\nlib\n"
                         "me:x:1:1::/tmp:/bin/sh\n");
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "/f");
        assert_int_equal(unlink(out), 0);
        out[strlen(out) - 2] = '\0';
        assert_int_equal(rmdir(out), 0);
    }
    for (int i = 0; i < 4; i++)
        free(top[i].name);
    free(etc[0].name);
    free(bin[0].name);
    free(bin[1].name);
    free(bin[1].target);
}

static void test_an_image_without_shell_or_files(void **state)
{
    char *argv[] = {(char[]){"/busybox"}, (char[]){"true"}, NULL};
    static char empty[128], tool[160];
    struct rootview_dir dir = {(char[]){"/"}, NULL, 0};
    struct rootview_dest dest = {(char[]){"/busybox"}, (char[]){"/busybox"}};
    struct rootview view = {.dirs = &dir, .n_dirs = 1, .dests = &dest, .n_dests = 1};
    struct plan_bind bind = {PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, tool, "/busybox"};
    struct launch l = launch_of("bwrap", 0, argv);

    snprintf(empty, sizeof(empty), "%s/usr/lib", root);
    snprintf(tool, sizeof(tool), "%s/bin/busybox", root);
    l.in.rootfs = empty;
    l.in.view = &view;
    l.in.binds = &bind;
    l.in.n_binds = 1;
    check_output(&l, "");
}

static void test_host_network_is_there_when_asked_for(void **state)
{
    char *argv[] = {(char[]){"/bin/sh"}, (char[]){"-c"},
                    (char[]){"busybox readlink /proc/self/ns/net"}, NULL};
    char want[64];
    ssize_t n = readlink("/proc/self/ns/net", want, sizeof(want) - 2);
    struct launch l = launch_of("bwrap", 0, argv);

    assert_true(n > 0);
    want[n] = '\n';
    want[n + 1] = '\0';
    l.in.network_host = true;
    check_output(&l, want);
}

/* The host's top-level directories as root binds; borrowed until the test ends. */
static size_t host_binds(struct plan_bind *binds, size_t max)
{
    DIR *dir = opendir("/");
    struct dirent *e;
    size_t n = 0;

    assert_non_null(dir);
    while ((e = readdir(dir)) && n < max) {
        char path[300], target[300];
        struct stat st;
        ssize_t len;

        snprintf(path, sizeof(path), "/%s", e->d_name);
        if (e->d_name[0] == '.' || strcmp(path, "/proc") == 0 ||
            strcmp(path, "/dev") == 0 || lstat(path, &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode) && (len = readlink(path, target, 299)) > 0) {
            target[len] = '\0';
            binds[n++] = (struct plan_bind){PLAN_MOUNT_SYMLINK, PLAN_ROLE_ROOT,
                                            strdup(target), strdup(path)};
        } else if (S_ISDIR(st.st_mode)) {
            binds[n++] = (struct plan_bind){PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT,
                                            strdup(path), strdup(path)};
        }
    }
    closedir(dir);
    return n;
}

/* This program again, inside: without a session of its own it must not be able to type
 * into the terminal. On a pipe the kernel alone would say ENOTTY. */
static int try_injection(void)
{
    char c = 'x';
    int sti = ioctl(0, TIOCSTI, &c) < 0 ? errno : 0;
    int lin = ioctl(0, TIOCLINUX, &c) < 0 ? errno : 0;
    int other = ioctl(0, TCGETS, &c) < 0 ? errno : 0;

    dprintf(1, "%s %s %s\n", strerrorname_np(sti), strerrorname_np(lin),
            strerrorname_np(other));
    return 0;
}

static void test_terminal_injection_is_denied(void **state)
{
    struct plan_bind binds[64];
    char self[512];
    char *argv[] = {self, (char[]){"--try-injection"}, NULL};
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int zero[2], saved = dup(0);
    size_t n_binds = host_binds(binds, array_size(binds));

    assert_true(n > 0);
    self[n] = '\0';
    assert_int_equal(pipe(zero), 0);
    assert_int_equal(dup2(zero[0], 0), 0);
    for (int interactive = 0; interactive < 2; interactive++) {
        struct launch l = launch_of("bwrap", 0, argv);

        l.in.rootfs = NULL;
        l.in.host_root = true;
        l.in.root_binds = binds;
        l.in.n_root_binds = n_binds;
        l.in.interactive = interactive;
        check_output(&l,
                     interactive ? "EPERM EPERM ENOTTY\n" : "ENOTTY ENOTTY ENOTTY\n");
    }
    dup2(saved, 0);
    close(saved);
    close(zero[0]);
    close(zero[1]);
    for (size_t i = 0; i < n_binds; i++) {
        free((void *)(uintptr_t)binds[i].source);
        free((void *)(uintptr_t)binds[i].dest);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_outside_fail_with_erofs),
        cmocka_unit_test(test_no_privilege_is_left),
        cmocka_unit_test(test_environment_is_the_plan_s),
        cmocka_unit_test(test_missing_mount_points),
        cmocka_unit_test(test_an_image_without_shell_or_files),
        cmocka_unit_test(test_host_network_is_there_when_asked_for),
        cmocka_unit_test(test_terminal_injection_is_denied),
    };

    if (argc == 2 && strcmp(argv[1], "--try-injection") == 0)
        _exit(try_injection());
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
