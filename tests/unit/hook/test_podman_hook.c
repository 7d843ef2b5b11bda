/* repx-podman-hook: what it makes of podman's configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/fdio.h"
#include "sys/spawn.h"

static const char spec[] =
    "{\"ociVersion\":\"1.0.2\",\"hostname\":\"c1\",\"process\":{\"args\":[\"/x\"],"
    "\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\"}],\"capabilities\":{}},"
    "\"root\":{\"path\":\"/r\",\"readonly\":true},\"mounts\":[{\"destination\":"
    "\"/run/.containerenv\"}],\"linux\":{\"maskedPaths\":[\"/proc/kcore\"],"
    "\"readonlyPaths\":[\"/proc/sys\"],\"sysctl\":{\"a\":\"b\"},\"namespaces\":"
    "[{\"type\":\"pid\"}]}}";

#define ITEMS(...) __VA_ARGS__, sizeof(__VA_ARGS__) - 1

/* Runs the hook; *out is its JSON, NULL when it prints none. Returns its exit code. */
static int run_hook(const char *config, const char *items, size_t len, json_t **out)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_free_ char *path = NULL;
    struct error err = ERROR_INIT;
    _cleanup_close_ int input = fdio_memfd("spec", config, strlen(config), &err);
    _cleanup_close_ int list = fdio_memfd("items", items, len, &err);
    struct spawn_fd fds[] = {{input, 0}, {list, list}};
    struct spawn s = SPAWN_INIT;
    int status;

    assert_true(input >= 0 && list >= 0);
    path = str_printf("/proc/self/fd/%d", list);
    s.program = TEST_HOOK_PROGRAM;
    s.argv = (char *[]){(char[]){"repx-podman-hook"}, path, NULL};
    s.env = (char *[]){NULL};
    s.fds = fds;
    s.n_fds = array_size(fds);
    status = spawn_run(&s, &text, &err);
    *out = json_loads(buf_str(&text), 0, NULL);
    return status >> 8;
}

static const char *string_at(json_t *o, const char *first, const char *second)
{
    return json_string_value(json_object_get(json_object_get(o, first), second));
}

static void test_the_mounts_are_replaced(void **state)
{
    json_t *out, *mounts, *m;

    assert_int_equal(run_hook(spec,
                              ITEMS("open\0proc\0proc\0/proc\0nosuid,nodev\0bind\0"
                                    "/a b\0/c\"d\0rbind,ro\0"),
                              &out),
                     0);
    mounts = json_object_get(out, "mounts");
    assert_int_equal(json_array_size(mounts), 2);
    m = json_array_get(mounts, 1);
    assert_string_equal(json_string_value(json_object_get(m, "source")), "/a b");
    assert_string_equal(json_string_value(json_object_get(m, "destination")), "/c\"d");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(m, "options"), 1)), "ro");
    assert_null(json_object_get(out, "hostname"));
    assert_null(json_object_get(json_object_get(out, "process"), "rlimits"));
    assert_null(json_object_get(json_object_get(out, "linux"), "sysctl"));
    assert_null(json_object_get(json_object_get(out, "linux"), "maskedPaths"));
    assert_null(json_object_get(json_object_get(out, "linux"), "readonlyPaths"));
    /* the rest is podman's */
    assert_string_equal(string_at(out, "root", "path"), "/r");
    assert_non_null(json_object_get(json_object_get(out, "process"), "capabilities"));
    assert_non_null(json_object_get(json_object_get(out, "linux"), "namespaces"));
    json_decref(out);
}

static void test_sealed_proc_stays(void **state)
{
    json_t *out;

    assert_int_equal(run_hook(spec, ITEMS("seal\0"), &out), 0);
    assert_int_equal(json_array_size(json_object_get(out, "mounts")), 0);
    assert_non_null(json_object_get(json_object_get(out, "linux"), "maskedPaths"));
    assert_non_null(json_object_get(json_object_get(out, "linux"), "readonlyPaths"));
    json_decref(out);
}

/* Podman starts no container when its hook fails. */
static void test_what_is_not_understood_is_refused(void **state)
{
    static const struct {
        const char *config, *items;
        size_t len;
    } rows[] = {
        {"{}", ITEMS("open\0")},
        {"not JSON", ITEMS("open\0")},
        {"{\"process\":{},\"linux\":[]}", ITEMS("open\0")},
        {spec, ITEMS("open\0bind\0/a\0/b\0")},
        {spec, ITEMS("open\0bind\0/\xff\0/b\0ro\0")},
        {spec, "", 0},
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        json_t *out;

        assert_int_equal(run_hook(rows[i].config, rows[i].items, rows[i].len, &out), 1);
        assert_null(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_mounts_are_replaced),
        cmocka_unit_test(test_sealed_proc_stays),
        cmocka_unit_test(test_what_is_not_understood_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
