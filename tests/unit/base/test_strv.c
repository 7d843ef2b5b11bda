#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/strv.h"

static void empty_is_an_argv(void **state)
{
    struct strv v = STRV_INIT;

    assert_non_null(strv_argv(&v));
    assert_null(strv_argv(&v)[0]);
    assert_false(strv_contains(&v, ""));
    strv_extend(&v, NULL);
    strv_sort(&v);
    strv_release(&v);
}

static void adds_and_grows(void **state)
{
    struct error err = ERROR_INIT;
    struct strv v = STRV_INIT, w = STRV_INIT;
    char source[] = "copied";

    strv_add(&v, source);
    source[0] = 'X';
    strv_take(&v, strdup("taken"));
    strv_addf(&v, "%s-%d", "n", 3);
    strv_addl(&v, "a", "b", (char *)NULL);
    assert_int_equal(v.count, 5);
    assert_string_equal(v.items[0], "copied");
    assert_string_equal(v.items[1], "taken");
    assert_string_equal(v.items[2], "n-3");
    assert_string_equal(v.items[4], "b");
    assert_null(v.items[5]);
    for (int i = 0; i < 1000; i++) {
        strv_addf(&w, "%d", i);
        assert_null(w.items[w.count]);
    }
    strv_extend(&v, strv_argv(&w));
    assert_int_equal(v.count, 1005);
    assert_string_equal(v.items[1004], "999");
    assert_true(strv_contains(&v, "500"));
    assert_false(strv_contains(&v, "1000"));
    assert_int_equal(strv_check(&v, &err), 0);
    strv_release(&v);
    strv_release(&w);
    assert_int_equal(v.count, 0);
}

static void failure_is_sticky(void **state)
{
    struct error err = ERROR_INIT;
    struct strv v = STRV_INIT;

    strv_add(&v, "one");
    strv_add(&v, NULL);
    assert_true(v.failed);
    strv_add(&v, "two");
    strv_take(&v, strdup("owned also now"));
    assert_int_equal(v.count, 1);
    assert_int_equal(strv_check(&v, &err), -1);
    strv_release(&v);
    assert_false(v.failed);
}

static void environment(void **state)
{
    struct strv v = STRV_INIT;

    assert_null(strv_env_get(NULL, "A"));
    strv_env_set(&v, "AB", "1");
    strv_env_set(&v, "A", "x=y");
    strv_add(&v, "NOVALUE");
    assert_string_equal(strv_env_get(v.items, "A"), "x=y");
    assert_string_equal(strv_env_get(v.items, "AB"), "1");
    assert_null(strv_env_get(v.items, "NOVALUE"));
    assert_null(strv_env_get(v.items, "B"));
    strv_env_set(&v, "AB", "");
    assert_int_equal(v.count, 3);
    assert_string_equal(v.items[0], "AB=");
    assert_string_equal(strv_env_get(v.items, "AB"), "");
    strv_release(&v);
}

static void sorts_bytewise(void **state)
{
    struct strv v = STRV_INIT;

    strv_addl(&v, "b", "a", "B", "aa", "\xc3\xa4", "", (char *)NULL);
    strv_sort(&v);
    assert_string_equal(v.items[0], "");
    assert_string_equal(v.items[1], "B");
    assert_string_equal(v.items[2], "a");
    assert_string_equal(v.items[3], "aa");
    assert_string_equal(v.items[4], "b");
    assert_string_equal(v.items[5], "\xc3\xa4");
    assert_null(v.items[6]);
    strv_release(&v);
}

static void equal_items_are_one(void **state)
{
    struct strv v = STRV_INIT;

    strv_sort_unique(&v);
    assert_int_equal(v.count, 0);
    strv_addl(&v, "b", "a", "b", "", "a", "b", (char *)NULL);
    strv_sort_unique(&v);
    assert_int_equal(v.count, 3);
    assert_string_equal(v.items[0], "");
    assert_string_equal(v.items[1], "a");
    assert_string_equal(v.items[2], "b");
    assert_null(v.items[3]);
    strv_release(&v);
}

static void puts_what_has_name_and_value(void **state)
{
    struct strv v = STRV_INIT;

    assert_true(strv_env_put(&v, "A=1=2"));
    assert_true(strv_env_put(&v, "B="));
    assert_true(strv_env_put(&v, "A=3"));
    assert_false(strv_env_put(&v, "C"));
    assert_false(strv_env_put(&v, "=D"));
    assert_int_equal(v.count, 2);
    assert_string_equal(v.items[0], "A=3");
    assert_string_equal(v.items[1], "B=");
    strv_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_is_an_argv),
        cmocka_unit_test(adds_and_grows),
        cmocka_unit_test(failure_is_sticky),
        cmocka_unit_test(environment),
        cmocka_unit_test(sorts_bytewise),
        cmocka_unit_test(equal_items_are_one),
        cmocka_unit_test(puts_what_has_name_and_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
