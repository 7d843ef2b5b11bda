#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/parse.h"

#define UNTOUCHED 4242

/* The value, or UNTOUCHED when s was refused (and then the target was left alone). */
static uint64_t value(bool (*f)(const char *, uint64_t *), const char *s)
{
    uint64_t v = UNTOUCHED;
    bool ok = f(s, &v);

    if (!ok)
        assert_int_equal(v, UNTOUCHED);
    return v;
}

static void numbers(void **state)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "-1",
                                      "+1",
                                      "0x10",
                                      "1e3",
                                      "a",
                                      "1.5",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "1\n"};

    assert_int_equal(value(parse_u64, "0"), 0);
    assert_int_equal(value(parse_u64, "007"), 7);
    assert_true(value(parse_u64, "18446744073709551615") == UINT64_MAX);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(value(parse_u64, bad[i]), UNTOUCHED);
}

static void booleans(void **state)
{
    static const char *const yes[] = {"1", "true", "yes", "on", "TRUE", "Yes"};
    static const char *const no[] = {"0", "false", "no", "off", "OFF"};
    static const char *const bad[] = {"", "2", "y", "tru", "true ", "01"};
    bool v;

    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        v = false;
        assert_true(parse_bool(yes[i], &v));
        assert_true(v);
    }
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        v = true;
        assert_true(parse_bool(no[i], &v));
        assert_false(v);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(parse_bool(bad[i], &v));
}

static void sizes(void **state)
{
    static const char *const bad[] = {"",
                                      "K",
                                      "1X",
                                      "1KK",
                                      "1iB",
                                      "1 K",
                                      "-1K",
                                      "1.5G",
                                      "1Kib",
                                      "1KiBB",
                                      "1BB",
                                      "16777216T",
                                      "18446744073709551615K"};

    assert_int_equal(value(parse_size, "0"), 0);
    assert_int_equal(value(parse_size, "12"), 12);
    assert_int_equal(value(parse_size, "12B"), 12);
    assert_int_equal(value(parse_size, "1K"), 1024);
    assert_int_equal(value(parse_size, "1k"), 1024);
    assert_int_equal(value(parse_size, "2MB"), 2 << 20);
    assert_int_equal(value(parse_size, "3GiB"), UINT64_C(3) << 30);
    assert_true(value(parse_size, "16777215T") == UINT64_C(16777215) << 40);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(value(parse_size, bad[i]), UNTOUCHED);
}

static void durations(void **state)
{
    static const char *const bad[] = {"",    "s",  "1x",    "1ms",
                                      "1 s", "-1", "1h30m", "18446744073709551615m"};

    assert_int_equal(value(parse_duration, "90"), 90);
    assert_int_equal(value(parse_duration, "90s"), 90);
    assert_int_equal(value(parse_duration, "2m"), 120);
    assert_int_equal(value(parse_duration, "1h"), 3600);
    assert_int_equal(value(parse_duration, "7d"), 7 * 86400);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(value(parse_duration, bad[i]), UNTOUCHED);
}

static void hexadecimal(void **state)
{
    assert_true(is_lower_hex("0af9", 4));
    assert_true(is_lower_hex("", 0));
    assert_false(is_lower_hex("0af", 4));
    assert_false(is_lower_hex("0af91", 4));
    assert_false(is_lower_hex("0AF9", 4));
    assert_false(is_lower_hex("0ag9", 4));
    assert_false(is_lower_hex("0af\n", 4));
}

static void components(void **state)
{
    assert_true(is_path_component("a"));
    assert_true(is_path_component("..."));
    assert_true(is_path_component(".hidden"));
    assert_true(is_path_component(" "));
    assert_false(is_path_component(""));
    assert_false(is_path_component("."));
    assert_false(is_path_component(".."));
    assert_false(is_path_component("a/b"));
    assert_false(is_path_component("/"));
}

static void paths_in_directories(void **state)
{
    assert_true(path_is_below("/a/b", "/a"));
    assert_true(path_is_below("/a/b/c", "/a/"));
    assert_true(path_is_below("/a", "/"));
    assert_false(path_is_below("/", "/"));
    assert_false(path_is_below("/a", "/a"));
    assert_false(path_is_below("/a/", "/a"));
    assert_false(path_is_below("/ab", "/a"));
    assert_false(path_is_below("/a", "/a/b"));
    assert_false(path_is_below("/b/a", "/a"));
    assert_true(path_is_within("/a/b", "/a"));
    assert_true(path_is_within("/a", "/a"));
    assert_true(path_is_within("/a", "/a//"));
    assert_true(path_is_within("/", "/"));
    assert_true(path_is_within("/a", "/"));
    assert_false(path_is_within("/ab", "/a"));
    assert_false(path_is_within("/", "/a"));
}

static void relative_paths(void **state)
{
    assert_true(is_relative_path("a"));
    assert_true(is_relative_path("a/b/c"));
    assert_true(is_relative_path("a/..b/c..d"));
    assert_false(is_relative_path(""));
    assert_false(is_relative_path("/a"));
    assert_false(is_relative_path("a/"));
    assert_false(is_relative_path("a//b"));
    assert_false(is_relative_path("./a"));
    assert_false(is_relative_path("a/./b"));
    assert_false(is_relative_path("../a"));
    assert_false(is_relative_path("a/.."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),        cmocka_unit_test(booleans),
        cmocka_unit_test(sizes),          cmocka_unit_test(durations),
        cmocka_unit_test(hexadecimal),    cmocka_unit_test(components),
        cmocka_unit_test(relative_paths), cmocka_unit_test(paths_in_directories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
