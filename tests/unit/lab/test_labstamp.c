#include <time.h>

#include "lab/labstamp.h"
#include "unit/lab/fixture.h"

#define SECOND UINT64_C(1000000000)

static int hashed;
static const char *content_digest;

static int count_fd(int fd, char *hex, struct error *err)
{
    (void)fd;
    (void)err;
    hashed++;
    snprintf(hex, 65, "%s", content_digest);
    return 0;
}

static const struct lab_options opts = {.verify = true, .digest_fd = count_fd};

static void take(struct lab_stamp *stamp, int dir, char *path)
{
    struct error err = ERROR_INIT;
    int fd = openat(dir, path, O_RDONLY);

    *stamp = (struct lab_stamp){.path = path};
    assert_int_equal(lab_stamp_take(stamp, fd, path, &err), 0);
    snprintf(stamp->sha256, sizeof(stamp->sha256), "%s", content_digest);
    close(fd);
    hashed = 0;
}

static void test_racy(void **state)
{
    struct lab_stamp stamp = {.mtime_ns = 100 * SECOND, .ctime_ns = 200 * SECOND};

    (void)state;
    assert_true(lab_stamp_racy(&stamp, 0));
    assert_true(lab_stamp_racy(&stamp, 200 * SECOND));
    assert_true(lab_stamp_racy(&stamp, 210 * SECOND));
    assert_false(lab_stamp_racy(&stamp, 210 * SECOND + 1));
    /* a file system that keeps no change times, or a clock that runs ahead */
    stamp.mtime_ns = 300 * SECOND;
    assert_true(lab_stamp_racy(&stamp, 211 * SECOND));
}

static void test_unchanged_is_not_read(void **state)
{
    int dir = open(*state, O_RDONLY | O_DIRECTORY);
    struct error err = ERROR_INIT;
    struct lab_stamp stamp, now;
    char path[] = "f";
    bool refresh = false;

    content_digest = "a";
    put(*state, "f", "text");
    take(&stamp, dir, path);
    assert_int_equal(lab_stamp_check(&stamp, dir, lab_stamp_now() + 100 * SECOND, &opts,
                                     &refresh, &now, &err),
                     0);
    assert_int_equal(hashed, 0);
    assert_false(refresh);
    close(dir);
}

static void test_young_is_read(void **state)
{
    int dir = open(*state, O_RDONLY | O_DIRECTORY);
    struct error err = ERROR_INIT;
    struct lab_stamp stamp, now;
    char path[] = "f";
    bool refresh = false;

    content_digest = "a";
    put(*state, "f", "text");
    take(&stamp, dir, path);
    assert_int_equal(
        lab_stamp_check(&stamp, dir, lab_stamp_now(), &opts, &refresh, &now, &err), 0);
    assert_int_equal(hashed, 1);
    content_digest = "b";
    assert_int_equal(
        lab_stamp_check(&stamp, dir, lab_stamp_now(), &opts, &refresh, &now, &err), 1);
    assert_string_equal(now.sha256, "b");
    assert_string_equal(stamp.sha256, "a");
    close(dir);
}

/* Another file of the same content: the stamp follows it. */
static void test_replaced(void **state)
{
    int dir = open(*state, O_RDONLY | O_DIRECTORY);
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 5}};
    struct error err = ERROR_INIT;
    struct lab_stamp stamp, now;
    char path[] = "f";
    bool refresh = false;

    content_digest = "a";
    put(*state, "f", "text");
    take(&stamp, dir, path);
    assert_int_equal(utimensat(dir, "f", times, 0), 0);
    assert_int_equal(lab_stamp_check(&stamp, dir, lab_stamp_now() + 100 * SECOND, &opts,
                                     &refresh, &now, &err),
                     0);
    assert_int_equal(hashed, 1);
    assert_true(refresh);
    assert_int_equal(stamp.mtime_ns, 5 * SECOND);
    assert_string_equal(stamp.path, "f");
    assert_int_equal(lab_stamp_check(&stamp, dir, lab_stamp_now() + 100 * SECOND, &opts,
                                     &refresh, &now, &err),
                     0);
    assert_int_equal(hashed, 1);
    close(dir);
}

static void test_gone_or_strange(void **state)
{
    int dir = open(*state, O_RDONLY | O_DIRECTORY);
    struct error err = ERROR_INIT;
    struct lab_stamp stamp, now;
    char path[] = "f";
    bool refresh = false;

    content_digest = "a";
    put(*state, "f", "text");
    take(&stamp, dir, path);
    drop(*state, "f");
    assert_int_equal(lab_stamp_check(&stamp, dir, 0, &opts, &refresh, &now, &err), -1);
    assert_error(&err, "'f'");
    error_clear(&err);
    assert_int_equal(mkfifoat(dir, "f", 0600), 0);
    assert_int_equal(lab_stamp_check(&stamp, dir, 0, &opts, &refresh, &now, &err), -1);
    assert_error(&err, "not a regular file");
    error_clear(&err);
    drop(*state, "f");
    put_link(*state, "f", "/etc/hostname");
    assert_int_equal(lab_stamp_check(&stamp, dir, 0, &opts, &refresh, &now, &err), -1);
    assert_int_equal(hashed, 0);
    close(dir);
}

static int set_up(void **state)
{
    *state = make_temp();
    return 0;
}

static int tear_down(void **state)
{
    remove_tree(*state);
    free(*state);
    return 0;
}

int main(void)
{
#define STAMP_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STAMP_TEST(test_racy),
        STAMP_TEST(test_unchanged_is_not_read),
        STAMP_TEST(test_young_is_read),
        STAMP_TEST(test_replaced),
        STAMP_TEST(test_gone_or_strange),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
