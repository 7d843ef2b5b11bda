#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"

static void set_fills_everything(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(error_sys(&err, ENOENT, "cannot open '%s'", "x"), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    assert_int_equal(err.errnum, ENOENT);
    assert_string_equal(err.text, "cannot open 'x': No such file or directory");
    assert_int_equal(error_fail(&err, "no %d", 5), -1);
    assert_int_equal(err.errnum, 0);
    assert_string_equal(err.text, "no 5");
    assert_int_equal(error_usage(&err, "wrong"), -1);
    assert_int_equal(err.class, ERROR_USAGE);
    assert_int_equal(error_oom(&err), -1);
    assert_int_equal(err.errnum, ENOMEM);
}

static void context_and_hint(void **state)
{
    struct error err = ERROR_INIT;

    error_set(&err, ERROR_NOT_FOUND, 0, "no image");
    assert_int_equal(error_context(&err, "job '%s'", "j1"), -1);
    assert_int_equal(error_hint(&err, "run '%s'", "list"), -1);
    assert_string_equal(err.text, "job 'j1': no image; run 'list'");
    assert_int_equal(err.class, ERROR_NOT_FOUND);
}

/* Text that is too long is cut, and nothing is written behind it. */
static void too_long_is_cut(void **state)
{
    struct {
        struct error err;
        char guard[64];
    } s = {ERROR_INIT, ""};
    char big[3000];

    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memset(s.guard, 'g', sizeof(s.guard));
    error_sys(&s.err, EIO, "%s", big);
    error_context(&s.err, "%s", "context");
    error_hint(&s.err, "%s", big);
    assert_int_equal(strlen(s.err.text), sizeof(s.err.text) - 1);
    assert_int_equal(strncmp(s.err.text, "context: bbb", 12), 0);
    error_context(&s.err, "%s", big);
    error_hint(&s.err, "%s", "more");
    assert_int_equal(strlen(s.err.text), sizeof(s.err.text) - 1);
    for (size_t i = 0; i < sizeof(s.guard); i++)
        assert_int_equal(s.guard[i], 'g');
}

static void exit_codes(void **state)
{
    struct error err = ERROR_INIT;

    assert_int_equal(error_exit_code(&err), 0);
    error_usage(&err, "u");
    assert_int_equal(error_exit_code(&err), 2);
    error_fail(&err, "l");
    assert_int_equal(error_exit_code(&err), 125);
    error_set(&err, ERROR_CANNOT_EXECUTE, 0, "c");
    assert_int_equal(error_exit_code(&err), 126);
    error_set(&err, ERROR_NOT_FOUND, 0, "n");
    assert_int_equal(error_exit_code(&err), 127);
    error_clear(&err);
    assert_int_equal(error_exit_code(&err), 0);
    assert_string_equal(err.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_everything),
        cmocka_unit_test(context_and_hint),
        cmocka_unit_test(too_long_is_cut),
        cmocka_unit_test(exit_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
