#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "request/request.h"

static void assert_mount(const char *text, const char *source, const char *dest,
                         bool writable, const char *full)
{
    struct error err = ERROR_INIT;
    _cleanup_free_ char *formatted = NULL;
    struct request_mount m;

    if (request_mount_parse(text, &m, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(m.source, source);
    if (dest)
        assert_string_equal(m.dest, dest);
    else
        assert_null(m.dest);
    assert_int_equal(m.writable, writable);
    formatted = request_mount_format(&m);
    assert_string_equal(formatted, full);
    request_mount_release(&m);
    /* What format writes, parse reads. */
    if (source[0] == '/') {
        assert_int_equal(request_mount_parse(formatted, &m, &err), 0);
        assert_string_equal(m.source, source);
        assert_string_equal(m.dest, dest ? dest : source);
        assert_int_equal(m.writable, writable);
        assert_true(m.has_mode);
        request_mount_release(&m);
    }
}

static void test_forms(void **state)
{
    assert_mount("/a", "/a", NULL, false, "/a:/a:ro");
    assert_mount("/a:/b", "/a", "/b", false, "/a:/b:ro");
    assert_mount("/a:/b:ro", "/a", "/b", false, "/a:/b:ro");
    assert_mount("/a:/b:rw", "/a", "/b", true, "/a:/b:rw");
    assert_mount("rel/x:/b", "rel/x", "/b", false, "rel/x:/b:ro");
    assert_mount("/a://b//c/", "/a", "/b/c", false, "/a:/b/c:ro");
    assert_mount("/a:/...:rw", "/a", "/...", true, "/a:/...:rw");
}

static void test_escapes(void **state)
{
    assert_mount("/a\\:b", "/a:b", NULL, false, "/a\\:b:/a\\:b:ro");
    assert_mount("/a\\\\:/b\\:c:rw", "/a\\", "/b:c", true, "/a\\\\:/b\\:c:rw");
    /* A backslash in front of anything else is itself. */
    assert_mount("/a\\x", "/a\\x", NULL, false, "/a\\\\x:/a\\\\x:ro");
    assert_mount("/a\\", "/a\\", NULL, false, "/a\\\\:/a\\\\:ro");
}

static void test_mode_is_known(void **state)
{
    struct error err = ERROR_INIT;
    struct request_mount m;

    assert_int_equal(request_mount_parse("/a:/b", &m, &err), 0);
    assert_false(m.has_mode);
    request_mount_release(&m);
    assert_int_equal(request_mount_parse("/a:/b:ro", &m, &err), 0);
    assert_true(m.has_mode);
    request_mount_release(&m);
}

static void test_faults(void **state)
{
    static const struct {
        const char *text, *complaint;
    } bad[] = {
        {"", "the source is empty"},
        {":/b", "the source is empty"},
        {"/a:", "the destination ''"},
        {"/a:b", "the destination 'b'"},
        {"/a:/b/../c", "the destination '/b/../c'"},
        {"/a:/b/.", "the destination '/b/.'"},
        {"/a:/..", "the destination '/..'"},
        {"/a:/", "the root itself"},
        {"/a:///", "the root itself"},
        {"/a:ro", "write SRC:DST:ro"},
        {"/a:rw", "write SRC:DST:rw"},
        {"/a:/b:", "the mode ''"},
        {"/a:/b:wo", "the mode 'wo'"},
        {"/a:/b:rw:x", "the mode 'rw:x'"},
    };

    for (size_t i = 0; i < array_size(bad); i++) {
        struct error err = ERROR_INIT;
        struct request_mount m;

        assert_int_equal(request_mount_parse(bad[i].text, &m, &err), -1);
        assert_int_equal(err.class, ERROR_USAGE);
        if (!strstr(err.text, bad[i].complaint))
            fail_msg("%s: '%s' lacks '%s'", bad[i].text, err.text, bad[i].complaint);
        assert_null(m.source);
        assert_null(m.dest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_mode_is_known),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
