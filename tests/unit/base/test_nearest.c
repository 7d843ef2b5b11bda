#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/nearest.h"

static const char *nearest(const char *word, const char *a, const char *b)
{
    struct nearest n = NEAREST_INIT;

    nearest_offer(&n, word, a);
    nearest_offer(&n, word, b);
    return n.word;
}

static void test_finds_the_nearest(void **state)
{
    assert_string_equal(nearest("runtme", "rerun", "runtime"), "runtime");
    assert_string_equal(nearest("runtime", "runtime", "runtimes"), "runtime");
    assert_string_equal(nearest("bwarp", "podman", "bwrap"), "bwrap");
    assert_string_equal(nearest("mount-pahts", "mount-path", "mount-host-paths"),
                        "mount-path");
    /* The first of two equally near ones. */
    assert_string_equal(nearest("abc", "abd", "abe"), "abd");
}

static void test_far_words_are_not_near(void **state)
{
    assert_null(nearest("xyzzy", "lab", "runtime"));
    assert_null(nearest("", "a", "b"));
    assert_null(nearest("ab", "", "cd"));
}

static void test_long_words_are_left_alone(void **state)
{
    char word[200];

    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    assert_null(nearest(word, word, "b"));
    assert_null(nearest("b", word, word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_nearest),
        cmocka_unit_test(test_far_words_are_not_near),
        cmocka_unit_test(test_long_words_are_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
