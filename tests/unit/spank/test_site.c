#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spank/site.h"

#define ARGS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

static void test_arguments(void **state)
{
    struct error err = ERROR_INIT;
    struct site s;

    (void)state;
    assert_int_equal(site_parse(&s, 0, ARGS(NULL), &err), 0);
    assert_null(s.config);
    assert_int_equal(s.launcher[0], '/');
    assert_int_equal(s.join[0], '/');
    assert_int_equal(
        site_parse(&s, 3, ARGS("config=/c", "launcher=/l", "join=/j=j"), &err), 0);
    assert_string_equal(s.config, "/c");
    assert_string_equal(s.launcher, "/l");
    assert_string_equal(s.join, "/j=j");
}

static void test_wrong_arguments(void **state)
{
    static const struct {
        const char *arg, *says;
    } bad[] = {
        {"confg=/c", "'confg=/c' is no argument of repx.so"},
        {"config", "'config' is no argument"},
        {"config2=/c", "'config2=/c' is no argument"},
        {"conf=/c", "'conf=/c' is no argument"},
        {"", "'' is no argument"},
        {"config=", "config= is not an absolute path"},
        {"launcher=bin/l", "launcher=bin/l is not an absolute path"},
    };

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++) {
        struct error err = ERROR_INIT;
        struct site s;

        assert_int_equal(site_parse(&s, 2, ARGS("config=/c", bad[i].arg), &err), -1);
        if (!strstr(err.text, bad[i].says))
            fail_msg("'%s' lacks '%s'", err.text, bad[i].says);
    }
}

/* A directory of root's below /tmp, which is sticky. */
static char directory[64];

static char *in(const char *name)
{
    static char path[4][128];
    static int next;

    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[0]), "%s/%s", directory, name);
    return path[next];
}

static void make_file(const char *name, mode_t mode)
{
    int fd = open(in(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/repx-site.XXXXXX");
    return mkdtemp(directory) && chmod(directory, 0755) == 0 ? 0 : -1;
}

static int remove_directory(void **state)
{
    static const char *const names[] = {"good", "writable",  "foreign",
                                        "link", "open/good", "open",
                                        "loop", "rel",       "chain"};

    (void)state;
    for (size_t i = 0; i < array_size(names); i++)
        remove(in(names[i]));
    return rmdir(directory);
}

static void assert_trust(const char *path, const char *says)
{
    struct error err = ERROR_INIT;
    int r = site_trust(path, &err);

    if (says && r == 0)
        fail_msg("%s is trusted", path);
    if (says && !strstr(err.text, says))
        fail_msg("'%s' lacks '%s'", err.text, says);
    if (!says && r < 0)
        fail_msg("%s", err.text);
}

static void test_trust(void **state)
{
    (void)state;
    assert_int_equal(getuid(), 0); /* scripts/test wants root */
    make_file("good", 0755);
    make_file("writable", 0775);
    make_file("foreign", 0755);
    assert_int_equal(chown(in("foreign"), 12345, 0), 0);
    assert_int_equal(mkdir(in("open"), 0755), 0);
    make_file("open/good", 0755);
    assert_int_equal(chmod(in("open"), 0777), 0);
    assert_trust(in("good"), NULL);
    assert_trust("/usr/bin/env", NULL);
    assert_trust(in("writable"), "writable can be written by others than root");
    assert_trust(in("foreign"), "foreign belongs to uid 12345");
    assert_trust(in("open/good"), "open can be written by others than root");
    assert_trust(in("missing"), "cannot look at");
    assert_trust(directory, "is not a file");
    assert_trust("good", "not an absolute path");
}

static void test_links(void **state)
{
    (void)state;
    assert_int_equal(symlink(in("good"), in("link")), 0);
    assert_trust(in("link"), NULL);
    assert_int_equal(symlink("good", in("rel")), 0);
    assert_trust(in("rel"), NULL);
    assert_int_equal(symlink("loop", in("loop")), 0);
    assert_trust(in("loop"), "Too many levels");
    /* a link of root's that leads to where others can change it */
    assert_int_equal(symlink("open/good", in("chain")), 0);
    assert_trust(in("chain"), "open can be written by others");
    /* a link of somebody else's, even to a good place */
    assert_int_equal(lchown(in("link"), 12345, 0), 0);
    assert_trust(in("link"), "link belongs to uid 12345");
}

static void test_check(void **state)
{
    struct error err = ERROR_INIT;
    struct site s = {.launcher = in("good"), .join = in("good")};

    (void)state;
    assert_int_equal(site_check(&s, &err), 0);
    s.config = in("missing");
    assert_int_equal(site_check(&s, &err), -1);
    assert_non_null(strstr(err.text, "missing, which plugstack.conf names: No such"));
    s.config = NULL;
    s.join = in("writable");
    assert_int_equal(site_check(&s, &err), -1);
    assert_non_null(strstr(err.text, "ask the administrator"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments), cmocka_unit_test(test_wrong_arguments),
        cmocka_unit_test(test_trust),     cmocka_unit_test(test_links),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
