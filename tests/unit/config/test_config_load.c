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
#include "config/config.h"

#define NO_SITE "/nonexistent-repx/repx.ini"

struct fixture {
    char *dir; /* fresh, with home/.config/repx and xdg/repx below it */
    char *home, *xdg;
    struct config c;
    struct error err;
};

static void make_dir(const char *dir, const char *name)
{
    _cleanup_free_ char *path = str_printf("%s/%s", dir, name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static int setup(void **state)
{
    const char *base = getenv("TMPDIR");
    struct fixture *f = calloc(1, sizeof(*f));

    f->dir = str_printf("%s/repx-config-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(f->dir))
        return -1;
    make_dir(f->dir, "home");
    make_dir(f->dir, "home/.config");
    make_dir(f->dir, "home/.config/repx");
    make_dir(f->dir, "xdg");
    make_dir(f->dir, "xdg/repx");
    f->home = str_printf("HOME=%s/home", f->dir);
    f->xdg = str_printf("XDG_CONFIG_HOME=%s/xdg", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    static const char *const below[] = {"home/.config/repx/config.toml",
                                        "home/.config/repx/repx.ini",
                                        "xdg/repx/config.toml",
                                        "xdg/repx/repx.ini",
                                        "extra",
                                        "home/.config/repx",
                                        "home/.config",
                                        "home",
                                        "xdg/repx",
                                        "xdg"};
    struct fixture *f = *state;

    for (size_t i = 0; i < array_size(below); i++) {
        _cleanup_free_ char *path = str_printf("%s/%s", f->dir, below[i]);

        remove(path);
    }
    if (rmdir(f->dir) < 0)
        return -1;
    config_release(&f->c);
    free(f->dir);
    free(f->home);
    free(f->xdg);
    free(f);
    return 0;
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    _cleanup_free_ char *path = str_printf("%s/%s", f->dir, name);
    _cleanup_fclose_ FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(text, file);
}

static int load(struct fixture *f, const char *site, const char *extra_name)
{
    _cleanup_free_ char *extra =
        extra_name ? str_printf("%s/%s", f->dir, extra_name) : NULL;
    char *env[] = {f->home, f->xdg, NULL};

    return config_load(&f->c, site, env, extra, &f->err);
}

static void assert_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' lacks '%s'", text, part);
}

static void test_nothing_configured(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, NO_SITE, NULL), 0);
    assert_int_equal(f->c.files.count, 0);
    assert_int_equal(f->c.n_targets, 0);
}

static void test_order(void **state)
{
    struct fixture *f = *state;

    write_file(f, "xdg/repx/config.toml",
               "submission_target = one\n[targets.a]\nbase_path = /1\n"
               "node_local_path = /1\ngrace = 1\n");
    write_file(f, "xdg/repx/repx.ini",
               "[targets.a]\nbase_path = /2\nnode_local_path = /2\n");
    write_file(f, "extra", "[targets.a]\nbase_path = /3\n");
    assert_int_equal(load(f, NO_SITE, "extra"), 0);
    assert_string_equal(f->c.targets[0].base_path.value, "/3");
    assert_string_equal(f->c.targets[0].node_local_path.value, "/2");
    assert_int_equal(f->c.targets[0].grace.value, 1);
    assert_string_equal(f->c.submission_target.value, "one");
    assert_text(f->c.targets[0].base_path.origin, "/extra:2");
    assert_text(f->c.targets[0].node_local_path.origin, "/xdg/repx/repx.ini:3");
    assert_text(f->c.targets[0].grace.origin, "/xdg/repx/config.toml:5");
    assert_int_equal(f->c.files.count, 3);
}

static void test_home_stands_in_for_xdg(void **state)
{
    struct fixture *f = *state;
    char *env[] = {f->home, NULL};
    char relative[] = "XDG_CONFIG_HOME=xdg";
    char *with_relative[] = {f->home, relative, NULL};

    write_file(f, "home/.config/repx/config.toml", "submission_target = home\n");
    write_file(f, "xdg/repx/config.toml", "submission_target = xdg\n");
    assert_int_equal(config_load(&f->c, NO_SITE, env, NULL, &f->err), 0);
    assert_string_equal(f->c.submission_target.value, "home");
    config_release(&f->c);
    assert_int_equal(config_load(&f->c, NO_SITE, with_relative, NULL, &f->err), 0);
    assert_string_equal(f->c.submission_target.value, "home");
    config_release(&f->c);
    assert_int_equal(load(f, NO_SITE, NULL), 0);
    assert_string_equal(f->c.submission_target.value, "xdg");
}

static void test_faults_name_the_file(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(load(f, NO_SITE, "extra"), -1);
    assert_text(f->err.text, "cannot read the configuration file");
    assert_text(f->err.text, "/extra: No such file");
    write_file(f, "xdg/repx/repx.ini", "\nnonsense = 1\n");
    assert_int_equal(load(f, NO_SITE, NULL), -1);
    assert_text(f->err.text, "/xdg/repx/repx.ini:2: unknown key 'nonsense'");
}

static void test_not_a_regular_file(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *fifo = str_printf("%s/xdg/repx/config.toml", f->dir);

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(load(f, NO_SITE, NULL), -1);
    assert_text(f->err.text, "cannot read the configuration file");
    assert_int_equal(load(f, NO_SITE, "xdg"), -1);
}

static void test_policy_of_users_is_refused(void **state)
{
    struct fixture *f = *state;

    write_file(f, "extra", "[policy]\nallow_impure = true\n");
    assert_int_equal(load(f, NO_SITE, "extra"), -1);
    assert_text(f->err.text, "/extra:1: [policy] counts only in the site file");
}

/* A site file that others could have written stops everything. */
static void test_site_file_must_be_trusted(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *site = str_printf("%s/extra", f->dir);

    write_file(f, "extra", "[policy]\nallow_impure = true\n");
    assert_int_equal(chmod(site, 0666), 0);
    assert_int_equal(load(f, site, NULL), -1);
    assert_int_equal(f->err.class, ERROR_LAUNCHER);
    assert_text(f->err.text, "/extra");
    assert_int_equal(f->c.files.count, 0);
    assert_null(f->c.policy.allow_impure.origin);
    /* One that is there but cannot be reached fails as well: ENOTDIR. */
    error_clear(&f->err);
    assert_int_equal(load(f, "/etc/passwd/repx.ini", NULL), -1);
    assert_text(f->err.text, "/etc/passwd/repx.ini");
}

/* Root's own file counts with its policy; a user's own does not count as the site's. */
static void test_site_file_of_root(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *site = str_printf("%s/extra", f->dir);

    write_file(f, "extra", "[policy]\nallow_impure = false\n[targets.s]\ngrace = 9\n");
    write_file(f, "xdg/repx/repx.ini", "[targets.s]\ngrace = 3\n");
    assert_int_equal(chmod(site, 0644), 0);
    if (geteuid() != 0) {
        assert_int_equal(load(f, site, NULL), -1);
        assert_text(f->err.text, "/extra");
        return;
    }
    if (load(f, site, NULL) < 0)
        fail_msg("%s", f->err.text);
    assert_false(f->c.policy.allow_impure.value);
    assert_text(f->c.policy.allow_impure.origin, "/extra:2");
    assert_int_equal(f->c.targets[0].grace.value, 3);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_configured),        TEST(test_order),
        TEST(test_home_stands_in_for_xdg),    TEST(test_faults_name_the_file),
        TEST(test_not_a_regular_file),        TEST(test_policy_of_users_is_refused),
        TEST(test_site_file_must_be_trusted), TEST(test_site_file_of_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
