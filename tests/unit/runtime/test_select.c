/* The choice of a runtime, the real probe, and its per-boot answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <utime.h>

#include "runtime/runtime_internal.h"
#include "unit/runtime/harness.h"

static char init_program[] = TEST_INIT_PROGRAM;
static char fake[128], calls[128], state_dir[128];

/* A bwrap that counts its calls and ends with this code. */
static void make_fake(int code)
{
    struct buf text = BUF_INIT;

    snprintf(fake, sizeof(fake), "%s/fake-bwrap", root);
    snprintf(calls, sizeof(calls), "%s/calls", root);
    snprintf(state_dir, sizeof(state_dir), "%s/state", root);
    unlink(calls);
    buf_addf(&text, "#!/bin/sh\necho x >> %s\necho 'fake: \033[1mbroken'\nexit %d\n",
             calls, code);
    write_file("fake-bwrap", buf_str(&text), 0755);
    buf_release(&text);
}

static int count_calls(void)
{
    struct stat st;

    return stat(calls, &st) < 0 ? 0 : (int)st.st_size / 2;
}

static struct runtime_tools fake_tools(void)
{
    return (struct runtime_tools){
        .bwrap = fake, .init = init_program, .state_dir = state_dir};
}

static int choose(const char *list, const struct runtime_tools *tools,
                  const struct runtime_backend **out, struct error *err)
{
    struct strv v = STRV_INIT;
    char *copy = strdup(list), *save = NULL;
    int r;

    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save))
        strv_add(&v, p);
    r = runtime_select(&v, tools, out, err);
    free(copy);
    strv_release(&v);
    return r;
}

static void test_the_table(void **state)
{
    size_t n;
    const struct runtime_backend *const *all = runtime_all(&n);

    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(runtime_find(all[i]->name), all[i]);
        assert_int_equal(all[i]->isolated, strcmp(all[i]->name, "native") != 0);
    }
    assert_null(runtime_find("runc"));
    assert_null(runtime_find(""));
}

static void test_the_first_that_works_is_taken(void **state)
{
    struct runtime_tools tools;
    const struct runtime_backend *b = NULL;
    struct error err = ERROR_INIT;

    make_fake(1);
    tools = fake_tools();
    assert_int_equal(choose("podman bwrap native", &tools, &b, &err), 0);
    assert_string_equal(b->name, "native");
    make_fake(0);
    assert_int_equal(choose("podman bwrap native", &tools, &b, &err), 0);
    assert_string_equal(b->name, "bwrap");
}

/* No isolation is never chosen unless it is on the list. */
static void test_nothing_that_is_not_listed(void **state)
{
    struct runtime_tools tools;
    const struct runtime_backend *b = NULL;
    struct error err = ERROR_INIT;

    make_fake(1);
    tools = fake_tools();
    assert_int_equal(choose("podman docker bwrap", &tools, &b, &err), -1);
    assert_null(b);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_non_null(strstr(err.text, "podman: podman is not installed"));
    assert_non_null(strstr(err.text, "docker: docker is not installed"));
    assert_non_null(strstr(err.text, "bwrap: a trial sandbox failed (exit code 1)"));
    assert_non_null(strstr(err.text, "fake: \\x1b[1mbroken"));
    error_clear(&err);
    assert_int_equal(choose("", &tools, &b, &err), -1);
    error_clear(&err);
    assert_int_equal(choose("bwrapp", &tools, &b, &err), -1);
    assert_int_equal(err.class, ERROR_USAGE);
}

static void test_yes_is_remembered_no_is_not(void **state)
{
    struct utimbuf old = {1000, 1000};
    struct runtime_tools tools;
    const struct runtime_backend *b;
    struct error err = ERROR_INIT;
    int n;

    make_fake(1);
    tools = fake_tools();
    utime(fake, &old);
    assert_int_equal(choose("bwrap", &tools, &b, &err), -1);
    n = count_calls();
    assert_true(n > 0);
    assert_int_equal(choose("bwrap", &tools, &b, &err), -1);
    assert_true(count_calls() > n);

    make_fake(0);
    assert_int_equal(choose("bwrap", &tools, &b, &err), 0);
    n = count_calls();
    assert_int_equal(n, 2); /* the trial, and its version for the answer */
    assert_int_equal(choose("bwrap", &tools, &b, &err), 0);
    assert_int_equal(count_calls(), n);

    old.modtime = 2000; /* an upgrade asks again */
    utime(fake, &old);
    assert_int_equal(choose("bwrap", &tools, &b, &err), 0);
    assert_int_equal(count_calls(), 2 * n);

    tools.state_dir = NULL; /* nowhere to remember */
    assert_int_equal(choose("bwrap", &tools, &b, &err), 0);
    assert_int_equal(count_calls(), 3 * n);
}

static void test_missing_and_untrusted_programs(void **state)
{
    struct runtime_tools tools = {.init = init_program};
    struct error err = ERROR_INIT;

    make_fake(0);
    assert_int_equal(bwrap_probe(&tools, &err), 1);
    assert_non_null(strstr(err.text, "install the package 'bubblewrap'"));
    error_clear(&err);
    tools.bwrap = (char[]){"/no/such/bwrap"};
    assert_int_equal(bwrap_probe(&tools, &err), 1);
    assert_non_null(strstr(err.text, "/no/such/bwrap"));
    error_clear(&err);
    tools.bwrap = fake;
    tools.init = NULL;
    assert_int_equal(bwrap_probe(&tools, &err), 1);
    assert_non_null(strstr(err.text, "repx-sandbox-init"));
    error_clear(&err);
    tools.init = init_program;
    assert_int_equal(chmod(fake, 0777), 0);
    assert_int_equal(bwrap_probe(&tools, &err), 1);
    assert_non_null(strstr(err.text, fake));
    assert_int_equal(count_calls(), 0);
}

static void test_the_real_bwrap_works_here(void **state)
{
    struct runtime_tools tools = {.bwrap = (char[]){"/usr/bin/bwrap"},
                                  .init = init_program,
                                  .state_dir = state_dir};
    const struct runtime_backend *b = NULL;
    struct error err = ERROR_INIT;
    char *version;

    make_fake(0);
    assert_int_equal(choose("bwrap native", &tools, &b, &err), 0);
    assert_string_equal(b->name, "bwrap");
    version = b->version(&tools);
    assert_non_null(version);
    assert_int_equal(strncmp(version, "bubblewrap ", 11), 0);
    assert_null(strchr(version, '\n'));
    free(version);
}

static void test_tools_are_found(void **state)
{
    struct runtime_tools t = RUNTIME_TOOLS_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(runtime_tools_find(&t, NULL, "/state", &err), 0);
    assert_non_null(t.bwrap);
    assert_int_equal(t.bwrap[0], '/');
    assert_string_equal(t.state_dir, "/state");
    runtime_tools_release(&t);
    assert_int_equal(runtime_tools_find(&t, "/opt/x/bwrap", NULL, &err), 0);
    assert_string_equal(t.bwrap, "/opt/x/bwrap");
    assert_null(t.state_dir);
    runtime_tools_release(&t);
    assert_int_equal(runtime_tools_find(&t, "bin/bwrap", NULL, &err), -1);
    assert_non_null(strstr(err.text, "absolute path"));
    assert_null(t.bwrap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table),
        cmocka_unit_test(test_the_first_that_works_is_taken),
        cmocka_unit_test(test_nothing_that_is_not_listed),
        cmocka_unit_test(test_yes_is_remembered_no_is_not),
        cmocka_unit_test(test_missing_and_untrusted_programs),
        cmocka_unit_test(test_the_real_bwrap_works_here),
        cmocka_unit_test(test_tools_are_found),
    };

    return cmocka_run_group_tests(tests, make_root, remove_root);
}
