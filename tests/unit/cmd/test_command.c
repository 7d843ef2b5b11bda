/* command: which command a command line means, and what is said when it means none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "cmd/command.h"

/* A command line of literals, which the code under test only reads. */
#define WORDS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

static void expect_found(char *const *argv, const char *name, size_t expected_words)
{
    struct error err = ERROR_INIT;
    size_t words = 0;
    const struct command *c = command_find(argv, &words, &err);

    assert_non_null(c);
    assert_string_equal(c->name, name);
    assert_int_equal(words, expected_words);
}

static void expect_refused(char *const *argv, const char *text)
{
    struct error err = ERROR_INIT;
    size_t words = 0;

    assert_null(command_find(argv, &words, &err));
    assert_int_equal(err.class, ERROR_USAGE);
    assert_string_equal(err.text, text);
}

static void one_word_and_two(void **state)
{
    expect_found(WORDS("run", "sim"), "run", 1);
    expect_found(WORDS("image", "inspect", "x"), "image inspect", 2);
}

static void half_a_command_is_told_the_rest(void **state)
{
    expect_refused(WORDS("cache"),
                   "cache is incomplete; there is: cache list, cache prune, "
                   "cache verify");
    expect_refused(WORDS("cache", "--json"),
                   "cache is incomplete; there is: cache list, cache prune, "
                   "cache verify");
    expect_refused(WORDS("cache", "purge"),
                   "unknown command cache purge; there is: cache list, cache prune, "
                   "cache verify");
}

static void an_option_in_front_is_told_its_place(void **state)
{
    expect_refused(WORDS("--lab", "x", "run"),
                   "option --lab comes before the command; write repx-launch COMMAND "
                   "[OPTION...]");
}

static void a_typing_mistake_is_told_the_nearest(void **state)
{
    expect_refused(WORDS("runn"), "unknown command runn; did you mean run?");
    expect_refused(WORDS("zzzz"),
                   "unknown command zzzz; repx-launch --help lists the commands");
}

/* "config x" printed the configuration: x may have been meant for something. */
static void a_word_too_much_is_named(void **state)
{
    struct request req = REQUEST_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(no_arguments(&req, "config", &err), 0);
    strv_add(&req.args, "x");
    assert_int_equal(no_arguments(&req, "config", &err), -1);
    assert_int_equal(err.class, ERROR_USAGE);
    assert_string_equal(err.text, "config takes no arguments: x is too much");
    request_release(&req);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_word_and_two),
        cmocka_unit_test(half_a_command_is_told_the_rest),
        cmocka_unit_test(an_option_in_front_is_told_its_place),
        cmocka_unit_test(a_typing_mistake_is_told_the_nearest),
        cmocka_unit_test(a_word_too_much_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
