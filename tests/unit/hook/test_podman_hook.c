/* repx-podman-hook: what it makes of podman's configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"
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
                              ITEMS("open\0\0proc\0proc\0/proc\0nosuid,nodev\0bind\0"
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

    assert_int_equal(run_hook(spec, ITEMS("seal\0\0"), &out), 0);
    assert_int_equal(json_array_size(json_object_get(out, "mounts")), 0);
    assert_non_null(json_object_get(json_object_get(out, "linux"), "maskedPaths"));
    assert_non_null(json_object_get(json_object_get(out, "linux"), "readonlyPaths"));
    json_decref(out);
}

static void make(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A tree with a directory, a link, a file that only its owner may write, and an empty
 * one. */
static int make_tree(void **state)
{
    char *dir = strdup("/tmp/repx-hook-XXXXXX"), path[128];

    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    *state = dir;
    snprintf(path, sizeof(path), "%s/rootfs", dir);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/rootfs/bin", dir);
    assert_int_equal(symlink("usr/bin", path), 0);
    snprintf(path, sizeof(path), "%s/rootfs/point", dir);
    make(path, "");
    snprintf(path, sizeof(path), "%s/0", dir);
    make(path, "some text\n");
    return chmod(path, 0444);
}

static int drop_tree(void **state)
{
    struct error err = ERROR_INIT;
    _cleanup_close_ int top = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = pathfd_remove_tree(top, strrchr(*state, '/') + 1, &err);

    free(*state);
    return r;
}

/* What a shell prints that runs the hook and then a script, in mounts of its own. */
static int run_shell(const char *tree, const char *script, struct buf *text)
{
    struct error err = ERROR_INIT;
    _cleanup_buf_ struct buf items = BUF_INIT;
    _cleanup_close_ int input = fdio_memfd("spec", spec, strlen(spec), &err);
    _cleanup_close_ int list = -1;
    _cleanup_free_ char *path = NULL, *line = NULL;
    struct spawn s = SPAWN_INIT;

    buf_add(&items, "open", 5);
    buf_add(&items, tree, strlen(tree) + 1);
    list = fdio_memfd("items", buf_str(&items), items.len, &err);
    assert_true(input >= 0 && list >= 0);
    path = str_printf("/proc/self/fd/%d", list);
    line =
        str_printf(TEST_HOOK_PROGRAM " \"$0\" >/dev/null && cd \"$1\" && %s", script);
    s.program = "/usr/bin/unshare";
    s.argv = (char *[]){(char[]){"unshare"},
                        (char[]){"-Urm"},
                        (char[]){"sh"},
                        (char[]){"-c"},
                        line,
                        path,
                        (char *)(uintptr_t)tree,
                        NULL};
    s.env = (char *[]){(char[]){"PATH=/usr/bin:/bin"}, NULL};
    s.fds = (struct spawn_fd[]){{input, 0}, {list, list}};
    s.n_fds = 2;
    return spawn_run(&s, text, &err) >> 8;
}

/* In these mounts the tree is another one with the same content, which does not go when
 * the directory goes. */
static void test_a_tree_lives_in_memory(void **state)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    const char *dir = *state;
    char path[128];
    int status;

    status = run_shell(dir,
                       "stat -f -c %T . && find . -printf '%y %m %P %l\\n' | "
                       "sort && cat 0 && : >new",
                       &text);
    assert_string_equal(buf_str(&text), "tmpfs\nd 700  \nd 755 rootfs \n"
                                        "f 444 0 \nf 644 rootfs/point \n"
                                        "l 777 rootfs/bin usr/bin\nsome text\n");
    assert_int_equal(status, 0);
    snprintf(path, sizeof(path), "%s/new", dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_a_tree_that_is_not_there(void **state)
{
    struct buf text = BUF_INIT;

    (void)state;
    assert_int_equal(run_shell("/no/such/tree", "echo went on", &text), 1);
    assert_string_equal(
        buf_str(&text),
        "repx-podman-hook: cannot keep the sandbox's root in memory: No "
        "such file or directory\n");
    buf_release(&text);
}

/* Podman starts no container when its hook fails. */
static void test_what_is_not_understood_is_refused(void **state)
{
    static const struct {
        const char *config, *items;
        size_t len;
    } rows[] = {
        {"{}", ITEMS("open\0\0")},
        {"not JSON", ITEMS("open\0\0")},
        {"{\"process\":{},\"linux\":[]}", ITEMS("open\0\0")},
        {spec, ITEMS("open\0\0bind\0/a\0/b\0")},
        {spec, ITEMS("open\0\0bind\0/\xff\0/b\0ro\0")},
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
        cmocka_unit_test_setup_teardown(test_a_tree_lives_in_memory, make_tree,
                                        drop_tree),
        cmocka_unit_test(test_a_tree_that_is_not_there),
        cmocka_unit_test(test_what_is_not_understood_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
