#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/quote.h"

static void check_printable(const char *s, const char *want)
{
    struct buf b = BUF_INIT;

    quote_printable(&b, s);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
}

static void printable(void **state)
{
    check_printable("", "");
    check_printable("plain text, 100%", "plain text, 100%");
    check_printable("a\nb\tc\r", "a\\nb\\tc\\x0d");
    check_printable("\033[31mred\033[0m", "\\x1b[31mred\\x1b[0m");
    check_printable("back\\slash", "back\\\\slash");
    check_printable("\x7f", "\\x7f");
}

static void utf8(void **state)
{
    check_printable("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
    check_printable("\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80");
    /* stray and cut sequences */
    check_printable("\x80", "\\x80");
    check_printable("\xc3", "\\xc3");
    check_printable("\xe2\x82", "\\xe2\\x82");
    check_printable("\xf0\x9f\x98(", "\\xf0\\x9f\\x98(");
    /* overlong, surrogate, beyond U+10FFFF */
    check_printable("\xc0\xaf", "\\xc0\\xaf");
    check_printable("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
    check_printable("\xed\xa0\x80", "\\xed\\xa0\\x80");
    check_printable("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    /* C1 control, line separator, right-to-left override, isolate */
    check_printable("\xc2\x9b", "\\xc2\\x9b");
    check_printable("\xe2\x80\xa8", "\\xe2\\x80\\xa8");
    check_printable("\xe2\x80\xae", "\\xe2\\x80\\xae");
    check_printable("\xe2\x81\xa6", "\\xe2\\x81\\xa6");
    check_printable("\xc2\xa0", "\xc2\xa0");
}

static void check_shell(const char *s, const char *want)
{
    struct buf b = BUF_INIT;

    quote_shell(&b, s);
    assert_string_equal(buf_str(&b), want);
    buf_release(&b);
}

static void shell_words(void **state)
{
    check_shell("", "''");
    check_shell("/usr/bin/env", "/usr/bin/env");
    check_shell("A=b,c:d@e%f+g.h-i_j", "A=b,c:d@e%f+g.h-i_j");
    check_shell("two words", "'two words'");
    check_shell("it's", "'it'\\''s'");
    check_shell("$(reboot)", "'$(reboot)'");
    check_shell("~", "'~'");
    check_shell("*?[a]{b}", "'*?[a]{b}'");
    check_shell("a\nb", "'a\nb'");
    check_shell("#x", "'#x'");
    check_shell("gr\xc3\xbc", "'gr\xc3\xbc'");
}

static void shell_lines(void **state)
{
    char *argv[] = {(char[]){"bwrap"}, (char[]){"--"}, (char[]){""}, (char[]){"a b"},
                    NULL};
    struct buf b = BUF_INIT;

    quote_shell_argv(&b, argv);
    assert_string_equal(buf_str(&b), "bwrap -- '' 'a b'");
    buf_reset(&b);
    quote_shell_argv(&b, NULL);
    quote_shell_argv(&b, argv + 4);
    assert_string_equal(buf_str(&b), "");
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printable),
        cmocka_unit_test(utf8),
        cmocka_unit_test(shell_words),
        cmocka_unit_test(shell_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
