#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "outcome/layout.h"

/* RepX's names below base_path, FACTS: store layout. */
static const struct {
    const char *unit, *out, *repx;
} rows[] = {
    {"simple", "/b/outputs/J/out", "/b/outputs/J/repx"},
    {"scatter", "/b/outputs/J/scatter/out", "/b/outputs/J/scatter/repx"},
    {"step:12:square", "/b/outputs/J/branch-12/step-square/out",
     "/b/outputs/J/branch-12/step-square/repx"},
    {"gather", "/b/outputs/J/out", "/b/outputs/J/repx"},
};

static void test_dirs_and_round_trip(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = ERROR_INIT;
        char *text = strdup(rows[i].unit), *out, *repx, *back;
        struct unit u;

        assert_int_equal(unit_parse(text, &u, &err), 0);
        out = layout_out_dir("/b", "J", &u);
        repx = layout_repx_dir("/b", "J", &u);
        back = unit_text(&u);
        assert_string_equal(out, rows[i].out);
        assert_string_equal(repx, rows[i].repx);
        assert_string_equal(back, rows[i].unit);
        free(out);
        free(repx);
        free(back);
        free(text);
    }
}

static void test_bad_units(void **state)
{
    static const char *const bad[] = {
        "",         "main",      "step",      "step:",      "step:1",  "step:1:",
        "step:x:a", "step:-1:a", "step:1:..", "step:1:a/b", "scatter "};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct error err = ERROR_INIT;
        char *text = strdup(bad[i]);
        struct unit u;

        assert_int_equal(unit_parse(text, &u, &err), -1);
        assert_int_equal(err.class, ERROR_USAGE);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dirs_and_round_trip),
        cmocka_unit_test(test_bad_units),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
