#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spank/multiprog.h"

static void test_lines(void **state)
{
    static const struct {
        const char *text, *result;
    } cases[] = {
        {"0 echo a\n", "0 /j echo a\n"},
        {"0 echo a", "0 /j echo a"},
        {"0-3,5 \t echo\n* ./x %t\n", "0-3,5 \t /j echo\n* /j ./x %t\n"},
        {"  1 echo\n", "  1 /j echo\n"},
        {"# 0 echo\n\n  \n0 a\n", "# 0 echo\n\n  \n0 /j a\n"},
        {"0 a \\\n b \\\n c\n1 d\n", "0 /j a \\\n b \\\n c\n1 /j d\n"},
        /* an empty line is no line, and ends no continued one */
        {"0 a \\\n\n b\n1 d\n", "0 /j a \\\n\n b\n1 /j d\n"},
        {"0 \\\necho\n", "0 /j \\\necho\n"},
        {"# c \\\n0 a\n1 b\n", "# c \\\n0 a\n1 /j b\n"},
        {"0 'a b' \"c d\"\n", "0 /j 'a b' \"c d\"\n"},
        /* slurmstepd's to complain about */
        {"0\n1 a\n", "0\n1 /j a\n"},
        {"0 \n", "0 \n"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        _cleanup_buf_ struct buf out = BUF_INIT;
        struct error err = ERROR_INIT;

        assert_int_equal(multiprog_prefix(cases[i].text, "/j", &out, &err), 0);
        assert_string_equal(buf_str(&out), cases[i].result);
    }
}

static void test_programs_that_would_need_quotes(void **state)
{
    static const char *const bad[] = {"/a b", "/a%t", "/a\\",
                                      "/a'",  "/a\n", "/\xc3\xa4"};
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;

    (void)state;
    for (size_t i = 0; i < array_size(bad); i++)
        assert_int_equal(multiprog_prefix("0 a\n", bad[i], &out, &err), -1);
    assert_non_null(strstr(err.text, "--multi-prog"));
    assert_int_equal(
        multiprog_prefix("0 a\n", "/usr/libexec/repx-1.0_x+y/j", &out, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_programs_that_would_need_quotes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
