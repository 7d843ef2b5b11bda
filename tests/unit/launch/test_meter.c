/* meter: the line that is drawn over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "launch/meter.h"

#define SECOND 1000000000ull

static void expect_line(const char *what, const char *phase, uint64_t done,
                        uint64_t total, size_t columns, const char *expected)
{
    struct buf line = BUF_INIT;

    meter_line(&line, what, phase, done, total, 2 * SECOND, columns);
    assert_string_equal(buf_str(&line), expected);
    buf_release(&line);
}

static void bytes_rate_and_time_left(void **state)
{
    expect_line("/lab/images/a.tar", "extract", 500000000, 1500000000, 80,
                "repx-launch: extracting a.tar: 0.50 of 1.50 GB, 250 MB/s, 4 s left");
}

static void a_waiter_has_no_rate_of_its_own(void **state)
{
    expect_line("a.tar", "wait", 500000000, 1500000000, 80,
                "repx-launch: waiting for the extraction of a.tar: 0.50 of 1.50 GB");
}

static void composing_counts_layers(void **state)
{
    expect_line("a.tar", "compose", 2, 80, 80,
                "repx-launch: composing a.tar: 2 of 80 layers");
}

/* A line that wraps leaves a copy of itself with every redraw. */
static void a_long_name_is_cut_at_its_front(void **state)
{
    struct buf line = BUF_INIT;

    for (size_t columns = 70; columns < 100; columns++) {
        buf_release(&line);
        meter_line(&line,
                   "/lab/images/01y2yplmd5s6kc6bcfvkpp89y2bik4cx-repx-shared-image.tar",
                   "extract", 500000000, 1500000000, 2 * SECOND, columns);
        assert_int_equal(strlen(buf_str(&line)), columns - 1);
        assert_non_null(strstr(buf_str(&line), " ..."));
        assert_non_null(strstr(buf_str(&line), ".tar: 0.50"));
    }
    buf_release(&line);
}

static void a_narrow_terminal_keeps_the_numbers(void **state)
{
    expect_line("/lab/a.tar", "compose", 2, 80, 10,
                "repx-launch: composing ...: 2 of 80 layers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_rate_and_time_left),
        cmocka_unit_test(a_waiter_has_no_rate_of_its_own),
        cmocka_unit_test(composing_counts_layers),
        cmocka_unit_test(a_long_name_is_cut_at_its_front),
        cmocka_unit_test(a_narrow_terminal_keeps_the_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
