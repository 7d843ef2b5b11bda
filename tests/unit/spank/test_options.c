#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "spank/options.h"

#define ENV(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

struct fixture {
    struct options o;
    struct request r;
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;

    f = (struct fixture){.err = ERROR_INIT};
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    options_release(&f->o);
    request_release(&f->r);
    return 0;
}

static size_t row(const char *name)
{
    const struct request_option *rows;
    size_t n, i;

    rows = request_options(&n);
    for (i = 0; i < n && strcmp(rows[i].name, name) != 0; i++)
        ;
    assert_true(i < n);
    return i;
}

static void take(struct fixture *f, const char *name, const char *text)
{
    assert_int_equal(options_take(&f->o, row(name), text, &f->err), 0);
}

static void settle(struct fixture *f)
{
    request_release(&f->r);
    if (options_request(&f->o, &f->r, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

/* Each row that Slurm gets can be given, and arrives. */
static void test_every_row(void **state)
{
    struct fixture *f = *state;
    const struct request_option *rows;
    size_t n, given = 0;

    rows = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        const char *text = "1";

        if (!rows[i].spank)
            continue;
        if (strcmp(rows[i].name, "runtime") == 0)
            text = "bwrap";
        else if (strcmp(rows[i].name, "network") == 0)
            text = "host";
        else if (strcmp(rows[i].name, "stage") == 0)
            text = "bcast";
        else if (strcmp(rows[i].name, "env") == 0)
            text = "A";
        else if (rows[i].type == REQUEST_STRING || rows[i].type == REQUEST_LIST)
            text = "/x";
        options_release(&f->o);
        take(f, rows[i].name, text);
        assert_true(f->o.any);
        assert_true(options_in_force(&f->o));
        settle(f);
        assert_int_equal(
            *(const enum request_origin *)(const void *)((const char *)&f->r +
                                                         rows[i].origin_offset),
            REQUEST_COMMAND_LINE);
        given++;
    }
    assert_true(given >= 20);
}

static void test_names_are_slurms(void **state)
{
    (void)state;
    for (size_t i = row("lab"); i <= row("workdir"); i++) {
        size_t n;
        _cleanup_free_ char *name = options_name(&request_options(&n)[i]);

        assert_memory_equal(name, "repx-", 5);
        assert_null(strpbrk(name, "_= "));
        assert_true(strlen(name) < 75); /* SPANK_OPTION_MAXLEN */
    }
}

/* Slurm tells an option twice, and in three ways that it has no value. */
static void test_flags(void **state)
{
    struct fixture *f = *state;
    static const char *const nothing[] = {NULL, "", "(null)"};

    for (size_t i = 0; i < array_size(nothing); i++) {
        options_release(&f->o);
        for (int again = 0; again < 2; again++) {
            take(f, "mount-host-paths", nothing[i]);
            take(f, "verbose", nothing[i]);
        }
        settle(f);
        assert_true(f->r.mount_host_paths);
        assert_int_equal(f->r.verbose, 1);
    }
    take(f, "mount-host-paths", "no");
    take(f, "verbose", "2");
    settle(f);
    assert_false(f->r.mount_host_paths);
    assert_int_equal(f->r.mount_host_paths_origin, REQUEST_COMMAND_LINE);
    assert_int_equal(f->r.verbose, 2);
}

static void test_the_last_text_counts(void **state)
{
    struct fixture *f = *state;

    take(f, "image", "outer");
    take(f, "image", "inner");
    take(f, "mount-path", "/a,/b");
    take(f, "mount-path", "/c,/d\\,e");
    settle(f);
    assert_string_equal(f->r.image, "inner");
    assert_int_equal(f->r.mount_paths.count, 2);
    assert_string_equal(f->r.mount_paths.items[1], "/d,e");
}

static void test_switching_off(void **state)
{
    struct fixture *f = *state;
    static const char *const off[] = {"none", "", NULL, "(null)"};

    for (size_t i = 0; i < array_size(off); i++) {
        options_release(&f->o);
        take(f, "image", "X");
        take(f, "job", "J");
        take(f, "network", "host");
        settle(f);
        assert_true(options_sandbox(&f->r));
        assert_false(options_without_image(&f->o));
        take(f, "image", off[i]);
        settle(f);
        assert_false(options_sandbox(&f->r));
        assert_true(options_without_image(&f->o));
        assert_null(f->r.step_job);
        assert_string_equal(f->r.network, "host");
        assert_true(options_in_force(&f->o));
        take(f, "network", off[i] && *off[i] == 'n' ? "" : off[i]);
        take(f, "job", "none");
        settle(f);
        assert_null(f->r.network);
        assert_int_equal(f->r.network_origin, REQUEST_UNSET);
        assert_false(options_in_force(&f->o));
    }
    take(f, "image", "./none");
    settle(f);
    assert_string_equal(f->r.image, "./none");
    options_release(&f->o);
    take(f, "job", "J");
    settle(f);
    assert_true(options_sandbox(&f->r));
}

static void test_checks_name_the_option(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *text, *says;
    } bad[] = {
        {"network", "bridge", "--repx-network=bridge"},
        {"runtime", "bwarp", "did you mean bwrap?"},
        {"grace", "soon", "--repx-grace: 'soon' is not a whole number"},
        {"verbose", "loud", "--repx-verbose: 'loud'"},
        {"mount-path", "/a,:/b", "--repx-mount-path=/a,:/b"},
        {"env", "A,1=2", "'1' is not the name of a variable"},
        {"bwrap", "maybe", "--repx-bwrap: 'maybe' is neither yes nor no"},
        {"stage", "sbcast", "--repx-stage=sbcast"},
        {"workdir", "here", "--repx-workdir=here"},
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(options_check(row(bad[i].name), bad[i].text, &f->err), -1);
        if (!strstr(f->err.text, bad[i].says))
            fail_msg("'%s' lacks '%s'", f->err.text, bad[i].says);
        assert_int_equal(f->err.class, ERROR_USAGE);
        error_clear(&f->err);
        /* the same on the node, where no local callback has looked */
        options_release(&f->o);
        take(f, bad[i].name, bad[i].text);
        assert_int_equal(options_request(&f->o, &f->r, &f->err), -1);
        error_clear(&f->err);
        request_release(&f->r);
    }
    assert_int_equal(options_check(row("network"), "(null)", &f->err), 0);
    assert_int_equal(options_check(row("image"), "none", &f->err), 0);
}

static void test_options_that_exclude_each_other(void **state)
{
    struct fixture *f = *state;

    take(f, "bwrap", "(null)");
    take(f, "runtime", "native");
    assert_int_equal(options_request(&f->o, &f->r, &f->err), -1);
    assert_non_null(strstr(f->err.text, "two runtimes"));
    take(f, "bwrap", "no");
    settle(f);
}

static void test_differs(void **state)
{
    struct fixture *f = *state;

    assert_false(options_differs(&f->o, row("env"), "A"));
    take(f, "env", "A");
    assert_false(options_differs(&f->o, row("env"), "A"));
    assert_true(options_differs(&f->o, row("env"), "B"));
    take(f, "env", NULL);
    assert_false(options_differs(&f->o, row("env"), "(null)"));
}

static void test_from_environments(void **state)
{
    struct fixture *f = *state;
    char *const *own = ENV("_SLURM_SPANK_OPTION_repx_repx_image=own",
                           "_SLURM_SPANK_OPTION_repx_repx_mount_host_paths=",
                           "_SLURM_SPANK_OPTION_other_repx_job=J",
                           "SLURM_SPANK__SLURM_SPANK_OPTION_repx_repx_env=A,B",
                           "_SLURM_SPANK_OPTION_repx_repx_jobs=3", "PATH=/");
    char *const *nothing = ENV("_SLURM_SPANK_OPTION_repx_repx_network=host");

    assert_true(options_in_env(OPTIONS_OWN, own));
    assert_false(options_in_env(OPTIONS_INHERITED, own));
    assert_false(options_in_env(OPTIONS_OWN, nothing));
    take(f, "image", "known");
    assert_int_equal(options_from_env(&f->o, OPTIONS_OWN, own, &f->err), 0);
    settle(f);
    assert_string_equal(f->r.image, "known");
    assert_true(f->r.mount_host_paths);
    assert_null(f->r.step_job);
    assert_int_equal(f->r.jobs, 0); /* no option of steps */
    assert_int_equal(f->r.env.count, 0);
    assert_int_equal(options_from_env(&f->o, OPTIONS_INHERITED, own, &f->err), 0);
    settle(f);
    assert_int_equal(f->r.env.count, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_row),
        TEST(test_names_are_slurms),
        TEST(test_flags),
        TEST(test_the_last_text_counts),
        TEST(test_switching_off),
        TEST(test_checks_name_the_option),
        TEST(test_options_that_exclude_each_other),
        TEST(test_differs),
        TEST(test_from_environments),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
