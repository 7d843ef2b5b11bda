#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"
#include "image/linktar.h"

static void write_tar(struct buf *out, char *const *names, char *const *targets)
{
    struct strv n = STRV_INIT, t = STRV_INIT;
    struct error err = ERROR_INIT;

    strv_extend(&n, names);
    strv_extend(&t, targets);
    assert_int_equal(linktar_write(&n, &t, out, &err), 0);
    strv_release(&n);
    strv_release(&t);
}

static struct archive *read_tar(const struct buf *tar)
{
    struct archive *a = archive_read_new();

    assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
    assert_int_equal(archive_read_open_memory(a, buf_str(tar), tar->len), ARCHIVE_OK);
    return a;
}

static void test_links_come_back(void **state)
{
    static char long_target[400];
    char *names[] = {(char[]){"bin"}, (char[]){"odd name\n"}, NULL};
    char *targets[] = {(char[]){"usr/bin"}, long_target, NULL};
    struct buf tar = BUF_INIT;
    struct archive_entry *e;
    struct archive *a;

    memset(long_target, 'x', sizeof(long_target) - 1);
    write_tar(&tar, names, targets);
    a = read_tar(&tar);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), names[i]);
        assert_string_equal(archive_entry_symlink(e), targets[i]);
        assert_int_equal(archive_entry_uid(e), 0);
        assert_int_equal(archive_entry_mtime(e), 0);
    }
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
    archive_read_free(a);
    buf_release(&tar);
}

/* Its digest is the image's name. */
static void test_same_links_same_bytes(void **state)
{
    char *names[] = {(char[]){"bin"}, (char[]){"lib"}, NULL};
    char *targets[] = {(char[]){"usr/bin"}, (char[]){"usr/lib"}, NULL};
    char *others[] = {(char[]){"usr/bin"}, (char[]){"usr/lib64"}, NULL};
    struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;

    write_tar(&a, names, targets);
    write_tar(&b, names, targets);
    write_tar(&c, names, others);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_true(a.len != c.len || memcmp(a.data, c.data, a.len) != 0);
    buf_release(&a);
    buf_release(&b);
    buf_release(&c);
}

static void test_without_links_there_is_something(void **state)
{
    char *none[] = {NULL};
    struct buf tar = BUF_INIT;
    struct archive_entry *e;
    struct archive *a;

    write_tar(&tar, none, none);
    a = read_tar(&tar);
    assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
    assert_int_equal(archive_entry_filetype(e), AE_IFDIR);
    archive_read_free(a);
    buf_release(&tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_come_back),
        cmocka_unit_test(test_same_links_same_bytes),
        cmocka_unit_test(test_without_links_there_is_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
