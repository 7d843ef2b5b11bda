/* What podman and docker are asked for: skeleton, mounts, arguments. Nothing is run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "runtime/docker.h"
#include "runtime/engine.h"
#include "runtime/init_protocol.h"
#include "runtime/podman.h"
#include "runtime/runtime_internal.h"
#include "unit/golden.h"
#include "unit/sys/tempdir.h"

static char init_program[] = TEST_INIT_PROGRAM, podman_program[] = "/usr/bin/podman",
            crun_program[] = "/usr/bin/crun", hook_program[] = "/libexec/a \"hook\"",
            docker_program[] = "/usr/bin/docker", docker_url[] = "unix:///run/d.sock";

struct fixture {
    char *dir, *state, *tree;
    struct runtime_tools tools;
    struct plan plan;
    struct engine *engine;
    struct engine_mounts mounts;
    struct error err;
};

static char *path_of(const struct fixture *f, const char *name)
{
    char *p = str_printf("%s/%s", f->dir, name);

    assert_non_null(p);
    return p;
}

static void make_dir(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_of(f, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const struct fixture *f, const char *name)
{
    _cleanup_free_ char *path = path_of(f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    close(fd);
}

static int setup(void **state)
{
    static const char *const dirs[] = {"state", "tree", "tree/usr",     "tree/etc",
                                       "in",    "out",  "out/existing", "odd,\"dir"};
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_int_equal(tempdir_setup(state), 0);
    f->dir = tempdir.path;
    for (size_t i = 0; i < array_size(dirs); i++)
        make_dir(f, dirs[i]);
    make_file(f, "tree/init");
    make_file(f, "in/file");
    f->state = path_of(f, "state");
    f->tree = path_of(f, "tree");
    assert_int_equal(chmod(f->state, 0700), 0);
    f->tools = (struct runtime_tools){.init = init_program,
                                      .podman = podman_program,
                                      .crun = crun_program,
                                      .podman_hook = hook_program,
                                      .docker = docker_program,
                                      .docker_host = docker_url,
                                      .state_dir = f->state};
    f->plan = (struct plan)PLAN_INIT;
    f->plan.cwd = strdup("/work");
    f->plan.rootfs = strdup(f->tree);
    strv_addl(&f->plan.argv, "/bin/job", "one", NULL);
    strv_addl(&f->plan.env, "A=1", "HOME=/tmp", NULL);
    f->mounts = (struct engine_mounts)ENGINE_MOUNTS_INIT;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    engine_mounts_release(&f->mounts);
    engine_free(f->engine);
    plan_release(&f->plan);
    free(f->state);
    free(f->tree);
    free(f);
    return tempdir_teardown(state);
}

/* A source that begins with "." is below the test's directory. */
static void add(struct fixture *f, enum plan_mount_kind kind, enum plan_role role,
                const char *source, const char *dest)
{
    _cleanup_free_ char *path =
        source && source[0] == '.' ? path_of(f, source + 2) : NULL;

    assert_int_equal(
        plan_add_mount(&f->plan, kind, role, path ? path : source, dest, &f->err), 0);
}

/* An image with links, opened for a mount point; a file, a tmpfs with something in it.
 */
static void usual_plan(struct fixture *f)
{
    const enum plan_role root = PLAN_ROLE_ROOT, sys = PLAN_ROLE_SYSTEM;

    add(f, PLAN_MOUNT_SYMLINK, root, "usr/bin", "/bin");
    add(f, PLAN_MOUNT_BIND_RO, root, "./tree/init", "/init");
    add(f, PLAN_MOUNT_BIND_RO, root, "./tree/usr", "/usr");
    add(f, PLAN_MOUNT_DIR, root, NULL, "/etc");
    add(f, PLAN_MOUNT_SYMLINK, root, "/proc/mounts", "/etc/mtab");
    add(f, PLAN_MOUNT_PROC, sys, NULL, "/proc");
    add(f, PLAN_MOUNT_DEV, sys, NULL, "/dev");
    add(f, PLAN_MOUNT_TMPFS, sys, NULL, "/dev/shm");
    add(f, PLAN_MOUNT_TMPFS, sys, NULL, "/tmp");
    add(f, PLAN_MOUNT_DATA, sys, "me:x:1:1::/:\n", "/etc/passwd");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, "./in", "/data/base/in");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_INPUT, "./in/file", "/data/base/one");
    add(f, PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, "./out", "/data/base/out");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./odd,\"dir", "/tmp/deep/odd,\"dest");
    add(f, PLAN_MOUNT_BIND_DEV, PLAN_ROLE_USER, "/dev/null", "/dev/extra");
    add(f, PLAN_MOUNT_REMOUNT_RO, sys, NULL, "/dev");
    add(f, PLAN_MOUNT_REMOUNT_RO, root, NULL, "/");
}

static void start(struct fixture *f, const struct runtime_backend *b)
{
    f->engine = engine_new(b, &f->tools, &f->plan, &f->err);
    if (!f->engine)
        fail_msg("%s", f->err.text);
}

static void build(struct fixture *f, const struct runtime_backend *b, bool cover_root)
{
    start(f, b);
    if (engine_build(f->engine, &f->plan, cover_root, &f->mounts, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

/* With the launch's own names made the same for every run. */
static void add_stable(const struct fixture *f, struct buf *out, const char *text)
{
    const char *names[] = {f->engine->dir, f->engine->id, f->dir};
    const char *stand_in[] = {"DIR", "ID", "TEST"};

    while (*text) {
        size_t i;

        for (i = 0; i < array_size(names); i++)
            if (strncmp(text, names[i], strlen(names[i])) == 0)
                break;
        if (i < array_size(names)) {
            buf_adds(out, stand_in[i]);
            text += strlen(names[i]);
        } else {
            buf_addc(out, *text++);
        }
    }
}

static void golden_argv(const struct fixture *f, const struct strv *argv,
                        const char *name)
{
    struct buf text = BUF_INIT;

    for (size_t i = 0; i < argv->count; i++) {
        const char *item = argv->items[i];

        if (i > 0)
            buf_adds(&text, strncmp(item, "--", 2) == 0 ? "\n" : " ");
        add_stable(f, &text, item);
    }
    buf_addc(&text, '\n');
    golden_check(TEST_DATA, name, buf_str(&text));
    buf_release(&text);
}

static void test_podman_argv(void **state)
{
    struct fixture *f = *state;
    struct strv argv = STRV_INIT, env = STRV_INIT;

    start(f, &backend_podman);
    assert_int_equal(podman_argv(&f->plan, &f->tools, f->engine->dir, f->engine->id,
                                 true, &argv, &f->err),
                     0);
    strv_add(&argv, "--environment");
    assert_int_equal(podman_env(f->engine->dir, f->engine->id, &env, &f->err), 0);
    strv_extend(&argv, strv_argv(&env));
    golden_argv(f, &argv, "podman.args");
    strv_release(&argv);
    strv_release(&env);
}

static void test_podman_variants(void **state)
{
    struct fixture *f = *state;
    struct strv argv = STRV_INIT;

    start(f, &backend_podman);
    f->plan.network = PLAN_NETWORK_HOST;
    f->plan.interactive = true;
    assert_int_equal(podman_argv(&f->plan, &f->tools, f->engine->dir, f->engine->id,
                                 false, &argv, &f->err),
                     0);
    assert_true(strv_contains(&argv, "host"));
    assert_false(strv_contains(&argv, "none") && strv_contains(&argv, "keep-id"));
    assert_false(strv_contains(&argv, "keep-id"));
    assert_true(strv_contains(&argv, "--tty"));
    strv_release(&argv);
}

static void test_podman_spec(void **state)
{
    struct fixture *f = *state;
    struct buf spec = BUF_INIT, text = BUF_INIT;

    usual_plan(f);
    build(f, &backend_podman, false);
    podman_spec(&f->plan, &f->mounts, "/tree", &spec);
    for (size_t i = 0, item = 0; i < spec.len; i += strlen(spec.data + i) + 1, item++) {
        add_stable(f, &text, spec.data + i);
        buf_adds(&text, item % 4 == 1 ? "\n" : " ");
    }
    golden_check(TEST_DATA, "podman.spec", buf_str(&text));
    buf_release(&text);
    buf_release(&spec);
}

/* The tasks of a step have the host's process numbers and control groups, and what is
 * mounted from the launch's directory outlives it. */
static void test_podman_joined(void **state)
{
    static const char proc[] = "bind\0/proc\0/proc\0rbind,";
    struct fixture *f = *state;
    struct strv argv = STRV_INIT;
    struct buf spec = BUF_INIT;

    usual_plan(f);
    f->plan.joined = true;
    build(f, &backend_podman, false);
    podman_spec(&f->plan, &f->mounts, "/the/tree", &spec);
    assert_memory_equal(spec.data, "open\0/the/tree\0", 15);
    assert_non_null(memmem(spec.data, spec.len, proc, sizeof(proc) - 1));
    assert_int_equal(podman_argv(&f->plan, &f->tools, f->engine->dir, f->engine->id,
                                 true, &argv, &f->err),
                     0);
    for (size_t i = 0; i < argv.count; i++)
        if (strcmp(argv.items[i], "--cgroupns") == 0)
            assert_string_equal(argv.items[i + 1], "host");
    assert_true(strv_contains(&argv, "--cgroupns"));
    assert_int_equal(f->engine->words.count, 1);
    assert_string_equal(f->engine->words.items[0], INIT_MODE_HOLD);
    buf_release(&spec);
    strv_release(&argv);
}

static void test_docker_argv(void **state)
{
    struct docker_user user = {.uid = 1000,
                               .gid = 100,
                               .groups = {7, 8},
                               .n_groups = 2,
                               .hostname = (char[]){"node1"}};
    struct fixture *f = *state;
    struct strv argv = STRV_INIT;

    usual_plan(f);
    build(f, &backend_docker, true);
    assert_int_equal(docker_argv(&f->plan, &f->tools, f->engine->dir, f->engine->id,
                                 &f->mounts, &user, "repx-launch/root:0123", &argv,
                                 &f->err),
                     0);
    golden_argv(f, &argv, "docker.args");
    strv_release(&argv);
}

static void has(const struct fixture *f, const char *name, mode_t type)
{
    struct error err = ERROR_INIT;
    _cleanup_free_ char *path = engine_path(f->engine, name, &err);
    struct stat st;

    if (lstat(path, &st) < 0)
        fail_msg("%s is missing", name);
    assert_int_equal(st.st_mode & S_IFMT, type);
}

static void test_skeleton(void **state)
{
    struct fixture *f = *state;

    usual_plan(f);
    build(f, &backend_podman, false);
    has(f, "tree/rootfs/bin", S_IFLNK);
    has(f, "tree/rootfs/etc/mtab", S_IFLNK);
    has(f, "tree/rootfs/etc/passwd", S_IFREG);
    has(f, "tree/rootfs/init", S_IFREG);
    has(f, "tree/rootfs/usr", S_IFDIR);
    has(f, "tree/rootfs/data/base/one", S_IFREG);
    has(f, "tree/rootfs/data/base/out", S_IFDIR);
    has(f, "tree/covers/tmp/deep/odd,\"dest", S_IFDIR);
    has(f, "channel/init", S_IFREG);
    has(f, "channel/socket", S_IFSOCK);
}

/* The image's tree, and every other source, is as it was. */
static void test_nothing_is_made_in_sources(void **state)
{
    struct fixture *f = *state;
    struct stat before, after;

    usual_plan(f);
    assert_int_equal(stat(f->tree, &before), 0);
    build(f, &backend_docker, true);
    assert_int_equal(stat(f->tree, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_nlink, after.st_nlink);
}

static int build_fails(struct fixture *f)
{
    start(f, &backend_podman);
    return engine_build(f->engine, &f->plan, false, &f->mounts, &f->err);
}

static void test_point_in_read_only_mount(void **state)
{
    struct fixture *f = *state;

    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./in", "/data");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./out", "/data/lacking");
    assert_int_equal(build_fails(f), -1);
    assert_non_null(strstr(f->err.text, "has no lacking, and it is mounted read-only"));
}

static void test_point_in_writable_mount(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *made = path_of(f, "out/new");
    struct stat st;

    add(f, PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, "./out", "/data");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./in", "/data/new/deep");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./in", "/data/existing");
    build(f, &backend_podman, false);
    assert_int_equal(stat(made, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
}

/* A job has left a link where a mount point would be made: never through it. */
static void test_link_in_writable_mount(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *link_path = path_of(f, "out/link");
    _cleanup_free_ char *outside = path_of(f, "in/made");
    struct stat st;

    assert_int_equal(symlink("../in", link_path), 0);
    add(f, PLAN_MOUNT_BIND_RW, PLAN_ROLE_OUT, "./out", "/data");
    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_USER, "./in", "/data/link/made");
    assert_int_equal(build_fails(f), -1);
    assert_int_equal(stat(outside, &st), -1);
}

static void test_name_of_the_channel(void **state)
{
    struct fixture *f = *state;

    add(f, PLAN_MOUNT_BIND_RO, PLAN_ROLE_ROOT, "./tree/init", ENGINE_POINT);
    assert_int_equal(build_fails(f), -1);
    assert_non_null(strstr(f->err.text, ENGINE_POINT));
}

static void test_checks_name_every_bind(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *out = path_of(f, "out"), *want = NULL;
    struct stat st;

    usual_plan(f);
    build(f, &backend_docker, true);
    assert_int_equal(stat(out, &st), 0);
    want = str_printf("%llu %llu rw /data/base/out", (unsigned long long)st.st_dev,
                      (unsigned long long)st.st_ino);
    assert_true(strv_contains(&f->engine->checks, want));
    assert_int_equal(f->engine->checks.count, 7);
    assert_false(strv_contains(&f->engine->checks, "0 0 ro /data/base/one"));
}

/* Podman looks files up as the user: one that the user replaces meanwhile is right. */
static void test_checks_of_podman(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *in = path_of(f, "in"), *want = NULL;
    struct stat st;

    usual_plan(f);
    build(f, &backend_podman, false);
    assert_int_equal(stat(in, &st), 0);
    want = str_printf("%llu %llu ro /data/base/in", (unsigned long long)st.st_dev,
                      (unsigned long long)st.st_ino);
    assert_true(strv_contains(&f->engine->checks, want));
    assert_true(strv_contains(&f->engine->checks, "0 0 ro /data/base/one"));
}

/* A directory whose launch is gone is removed by the next; one that lives is not. */
static void test_sweep(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *dead = NULL, *alive = NULL;
    struct engine *other;
    struct stat st;

    dead = path_of(f, "state/engines/repx-0123456789abcdef");
    make_dir(f, "state/engines");
    make_dir(f, "state/engines/repx-0123456789abcdef");
    make_dir(f, "state/engines/repx-0123456789abcdef/rootfs");
    start(f, &backend_podman);
    assert_int_equal(lstat(dead, &st), -1);
    alive = strdup(f->engine->dir);
    other = engine_new(&backend_docker, &f->tools, &f->plan, &f->err);
    assert_non_null(other);
    assert_int_equal(lstat(alive, &st), 0);
    engine_free(other);
    engine_free(f->engine);
    f->engine = NULL;
    assert_int_equal(lstat(alive, &st), -1);
}

static void test_options_are_csv(void **state)
{
    const struct {
        struct engine_mount m;
        const char *want;
    } rows[] = {
        {{.kind = ENGINE_BIND, .source = (char[]){"/a b"}, .dest = (char[]){"/c:d"}},
         "type=bind,src=/a b,dst=/c:d,readonly"},
        {{.kind = ENGINE_BIND,
          .writable = true,
          .source = (char[]){"/a,b"},
          .dest = (char[]){"/c\"d"}},
         "type=bind,\"src=/a,b\",\"dst=/c\"\"d\""},
        {{.kind = ENGINE_TMPFS, .dest = (char[]){"/tmp"}},
         "/tmp:rw,exec,nosuid,nodev,mode=1777"},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        _cleanup_free_ char *option = engine_mount_option(&rows[i].m);

        assert_string_equal(option, rows[i].want);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_podman_argv),
        TEST(test_podman_variants),
        TEST(test_podman_spec),
        TEST(test_podman_joined),
        TEST(test_docker_argv),
        TEST(test_skeleton),
        TEST(test_nothing_is_made_in_sources),
        TEST(test_point_in_read_only_mount),
        TEST(test_point_in_writable_mount),
        TEST(test_link_in_writable_mount),
        TEST(test_name_of_the_channel),
        TEST(test_checks_name_every_bind),
        TEST(test_checks_of_podman),
        TEST(test_sweep),
        TEST(test_options_are_csv),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
