/* Which directory's mounts are kept from bwrap, and that the plan's order stays as it
 * is: what is attached last must be what nothing is mounted over. */
#include "unit/sys/tempdir.h"

#include "runtime/runtime_internal.h"
#include "runtime/stage.h"

static void add(struct plan *p, enum plan_mount_kind kind, const char *dest)
{
    struct error err = ERROR_INIT;

    assert_int_equal(plan_add_mount(p, kind, PLAN_ROLE_USER, "/x", dest, &err), 0);
}

static void add_many(struct plan *p, const char *dir, int n)
{
    for (int i = 0; i < n; i++) {
        char dest[64];

        snprintf(dest, sizeof(dest), "%s/%d/out", dir, i);
        add(p, PLAN_MOUNT_BIND_RO, dest);
    }
}

static void begin(struct plan *p)
{
    *p = (struct plan)PLAN_INIT;
    add(p, PLAN_MOUNT_BIND_RO, "/");
    add(p, PLAN_MOUNT_PROC, "/proc");
    add(p, PLAN_MOUNT_DEV, "/dev");
    add(p, PLAN_MOUNT_TMPFS, "/dev/shm");
    add(p, PLAN_MOUNT_TMPFS, "/tmp");
}

/* Ends the plan as all do, and releases it. NULL: none. */
static void expect(struct plan *p, size_t least, const char *dir)
{
    struct error err = ERROR_INIT;
    char *found;

    add(p, PLAN_MOUNT_REMOUNT_RO, "/dev");
    add(p, PLAN_MOUNT_REMOUNT_RO, "/");
    assert_int_equal(stage_find_apart(p, least, &found, &err), 0);
    if (dir)
        assert_string_equal(found, dir);
    else
        assert_null(found);
    free(found);
    plan_release(p);
}

static void test_where_most_mounts_are(void **state)
{
    struct plan p;

    begin(&p);
    add_many(&p, "/base/outputs", 20);
    add(&p, PLAN_MOUNT_BIND_RO, "/lab/jobs/a");
    expect(&p, 16, "/base/outputs");
    /* deeper, where more than half of all are */
    begin(&p);
    add_many(&p, "/base/outputs/one", 20);
    add_many(&p, "/base/outputs/two", 4);
    expect(&p, 16, "/base/outputs/one");
    begin(&p);
    add_many(&p, "/base/outputs/one", 20);
    add_many(&p, "/base/outputs/two", 20);
    expect(&p, 16, "/base/outputs");
    /* names that begin alike, and that sort between a directory and what is in it */
    begin(&p);
    add_many(&p, "/base/out", 20);
    add_many(&p, "/base/out-2", 4);
    add_many(&p, "/base/out!", 4);
    expect(&p, 16, "/base/out");
    /* below a tmpfs, whose own mount stays */
    begin(&p);
    add_many(&p, "/tmp/base/outputs", 20);
    expect(&p, 16, "/tmp/base/outputs");
    begin(&p);
    add_many(&p, "/tmp", 20);
    expect(&p, 16, "/tmp");
}

static void test_few_or_nowhere(void **state)
{
    struct plan p;

    begin(&p);
    add_many(&p, "/base/outputs", 15);
    expect(&p, 16, NULL);
    begin(&p);
    add_many(&p, "/base/outputs", 16);
    expect(&p, 16, "/base/outputs");
    /* in the root itself, or as many here as there */
    begin(&p);
    for (char name[] = "/a"; name[1] <= 'z'; name[1]++)
        add(&p, PLAN_MOUNT_BIND_RO, name);
    expect(&p, 16, NULL);
    begin(&p);
    add_many(&p, "/one", 20);
    add_many(&p, "/two", 20);
    expect(&p, 16, NULL);
    /* what is no mount of the stage's does not count */
    begin(&p);
    for (int i = 0; i < 20; i++) {
        char dest[64];

        snprintf(dest, sizeof(dest), "/base/%d", i);
        add(&p, i % 2 ? PLAN_MOUNT_DIR : PLAN_MOUNT_SYMLINK, dest);
        snprintf(dest, sizeof(dest), "/proc/%d", i);
        add(&p, PLAN_MOUNT_BIND_RO, dest);
    }
    expect(&p, 8, NULL);
}

static void test_the_order_holds(void **state)
{
    static const char *const over[] = {"/base/outputs", "/base", "/"};
    struct plan p;

    /* mounted before: what is below it lies on it */
    begin(&p);
    add(&p, PLAN_MOUNT_BIND_RW, "/base");
    add(&p, PLAN_MOUNT_BIND_RW, "/base/outputs");
    add_many(&p, "/base/outputs", 20);
    add(&p, PLAN_MOUNT_BIND_RW, "/base/outputs/3/out/deeper");
    expect(&p, 16, "/base/outputs");
    /* mounted over it, last or in between */
    for (size_t i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
        begin(&p);
        add_many(&p, "/base/outputs", 20);
        add(&p, PLAN_MOUNT_BIND_RO, over[i]);
        expect(&p, 16, NULL);
        begin(&p);
        add(&p, PLAN_MOUNT_BIND_RO, "/base/outputs/x");
        add(&p, PLAN_MOUNT_TMPFS, over[i]);
        add_many(&p, "/base/outputs", 20);
        expect(&p, 16, NULL);
    }
    /* sealed itself: that must reach the mount that stays */
    begin(&p);
    add_many(&p, "/dev/many", 20);
    expect(&p, 16, "/dev/many");
    begin(&p);
    for (int i = 0; i < 20; i++) {
        char dest[64];

        snprintf(dest, sizeof(dest), "/dev/gpu%d", i);
        add(&p, PLAN_MOUNT_BIND_DEV, dest);
    }
    expect(&p, 16, NULL);
}

/* The rights to attach are asked for when there is something to attach, and only then.
 */
static void test_what_bwrap_and_init_are_told(void **state)
{
    struct plan p;
    struct stage s = {.plan = &p, .root = (char[]){"/state/stage/root"}, .apart_fd = 7};
    struct strv without = STRV_INIT, with = STRV_INIT, words = STRV_INIT;
    size_t at = 0;

    begin(&p);
    bwrap_staged_options(&s, &without);
    stage_attach_words(&s, &words);
    assert_int_equal(words.count, 0);
    s.apart = (char[]){"/base/outputs"};
    bwrap_staged_options(&s, &with);
    stage_attach_words(&s, &words);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.items[0], "--attach");
    assert_string_equal(words.items[1], "7");
    assert_string_equal(words.items[2], "/base/outputs");
    while (strcmp(without.items[at], "--cap-drop") != 0)
        at++;
    assert_int_equal(with.count, without.count + 4);
    for (size_t i = 0; i < without.count; i++)
        assert_string_equal(with.items[i < at + 2 ? i : i + 4], without.items[i]);
    assert_string_equal(with.items[at + 2], "--cap-add");
    assert_string_equal(with.items[at + 3], "CAP_SYS_ADMIN");
    assert_string_equal(with.items[at + 4], "--cap-add");
    assert_string_equal(with.items[at + 5], "CAP_SETPCAP");
    strv_release(&without);
    strv_release(&with);
    strv_release(&words);
    plan_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_most_mounts_are),
        cmocka_unit_test(test_few_or_nowhere),
        cmocka_unit_test(test_the_order_holds),
        cmocka_unit_test(test_what_bwrap_and_init_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
