#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "unit/golden.h"
#include "unit/plan/cases.h"

static struct plan build(const struct plan_input *in)
{
    struct plan p = PLAN_INIT;
    struct error err = ERROR_INIT;

    if (plan_build(&p, in, &err) < 0)
        fail_msg("plan_build: %s", err.text);
    return p;
}

static struct error build_fails(const struct plan_input *in)
{
    struct plan p = PLAN_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(plan_build(&p, in, &err), -1);
    assert_int_equal(p.n_mounts, 0);
    assert_null(p.runtime);
    return err;
}

static void check_golden(const struct plan_input *in, const char *name)
{
    struct plan p = build(in);
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;
    char *json = plan_to_json(&p, &err);
    char *text = plan_to_text(&p, &err);

    assert_non_null(json);
    assert_non_null(text);
    buf_addf(&file, "%s.json", name);
    golden_check(TEST_DATA, buf_str(&file), json);
    buf_reset(&file);
    buf_addf(&file, "%s.txt", name);
    golden_check(TEST_DATA, buf_str(&file), text);
    buf_release(&file);
    free(json);
    free(text);
    plan_release(&p);
}

static void test_golden_complete_image(void **state)
{
    struct plan_input in = case_pure();

    check_golden(&in, "complete");
}

static void test_golden_opened_image(void **state)
{
    struct plan_input in = case_opened();

    check_golden(&in, "opened");
}

static void test_golden_merged_image(void **state)
{
    struct plan_input in = case_merged();
    struct plan p = build(&in);

    assert_int_equal(p.n_dirs, 2);
    assert_string_equal(p.dirs[1].path, "/data");
    assert_int_equal(p.dirs[1].mode, 0700);
    assert_int_equal(p.dirs[1].mtime_s, 2);
    assert_int_equal(p.dirs[1].mtime_ns, 3);
    plan_release(&p);
    check_golden(&in, "merged");
}

/* What a CDI specification adds to a launch. */
static void test_golden_gpus(void **state)
{
    static const struct plan_bind binds[] = {
        {PLAN_MOUNT_BIND_DEV, PLAN_ROLE_GPU, "/dev/nvidia1", "/dev/nvidia1"},
        {PLAN_MOUNT_BIND_RO, PLAN_ROLE_GPU, "/usr/lib/libcuda.so.535",
         "/usr/lib/libcuda.so.535"},
        {PLAN_MOUNT_SYMLINK, PLAN_ROLE_GPU, "libcuda.so.535", "/usr/lib/libcuda.so.1"},
        {PLAN_MOUNT_SYMLINK, PLAN_ROLE_GPU, "/usr/lib/libcuda.so.535",
         "/run/opengl-driver/lib/libcuda.so.1"},
    };
    char *image_env[] = {(char[]){"LD_LIBRARY_PATH=/opt/lib"}, NULL};
    char *passed[] = {(char[]){"CUDA_VISIBLE_DEVICES=3"}, (char[]){"NVIDIA_X=1"}, NULL};
    char *device[] = {(char[]){"CUDA_VISIBLE_DEVICES=0"}, NULL};
    char *names[] = {(char[]){"nvidia.com/gpu=1"}, NULL};
    struct strv image = STRV_INIT, pass = STRV_INIT, dev = STRV_INIT, gpus = STRV_INIT;
    struct plan_input in = case_pure();

    in.binds = binds;
    in.n_binds = sizeof(binds) / sizeof(binds[0]);
    in.image_env = case_strv(&image, image_env);
    in.passed_env = case_strv(&pass, passed);
    in.device_env = case_strv(&dev, device);
    in.gpus = case_strv(&gpus, names);
    in.library_path = "/run/opengl-driver/lib";
    check_golden(&in, "gpus");
    strv_release(&image);
    strv_release(&pass);
    strv_release(&dev);
    strv_release(&gpus);
}

static void test_golden_host_root(void **state)
{
    struct plan_input in = case_host_root();

    check_golden(&in, "host-root");
}

static void test_golden_native(void **state)
{
    struct plan_input in = case_native();

    check_golden(&in, "native");
}

/* Right above /proc, and only for root. */
static void test_root_cannot_write_to_sysctl(void **state)
{
    struct plan_input in = case_pure();
    struct plan p = build(&in);
    size_t proc = 0, n = p.n_mounts;

    while (p.mounts[proc].kind != PLAN_MOUNT_PROC)
        proc++;
    assert_string_not_equal(p.mounts[proc + 1].dest, "/proc/sys");
    plan_release(&p);
    in.caller_is_root = true;
    p = build(&in);
    assert_int_equal(p.n_mounts, n + 1);
    assert_int_equal(p.mounts[proc + 1].kind, PLAN_MOUNT_BIND_RO);
    assert_string_equal(p.mounts[proc + 1].source, "/proc/sys");
    assert_string_equal(p.mounts[proc + 1].dest, "/proc/sys");
    plan_release(&p);
}

static const char *env_of(const struct plan *p, const char *name)
{
    return strv_env_get(strv_argv(&p->env), name);
}

static void test_environment_of_a_sandbox(void **state)
{
    char *image[] = {(char[]){"PATH=/image/bin"}, (char[]){"HOME=/root"},
                     (char[]){"FROM_IMAGE=1"},    (char[]){"TZ=Mars"},
                     (char[]){"no equals"},       (char[]){"=nameless"},
                     (char[]){"EMPTY="},          NULL};
    char *passed[] = {(char[]){"PATH=/host"}, (char[]){"HOME=/home/alice"},
                      (char[]){"TZ=UTC"}, (char[]){"SLURM_JOB_ID=7"}, NULL};
    char *set[] = {(char[]){"PICKED"}, (char[]){"NOT_THERE"}, (char[]){"TZ=CET"},
                   (char[]){"HOME=/data"}, NULL};
    struct strv v[3] = {STRV_INIT, STRV_INIT, STRV_INIT};
    struct plan_input in = case_pure();
    struct plan p;

    in.image_env = case_strv(&v[0], image);
    in.passed_env = case_strv(&v[1], passed);
    in.env_set = case_strv(&v[2], set);
    p = build(&in);
    assert_string_equal(env_of(&p, "PATH"), "/lab/host-tools/h/bin:/image/bin");
    assert_string_equal(env_of(&p, "HOME"), "/data"); /* only --env may */
    assert_string_equal(env_of(&p, "FROM_IMAGE"), "1");
    assert_string_equal(env_of(&p, "EMPTY"), "");
    assert_string_equal(env_of(&p, "TZ"), "CET");
    assert_string_equal(env_of(&p, "SLURM_JOB_ID"), "7");
    assert_string_equal(env_of(&p, "PICKED"), "from the host");
    assert_string_equal(env_of(&p, "TERM"), "xterm");
    assert_string_equal(env_of(&p, "PWD"), CASE_OUT);
    assert_null(env_of(&p, "NOT_THERE"));
    assert_null(env_of(&p, "SECRET"));
    assert_int_equal(p.env.count, 9);
    plan_release(&p);

    in.env_set = NULL;
    in.path_prefix = NULL;
    in.image_env = NULL;
    in.interactive = true;
    p = build(&in);
    assert_string_equal(env_of(&p, "HOME"), "/tmp");
    assert_string_equal(env_of(&p, "PATH"), PLAN_DEFAULT_PATH);
    assert_string_equal(env_of(&p, "TERM"), "screen-256color");
    plan_release(&p);
    for (int i = 0; i < 3; i++)
        strv_release(&v[i]);
}

static void test_nameless_env_is_a_usage_error(void **state)
{
    char *set[] = {(char[]){"=x"}, NULL};
    struct strv v = STRV_INIT;
    struct plan_input in = case_pure();
    struct error err;

    in.env_set = case_strv(&v, set);
    err = build_fails(&in);
    assert_int_equal(err.class, ERROR_USAGE);
    strv_release(&v);
}

static void test_bad_requests(void **state)
{
    char *nothing[] = {NULL};
    static const char *const taken[] = {"/", "/dev", "/proc", "/proc/self"};
    struct plan_input in = case_pure();
    struct plan_bind bind = {PLAN_MOUNT_BIND_RW, PLAN_ROLE_USER, "/x", NULL};

    in.rootfs = NULL;
    assert_int_equal(build_fails(&in).class, ERROR_LAUNCHER);
    in = case_pure();
    in.argv = nothing;
    assert_int_equal(build_fails(&in).class, ERROR_USAGE);
    in = case_pure();
    in.cwd = "relative";
    assert_int_equal(build_fails(&in).class, ERROR_USAGE);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        in = case_pure();
        bind.dest = taken[i];
        in.binds = &bind;
        in.n_binds = 1;
        assert_non_null(strstr(build_fails(&in).text, "has its own there"));
    }
    bind.dest = "/a/../../b";
    assert_non_null(strstr(build_fails(&in).text, "without '.'"));
}

static void test_native_is_not_isolated(void **state)
{
    struct plan_input in = case_native();
    struct plan p = build(&in);

    assert_int_equal(p.n_mounts, 0);
    assert_int_equal(p.network, PLAN_NETWORK_HOST);
    assert_null(p.cwd);
    assert_string_equal(env_of(&p, "SECRET"), "do not pass");
    assert_string_equal(env_of(&p, "PATH"),
                        "/lab/host-tools/h/bin:/opt/host/bin:/usr/bin");
    plan_release(&p);
}

static void test_wanted_points(void **state)
{
    static const bool files[] = {false, false, false, false, false, false};
    struct plan_input in = case_opened();
    struct error err = ERROR_INIT;
    const char **dests;
    bool *is_file;
    size_t n;

    assert_int_equal(plan_wanted_points(&in, files, &dests, &is_file, &n, &err), 0);
    /* exactly what case_view answers: not below /tmp, not below another bind */
    assert_int_equal(n, case_view.n_dests);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(dests[i], case_view.dests[i].wanted);
        assert_int_equal(is_file[i], i < 2);
    }
    free(dests);
    free(is_file);

    in = case_host_root();
    assert_int_equal(plan_wanted_points(&in, files, &dests, &is_file, &n, &err), 0);
    assert_int_equal(n, 0);
    free(dests);
    free(is_file);
}

static void test_json_takes_any_bytes(void **state)
{
    char *argv[] = {(char[]){"/bin/\xff\x01x"}, NULL};
    char *set[] = {(char[]){"N\xff=v\xfe"}, NULL};
    struct strv v = STRV_INIT;
    struct plan_input in = case_pure();
    struct error err = ERROR_INIT;
    struct plan p;
    char *json;

    in.argv = argv;
    in.env_set = case_strv(&v, set);
    p = build(&in);
    json = plan_to_json(&p, &err);
    assert_non_null(json);
    assert_non_null(strstr(json, "/bin/\\\\xff\\\\x01x"));
    assert_non_null(strstr(json, "\"N\\\\xff\": \"v\\\\xfe\""));
    free(json);
    plan_release(&p);
    strv_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_complete_image),
        cmocka_unit_test(test_golden_opened_image),
        cmocka_unit_test(test_golden_merged_image),
        cmocka_unit_test(test_golden_gpus),
        cmocka_unit_test(test_golden_host_root),
        cmocka_unit_test(test_golden_native),
        cmocka_unit_test(test_root_cannot_write_to_sysctl),
        cmocka_unit_test(test_environment_of_a_sandbox),
        cmocka_unit_test(test_nameless_env_is_a_usage_error),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_native_is_not_isolated),
        cmocka_unit_test(test_wanted_points),
        cmocka_unit_test(test_json_takes_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
