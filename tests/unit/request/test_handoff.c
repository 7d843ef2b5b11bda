#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"
#include "request/handoff.h"

static struct handoff_request example_request(void)
{
    struct handoff_request r = HANDOFF_REQUEST_INIT;

    r.launcher = strdup("/usr/bin/repx-launch");
    r.config = strdup("/etc/repx/other.ini");
    r.node = strdup("n1");
    r.batch_script = strdup("/var/spool/job7/slurm_script");
    r.gpus = strdup("1,2");
    strv_addl(&r.options, "--image=/data/a b.tar", "--env=A=x\ny", "--env=", NULL);
    r.job_id = 7;
    r.step_id = 3;
    r.node_id = 1;
    r.n_nodes = 2;
    r.n_tasks = 8;
    r.local_tasks = 4;
    return r;
}

static struct handoff_answer example_answer(void)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;

    a.isolated = true;
    a.namespaces[0] = 0x10000000;
    a.namespaces[1] = 0x20000;
    a.n_namespaces = 2;
    strv_addl(&a.env, "PATH=/bin", "HOME=/tmp", "IMAGE=1", "LANG=C", "TERM=xterm",
              NULL);
    strv_addl(&a.pass, "SLURM_*", "LANG", NULL);
    strv_addl(&a.env_set, "SET=1", "BARE", "ABSENT", "SLURM_X=mine", NULL);
    a.cwd_fallback = strdup("/");
    a.cwd_tell = true;
    return a;
}

/* The file as plugin and launcher write it. */
static void write_file(struct buf *file, enum handoff_phase phase,
                       const struct handoff_answer *a)
{
    struct handoff_request r = example_request();
    struct error err = ERROR_INIT;
    struct handoff h = HANDOFF_INIT;
    unsigned char head[HANDOFF_HEAD];

    assert_int_equal(handoff_encode_request(&r, file, &err), 0);
    handoff_request_release(&r);
    if (!a)
        return;
    assert_int_equal(handoff_decode(file->data, file->len, &h, &err), 0);
    assert_int_equal(h.phase, HANDOFF_NEW);
    assert_int_equal(h.answer_at, file->len);
    assert_int_equal(handoff_encode_answer(&h, phase, a, file, head, &err), 0);
    memcpy(file->data, head, sizeof(head));
    handoff_release(&h);
}

static void test_round_trip(void **state)
{
    struct handoff_answer a = example_answer();
    struct handoff h = HANDOFF_INIT;
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;

    (void)state;
    write_file(&file, HANDOFF_READY, &a);
    assert_int_equal(handoff_decode(file.data, file.len, &h, &err), 0);
    assert_int_equal(h.phase, HANDOFF_READY);
    assert_string_equal(h.request.launcher, "/usr/bin/repx-launch");
    assert_string_equal(h.request.config, "/etc/repx/other.ini");
    assert_string_equal(h.request.node, "n1");
    assert_string_equal(h.request.batch_script, "/var/spool/job7/slurm_script");
    assert_string_equal(h.request.gpus, "1,2");
    assert_int_equal(h.request.options.count, 3);
    assert_string_equal(h.request.options.items[1], "--env=A=x\ny");
    assert_int_equal(h.request.job_id, 7);
    assert_int_equal(h.request.step_id, 3);
    assert_int_equal(h.request.node_id, 1);
    assert_int_equal(h.request.n_nodes, 2);
    assert_int_equal(h.request.n_tasks, 8);
    assert_int_equal(h.request.local_tasks, 4);
    assert_true(h.answer.isolated);
    assert_int_equal(h.answer.n_namespaces, 2);
    assert_int_equal(h.answer.namespaces[1], 0x20000);
    assert_int_equal(h.answer.env.count, 5);
    assert_int_equal(h.answer.pass.count, 2);
    assert_int_equal(h.answer.env_set.count, 4);
    assert_null(h.answer.cwd);
    assert_string_equal(h.answer.cwd_fallback, "/");
    assert_true(h.answer.cwd_tell);
    handoff_release(&h);
    handoff_answer_release(&a);
    buf_release(&file);
}

static void test_failure_needs_its_reason(void **state)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    struct handoff h = HANDOFF_INIT;
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;

    (void)state;
    a.exit_code = 125;
    write_file(&file, HANDOFF_FAILED, &a);
    assert_int_equal(handoff_decode(file.data, file.len, &h, &err), -1);
    assert_non_null(strstr(err.text, "without its reason"));
    buf_reset(&file);
    a.error = strdup("no image");
    write_file(&file, HANDOFF_FAILED, &a);
    assert_int_equal(handoff_decode(file.data, file.len, &h, &err), 0);
    assert_int_equal(h.phase, HANDOFF_FAILED);
    assert_string_equal(h.answer.error, "no image");
    assert_int_equal(h.answer.exit_code, 125);
    handoff_release(&h);
    handoff_answer_release(&a);
    buf_release(&file);
}

static void test_sandbox_needs_namespaces(void **state)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    struct handoff h = HANDOFF_INIT;
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;

    (void)state;
    a.isolated = true;
    a.cwd_fallback = strdup("/");
    write_file(&file, HANDOFF_READY, &a);
    assert_int_equal(handoff_decode(file.data, file.len, &h, &err), -1);
    assert_non_null(strstr(err.text, "without namespaces"));
    handoff_answer_release(&a);
    buf_release(&file);
}

static void test_request_is_checked(void **state)
{
    struct handoff_request r = example_request();
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;
    char *big;

    (void)state;
    r.launcher[0] = 'u'; /* relative */
    assert_int_equal(handoff_encode_request(&r, &file, &err), -1);
    r.launcher[0] = '/';
    big = malloc(HANDOFF_MAX);
    assert_non_null(big);
    memset(big, 'x', HANDOFF_MAX - 1);
    big[HANDOFF_MAX - 1] = '\0';
    strv_take(&r.options, big);
    assert_int_equal(handoff_encode_request(&r, &file, &err), -1);
    assert_non_null(strstr(err.text, "too large"));
    assert_int_equal(file.len, 0);
    handoff_request_release(&r);
    buf_release(&file);
}

static void test_other_version(void **state)
{
    struct handoff h = HANDOFF_INIT;
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;

    (void)state;
    write_file(&file, HANDOFF_NEW, NULL);
    file.data[8]++;
    assert_int_equal(handoff_decode(file.data, file.len, &h, &err), -1);
    assert_non_null(strstr(err.text, "of one version"));
    buf_release(&file);
}

/* Cut anywhere, it is refused, never half of it is believed. The copy has the exact
 * size, so that a sanitizer sees a read behind it. */
static void test_truncated(void **state)
{
    struct handoff_answer a = example_answer();
    struct buf file = BUF_INIT;

    (void)state;
    write_file(&file, HANDOFF_READY, &a);
    for (size_t len = 0; len < file.len; len++) {
        struct error err = ERROR_INIT;
        struct handoff h = HANDOFF_INIT;
        char *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, file.data, len);
        copy = realloc(copy, len ? len : 1);
        assert_int_equal(handoff_decode(copy, len, &h, &err), -1);
        assert_true(err.text[0] != '\0');
        assert_null(h.request.launcher);
        free(copy);
    }
    handoff_answer_release(&a);
    buf_release(&file);
}

/* Each byte changed in three ways: read or refused, no crash, nothing leaked. */
static void test_changed_bytes(void **state)
{
    static const char with[] = {'\0', '\x7f', '\xff'};
    struct handoff_answer a = example_answer();
    struct buf file = BUF_INIT;
    size_t refused = 0;

    (void)state;
    write_file(&file, HANDOFF_READY, &a);
    for (size_t i = 0; i < file.len; i++) {
        char was = file.data[i];

        for (size_t k = 0; k < sizeof(with); k++) {
            struct error err = ERROR_INIT;
            struct handoff h = HANDOFF_INIT;

            file.data[i] = with[k];
            if (handoff_decode(file.data, file.len, &h, &err) < 0)
                refused++;
            handoff_release(&h);
        }
        file.data[i] = was;
    }
    assert_true(refused > file.len / 2);
    handoff_answer_release(&a);
    buf_release(&file);
}

static char *const own[] = {
    (char[]){"SLURM_PROCID=2"}, (char[]){"SLURM_X=task"}, (char[]){"PATH=/host/bin"},
    (char[]){"HOME=/home/u"},   (char[]){"LANG=de"},      (char[]){"LANGUAGE=de"},
    (char[]){"TERM=vt100"},     (char[]){"BARE=own"},     (char[]){"SECRET=1"},
    (char[]){"no equals sign"}, (char[]){"=odd"},         NULL};

static void test_environment(void **state)
{
    struct handoff_answer a = example_answer();
    struct error err = ERROR_INIT;
    struct strv env = STRV_INIT;
    char *const *e;

    (void)state;
    assert_int_equal(handoff_environment(&a, own, false, "/work", &env, &err), 0);
    e = strv_argv(&env);
    assert_string_equal(strv_env_get(e, "PATH"), "/bin");
    assert_string_equal(strv_env_get(e, "HOME"), "/tmp");
    assert_string_equal(strv_env_get(e, "IMAGE"), "1");
    assert_string_equal(strv_env_get(e, "LANG"), "de");
    assert_string_equal(strv_env_get(e, "TERM"), "xterm");
    assert_string_equal(strv_env_get(e, "SLURM_PROCID"), "2");
    assert_string_equal(strv_env_get(e, "SLURM_X"), "mine");
    assert_string_equal(strv_env_get(e, "SET"), "1");
    assert_string_equal(strv_env_get(e, "BARE"), "own");
    assert_string_equal(strv_env_get(e, "PWD"), "/work");
    assert_null(strv_env_get(e, "ABSENT"));
    assert_null(strv_env_get(e, "SECRET"));
    assert_null(strv_env_get(e, "LANGUAGE"));
    assert_int_equal(env.count, 10);
    strv_release(&env);

    assert_int_equal(handoff_environment(&a, own, true, NULL, &env, &err), 0);
    assert_string_equal(strv_env_get(strv_argv(&env), "TERM"), "vt100");
    assert_null(strv_env_get(strv_argv(&env), "PWD"));
    strv_release(&env);
    handoff_answer_release(&a);
}

/* Each task's GPUs, of those that the sandbox has. */
static void test_gpu_numbers(void **state)
{
    static const struct {
        const char *own, *want;
    } cases[] = {
        {"CUDA_VISIBLE_DEVICES=12", "2"},
        {"CUDA_VISIBLE_DEVICES=3,12", "1,2"},
        {"CUDA_VISIBLE_DEVICES=2", "0"},
        {"CUDA_VISIBLE_DEVICES=1", "1"}, /* none of them: as it is */
        {"CUDA_VISIBLE_DEVICES=2,1", "2,1"},
        {"CUDA_VISIBLE_DEVICES=GPU-2", "GPU-2"},
        {"CUDA_VISIBLE_DEVICES=", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *task[] = {strdup(cases[i].own), NULL};
        struct handoff_answer a = {.isolated = true};
        struct strv env = STRV_INIT;
        struct error err = ERROR_INIT;

        strv_add(&a.env, HANDOFF_GPUS_VARIABLE "=2,3,12");
        strv_add(&a.pass, "CUDA_VISIBLE_DEVICES");
        assert_int_equal(handoff_environment(&a, task, false, NULL, &env, &err), 0);
        assert_string_equal(strv_env_get(strv_argv(&env), "CUDA_VISIBLE_DEVICES"),
                            cases[i].want);
        assert_null(strv_env_get(strv_argv(&env), HANDOFF_GPUS_VARIABLE));
        strv_release(&env);
        strv_release(&a.env);
        strv_release(&a.pass);
        free(task[0]);
    }
}

static void test_environment_natively(void **state)
{
    struct handoff_answer a = HANDOFF_ANSWER_INIT;
    struct error err = ERROR_INIT;
    struct strv env = STRV_INIT;
    char *const *e;

    (void)state;
    strv_add(&a.env, "PATH=/lab/bin:/host/bin");
    strv_add(&a.env_set, "SET=1");
    assert_int_equal(handoff_environment(&a, own, false, "/work", &env, &err), 0);
    e = strv_argv(&env);
    assert_string_equal(strv_env_get(e, "PATH"), "/lab/bin:/host/bin");
    assert_string_equal(strv_env_get(e, "HOME"), "/home/u");
    assert_string_equal(strv_env_get(e, "SECRET"), "1");
    assert_string_equal(strv_env_get(e, "SET"), "1");
    assert_null(strv_env_get(e, "PWD"));
    strv_release(&env);
    handoff_answer_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_failure_needs_its_reason),
        cmocka_unit_test(test_sandbox_needs_namespaces),
        cmocka_unit_test(test_request_is_checked),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_gpu_numbers),
        cmocka_unit_test(test_environment_natively),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
