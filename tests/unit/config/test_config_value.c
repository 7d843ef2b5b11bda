#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "config/config_line.h"
#include "config/config_value.h"

static void test_scalars(void **state)
{
    static const struct {
        const char *text, *value;
    } good[] = {
        {"\"a b\"", "a b"},
        {"\"q\\\" b\\\\ n\\n t\\t r\\r\"", "q\" b\\ n\n t\t r\r"},
        {"'a \\n \"'", "a \\n \""},
        {"\"it's # ; here\"", "it's # ; here"},
        {"bare words here", "bare words here"},
        {"  padded\t", "padded"},
        {"/o'neil/x", "/o'neil/x"},
        {"\"\"", ""},
        {"50G", "50G"},
        {"a,b", "a,b"},
    };

    for (size_t i = 0; i < array_size(good); i++) {
        struct error err = ERROR_INIT;
        _cleanup_free_ char *value = config_value_scalar(good[i].text, &err);

        if (!value)
            fail_msg("%s: %s", good[i].text, err.text);
        assert_string_equal(value, good[i].value);
    }
}

static void test_scalar_faults(void **state)
{
    static const struct {
        const char *text, *complaint;
    } bad[] = {
        {"", "a value is missing"},
        {"   ", "a value is missing"},
        {"\"open", "not closed"},
        {"'open\"", "not closed"},
        {"\"a\\q\"", "'\\q' is no escape sequence"},
        {"\"a\\", "is no escape sequence"},
        {"\"a\" b", "'b' behind the string"},
        {"\"\"\"a\"\"\"", "behind the string"},
        {"[\"a\"]", "a list cannot stand here"},
        {"{a = 1}", "a table cannot stand here"},
        {"a\"b\"", "a quote inside an unquoted value"},
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        struct error err = ERROR_INIT;

        assert_null(config_value_scalar(bad[i].text, &err));
        if (!strstr(err.text, bad[i].complaint))
            fail_msg("%s: '%s' lacks '%s'", bad[i].text, err.text, bad[i].complaint);
    }
}

static void assert_list(const char *text, const char *joined)
{
    _cleanup_strv_ struct strv items = STRV_INIT;
    _cleanup_buf_ struct buf all = BUF_INIT;
    struct error err = ERROR_INIT;
    unsigned line = 0;

    if (config_value_list(text, &items, &line, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    for (size_t i = 0; i < items.count; i++)
        buf_addf(&all, "<%s>", items.items[i]);
    assert_string_equal(buf_str(&all), joined);
}

static void test_lists(void **state)
{
    assert_list("[\"a\", 'b']", "<a><b>");
    assert_list("[]", "");
    assert_list("[ \n ]", "");
    assert_list("[\n\"a\",\n\"b\",\n]", "<a><b>");
    assert_list("[a, b c ]", "<a><b c>");
    assert_list("a, b,c", "<a><b><c>");
    assert_list("a", "<a>");
    assert_list("\"a, b\", c", "<a, b><c>");
    assert_list("[\"]\", \"[\", \",\"]", "<]><[><,>");
    assert_list("[\"\"]", "<>");
}

static void assert_list_fault(const char *text, const char *complaint, unsigned at)
{
    _cleanup_strv_ struct strv items = STRV_INIT;
    struct error err = ERROR_INIT;
    unsigned line = 0;

    assert_int_equal(config_value_list(text, &items, &line, &err), -1);
    if (!strstr(err.text, complaint))
        fail_msg("%s: '%s' lacks '%s'", text, err.text, complaint);
    assert_int_equal(line, at);
}

static void test_list_faults(void **state)
{
    assert_list_fault("", "a value is missing", 0);
    assert_list_fault("a,", "a value is missing", 0);
    assert_list_fault(",a", "a value is missing", 0);
    assert_list_fault("[,]", "a value is missing", 0);
    assert_list_fault("[\"a\" \"b\"]", "a comma or ] is missing behind 'a'", 0);
    assert_list_fault("[\n\"a\"\n\"b\"]", "a comma or ] is missing behind 'a'", 2);
    assert_list_fault("\"a\" \"b\"", "a comma is missing behind 'a'", 0);
    assert_list_fault("[\"a\"", "a comma or ] is missing", 0);
    assert_list_fault("[", "a value is missing", 0);
    assert_list_fault("[[\"a\"]]", "a list cannot stand here", 0);
    assert_list_fault("[\"a\"] x", "'x' behind the list", 0);
    assert_list_fault("[\n\n\"open\n]", "not closed", 2);
}

static void assert_clean(const char *text, bool in_array, int kind, const char *clean,
                         bool open)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    bool state = in_array;

    assert_int_equal(config_line_clean(text, strlen(text), &state, &out, &err), kind);
    assert_string_equal(buf_str(&out), clean);
    assert_int_equal(state, open);
}

static void test_lines(void **state)
{
    assert_clean("", false, CONFIG_LINE_BLANK, "", false);
    assert_clean("  # c", false, CONFIG_LINE_BLANK, "", false);
    assert_clean("; c", false, CONFIG_LINE_BLANK, "", false);
    assert_clean("\r", false, CONFIG_LINE_BLANK, "", false);
    assert_clean("  [a.b] # c", false, CONFIG_LINE_SECTION, "[a.b]", false);
    assert_clean("[a.\"#x\"];c", false, CONFIG_LINE_SECTION, "[a.\"#x\"]", false);
    assert_clean("\tk = v ; c\r", false, CONFIG_LINE_ENTRY, "k = v", false);
    assert_clean("k = a;b#c", false, CONFIG_LINE_ENTRY, "k = a;b#c", false);
    assert_clean("k = \"a ; b\"#c", false, CONFIG_LINE_ENTRY, "k = \"a \x01 b\"",
                 false);
    assert_clean("k = \"\\\" ; b\" ; c", false, CONFIG_LINE_ENTRY,
                 "k = \"\\\" \x01 b\"", false);
    assert_clean("k = o'x # c", false, CONFIG_LINE_ENTRY, "k = o'x", false);
    assert_clean("k = [", false, CONFIG_LINE_ENTRY, "k = [", true);
    assert_clean("k = [\"a\"]", false, CONFIG_LINE_ENTRY, "k = [\"a\"]", false);
    assert_clean("k = [\"]\", # ]", false, CONFIG_LINE_ENTRY, "k = [\"]\",", true);
    assert_clean("k = a[", false, CONFIG_LINE_ENTRY, "k = a[", false);
    assert_clean("\"a\", # c", true, CONFIG_LINE_ARRAY, " \"a\",", true);
    assert_clean("]", true, CONFIG_LINE_ARRAY, " ]", false);
    assert_clean("# c", true, CONFIG_LINE_BLANK, "", true);
    assert_clean("k = v", true, CONFIG_LINE_ARRAY, " k = v", true);
}

static void test_semicolons_come_back(void **state)
{
    char text[] = "a\x01 b\x01";

    config_line_restore(text);
    assert_string_equal(text, "a; b;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_scalar_faults),
        cmocka_unit_test(test_lists),   cmocka_unit_test(test_list_faults),
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_semicolons_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
