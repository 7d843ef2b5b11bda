#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "outcome/classify.h"

/* wait statuses as Linux encodes them: code << 8, or the signal's number */
static const struct {
    int status, code;
    const char *words;
} rows[] = {
    {0, 0, "succeeded"},
    {3 << 8, 3, "failed with exit code 3"},
    {255 << 8, 255, "failed with exit code 255"},
    {137 << 8, 137, "failed with exit code 137"},
    {9, 137, "was killed by signal 9 (SIGKILL)"},
    {15, 143, "was killed by signal 15 (SIGTERM)"},
    {11 | 0x80, 139, "was killed by signal 11 (SIGSEGV)"},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = BUF_INIT;

        assert_int_equal(classify_exit_code(rows[i].status), rows[i].code);
        classify_describe(rows[i].status, &b);
        assert_string_equal(buf_str(&b), rows[i].words);
        buf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
