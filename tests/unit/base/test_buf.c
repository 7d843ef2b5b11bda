#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"

static void empty(void **state)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    char *s;

    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_check(&b, &err), 0);
    buf_add(&b, NULL, 0);
    assert_string_equal(buf_str(&b), "");
    buf_release(&b);
    s = buf_steal(&b);
    assert_string_equal(s, "");
    free(s);
    buf_release(&b);
}

static void adds(void **state)
{
    struct buf b = BUF_INIT;

    buf_adds(&b, "one");
    buf_addc(&b, ' ');
    buf_addf(&b, "%d-%s", 2, "three");
    buf_add(&b, "\0x", 2);
    assert_int_equal(b.len, 13);
    assert_memory_equal(b.data, "one 2-three\0x", 14);
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_str(&b), "");
    buf_adds(&b, "again");
    assert_string_equal(buf_str(&b), "again");
    buf_release(&b);
    assert_null(b.data);
}

static void grows(void **state)
{
    struct buf b = BUF_INIT;
    char *s;

    for (int i = 0; i < 100000; i++)
        buf_addc(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    assert_int_equal(b.data[100000], '\0');
    s = buf_steal(&b);
    assert_int_equal(strlen(s), 100000);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    free(s);
}

/* A failure sticks: what follows does nothing, and the end reports it once. */
static void failure_is_sticky(void **state)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    char c = 'x';

    buf_adds(&b, "kept");
    buf_add(&b, &c, SIZE_MAX - 10);
    assert_true(b.failed);
    buf_adds(&b, "ignored");
    buf_addf(&b, "%d", 1);
    assert_string_equal(buf_str(&b), "kept");
    assert_int_equal(buf_check(&b, &err), -1);
    assert_string_equal(err.text, "out of memory: Cannot allocate memory");
    assert_null(buf_steal(&b));
    assert_false(b.failed);
    assert_null(b.data);
}

static void printf_into_memory(void **state)
{
    char big[5000], *s;

    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    s = str_printf("%s%d", big, 7);
    assert_int_equal(strlen(s), 5000);
    assert_int_equal(s[4999], '7');
    free(s);
    s = str_printf("%s", "");
    assert_string_equal(s, "");
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(adds),
        cmocka_unit_test(grows),
        cmocka_unit_test(failure_is_sticky),
        cmocka_unit_test(printf_into_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
