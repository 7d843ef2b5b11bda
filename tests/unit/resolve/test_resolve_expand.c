#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve.h"
#include "sys/process.h"

#define WORDS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

static char *const *environment(void)
{
    static const char *const env[] = {
        "HOME=/home/u", "USER=u", "SLURM_JOB_ID=42", "DIR=a/b", "EMPTY=",
        "_X1=x",        NULL};

    return (char *const *)(uintptr_t)env;
}

static void assert_expands(const char *text, const char *expected)
{
    struct error err = ERROR_INIT;
    _cleanup_free_ char *out = resolve_expand(text, environment(), &err);

    if (!out)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(out, expected);
}

static void assert_fault(const char *text, const char *complaint)
{
    struct error err = ERROR_INIT;

    assert_null(resolve_expand(text, environment(), &err));
    if (!strstr(err.text, complaint))
        fail_msg("%s: '%s' lacks '%s'", text, err.text, complaint);
    if (!strstr(err.text, text))
        fail_msg("'%s' does not name '%s'", err.text, text);
}

static void test_expansions(void **state)
{
    _cleanup_free_ char *uid = str_printf("/x/%lu", (unsigned long)geteuid());

    assert_expands("", "");
    assert_expands("/plain", "/plain");
    assert_expands("~", "/home/u");
    assert_expands("~/x~", "/home/u/x~");
    assert_expands("/a/~/b", "/a/~/b");
    assert_expands("~other/x", "~other/x");
    assert_expands("/s/$USER/$DIR", "/s/u/a/b");
    assert_expands("/s/${USER}s${_X1}", "/s/usx");
    assert_expands("$HOME/%j", "/home/u/42");
    assert_expands("/100%%/$$x", "/100%/$x");
    assert_expands("/x/%U", uid);
}

static void test_user_and_host(void **state)
{
    struct error err = ERROR_INIT;
    struct process_user user;
    _cleanup_free_ char *host = process_hostname();
    _cleanup_free_ char *expected = NULL, *home = NULL, *nobody = NULL;

    assert_int_equal(process_user_init(&user, &err), 0);
    expected = str_printf("/%s/%.*s", user.name, (int)strcspn(host, "."), host);
    assert_expands("/%u/%h", expected);
    /* The name service stands in for variables that a batch job may lack. */
    home = resolve_expand("~/$USER", WORDS("A=1"), &err);
    nobody = str_printf("%s/%s", user.home, user.name);
    assert_string_equal(home, nobody);
    process_user_release(&user);
}

static void test_faults(void **state)
{
    assert_fault("/s/$NOPE/x", "$NOPE is not set");
    assert_fault("/s/$EMPTY/x", "$EMPTY is not set");
    assert_fault("/s/$", "name is missing behind '$'");
    assert_fault("/s/$/x", "name is missing behind '$'");
    assert_fault("/s/$1", "name is missing behind '$'");
    assert_fault("/s/${USER", "name is missing behind '$'");
    assert_fault("/s/${}", "name is missing behind '$'");
    assert_fault("/s/%x", "'%x' is unknown");
    assert_fault("/s/%", "'%' is unknown");
}

static void test_no_job(void **state)
{
    struct error err = ERROR_INIT;

    assert_null(resolve_expand("/%j", WORDS("HOME=/"), &err));
    assert_non_null(strstr(err.text, "$SLURM_JOB_ID is not set"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expansions),
        cmocka_unit_test(test_user_and_host),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_no_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
