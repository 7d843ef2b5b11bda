/* meter: the line that is drawn over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "launch/meter.h"
#include "sys/fdio.h"

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

static void what_another_boot_made_is_checked(void **state)
{
    expect_line("a.tar", "confirm", 500000000, 1500000000, 80,
                "repx-launch: checking a.tar: 0.50 of 1.50 GB, 250 MB/s, 4 s left");
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

/* What the meter writes to standard error when update is called with these phases and
 * clocks; ages: nanoseconds since the start of the work, one call each. */
static void written_in(struct meter *m, const char *const *phases, const uint64_t *ages,
                       size_t n, char *out, size_t size)
{
    int ends[2], saved = dup(STDERR_FILENO);
    uint64_t start = fdio_monotonic_ns();
    ssize_t len;

    assert_int_equal(pipe(ends), 0);
    assert_true(saved >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
    for (size_t i = 0; i < n; i++) {
        m->start_ns = start - ages[i];
        if (i > 0) /* as if the line before had been written then */
            m->last_ns = start - (ages[i] - ages[i - 1]);
        m->hooks.update(m->hooks.arg, phases[i], 500000000, 1500000000);
    }
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[1]);
    len = read(ends[0], out, size - 1);
    close(ends[0]);
    assert_true(len >= 0);
    out[len] = '\0';
}

static void written(struct meter *m, const uint64_t *ages, size_t n, char *out,
                    size_t size)
{
    const char *const phases[] = {"extract", "extract", "extract"};

    assert_true(n <= 3);
    written_in(m, phases, ages, n, out, size);
}

static unsigned lines_of(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void whole_lines_without_a_terminal(void **state)
{
    const struct meter_watch watch = {.lines_after_ns = 3 * SECOND,
                                      .lines_every_ns = 5 * SECOND};
    const uint64_t early[] = {2 * SECOND},
                   late[] = {4 * SECOND, 6 * SECOND, 12 * SECOND};
    char text[1024];
    struct meter m;

    meter_init(&m, "/lab/images/a.tar", &watch);
    m.terminal = false;
    written(&m, early, 1, text, sizeof(text));
    assert_string_equal(text, "");
    log_set_name("repx: n1");
    written(&m, late, 3, text, sizeof(text));
    log_set_name("repx-launch");
    assert_int_equal(lines_of(text), 2);
    assert_int_equal(strncmp(text, "repx: n1: extracting a.tar: 0.50 of 1.50 GB, ", 45),
                     0);
    assert_null(strchr(text, '\r'));
}

/* The holder of the lock has died: what was a wait is work now, with a clock of its
 * own. */
static void taking_over_is_told_at_once(void **state)
{
    const struct meter_watch watch = {.lines_after_ns = SECOND,
                                      .lines_every_ns = 60 * SECOND};
    const uint64_t ages[] = {2 * SECOND, 3 * SECOND, 4 * SECOND, 5 * SECOND};
    const char *const phases[] = {"wait", "wait", "extract", "extract"};
    char text[1024];
    struct meter m;

    meter_init(&m, "/lab/images/a.tar", &watch);
    m.terminal = false;
    written_in(&m, phases, ages, 4, text, sizeof(text));
    assert_string_equal(
        text, "repx-launch: waiting for the extraction of a.tar: 0.50 of 1.50 GB\n"
              "repx-launch: extracting a.tar: 0.50 of 1.50 GB\n");
}

static int yes(void *arg)
{
    ++*(int *)arg;
    return 1;
}

static void a_watch_can_stop_the_work(void **state)
{
    int asked = 0;
    const struct meter_watch watch = {.cancelled = yes, .arg = &asked};
    struct meter m;

    meter_init(&m, "a.tar", &watch);
    assert_int_equal(m.hooks.cancelled(m.hooks.arg), 1);
    assert_int_equal(asked, 1);
    meter_init(&m, "a.tar", NULL);
    assert_int_equal(m.hooks.cancelled(m.hooks.arg), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_rate_and_time_left),
        cmocka_unit_test(a_waiter_has_no_rate_of_its_own),
        cmocka_unit_test(what_another_boot_made_is_checked),
        cmocka_unit_test(composing_counts_layers),
        cmocka_unit_test(a_long_name_is_cut_at_its_front),
        cmocka_unit_test(a_narrow_terminal_keeps_the_numbers),
        cmocka_unit_test(whole_lines_without_a_terminal),
        cmocka_unit_test(taking_over_is_told_at_once),
        cmocka_unit_test(a_watch_can_stop_the_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
