/* Composition: layers made by hand as directories. */
#include "unit/image/image_test.h"

#include "image/compose.h"
#include "image/layernotes.h"

static struct compose compose;
static struct layernotes notes;
static struct error err;
static int root = -1;

static int setup(void **state)
{
    if (test_setup(state) < 0)
        return -1;
    test_mkdir("root");
    root = openat(test_dir.fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    compose_init(&compose, root, NULL);
    notes = (struct layernotes)LAYERNOTES_INIT;
    error_clear(&err);
    return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    layernotes_release(&notes);
    compose_release(&compose);
    close(root);
    return test_teardown(state);
}

static int add(const char *layer)
{
    int fd = test_open_dir(layer), rc = compose_layer(&compose, fd, &notes, &err);

    close(fd);
    return rc;
}

static void upper_replaces_lower(void **state)
{
    test_text("1/same", "low");
    test_text("1/only", "1");
    test_text("2/same", "high");
    test_text("2/d/new", "2");
    assert_ok(add("1"));
    assert_ok(add("2"));
    assert_ok(compose_finish(&compose, &err));
    assert_text(root, "same", "high");
    assert_text(root, "only", "1");
    assert_text(root, "d/new", "2");
    /* layers are as they were */
    assert_text(test_dir.fd, "1/same", "low");
}

static void files_are_hard_links(void **state)
{
    struct stat a, b;

    test_text("1/f", "x");
    assert_ok(add("1"));
    assert_int_equal(fstatat(test_dir.fd, "1/f", &a, 0), 0);
    assert_int_equal(fstatat(root, "f", &b, 0), 0);
    assert_int_equal(a.st_ino, b.st_ino);
}

static void whiteouts(void **state)
{
    test_text("1/file", "1");
    test_text("1/dir/a/b", "1");
    test_text("1/keep/x", "1");
    test_text("2/.wh.file", "");
    test_text("2/.wh.dir", "");
    test_text("2/keep/.wh.x", "");
    test_text("2/keep/.wh.never-was", "");
    test_text("2/.wh.both", "");
    test_text("2/both", "2");
    test_text("1/both", "1");
    assert_ok(add("1"));
    assert_ok(add("2"));
    assert_false(exists(root, "file"));
    assert_false(exists(root, "dir"));
    assert_true(exists(root, "keep"));
    assert_false(exists(root, "keep/x"));
    /* a marker hits the layers below and not its own */
    assert_text(root, "both", "2");
    assert_false(exists(root, ".wh.file"));
    assert_false(exists(root, "keep/.wh.x"));
}

static void whiteout_then_again(void **state)
{
    test_text("1/f", "1");
    test_text("2/.wh.f", "");
    test_text("3/f", "3");
    assert_ok(add("1"));
    assert_ok(add("2"));
    assert_false(exists(root, "f"));
    assert_ok(add("3"));
    assert_text(root, "f", "3");
}

static void link_to(const char *name, const char *target)
{
    assert_int_equal(symlinkat(target, test_dir.fd, name), 0);
}

static void a_link_below_leads_the_way(void **state)
{
    test_text("1/usr/lib/old", "1");
    link_to("1/lib", "usr/lib");
    link_to("1/late", "/not/yet");
    test_text("2/lib/x/new", "2");
    test_text("2/lib/.wh.old", "");
    test_text("2/late/a", "2");
    assert_ok(add("1"));
    strv_add(&notes.implied, "late");
    strv_add(&notes.implied, "lib");
    strv_add(&notes.implied, "lib/x");
    assert_ok(add("2"));
    assert_true(S_ISLNK(mode_of(root, "lib")));
    assert_text(root, "usr/lib/x/new", "2");
    assert_false(exists(root, "usr/lib/old"));
    assert_text(root, "not/yet/a", "2");
    /* a directory with an entry of its own takes the link's place */
    strv_release(&notes.implied);
    assert_ok(add("2"));
    assert_true(S_ISDIR(mode_of(root, "lib")));
    assert_text(root, "lib/x/new", "2");
}

static void a_link_below_that_leads_nowhere_is_refused(void **state)
{
    test_text("1/real", "1");
    link_to("1/loop", "loop");
    link_to("1/file", "real");
    test_text("2/loop/a", "2");
    test_text("3/file/a", "3");
    assert_ok(add("1"));
    strv_add(&notes.implied, "loop");
    assert_int_equal(add("2"), -1);
    assert_mentions("loop");
    error_clear(&err);
    strv_release(&notes.implied);
    strv_add(&notes.implied, "file");
    assert_int_equal(add("3"), -1);
    assert_mentions("file");
}

static void opaque_directories(void **state)
{
    test_text("1/d/a", "1");
    test_text("1/d/sub/b", "1");
    test_text("1/other", "1");
    test_text("2/d/.wh..wh..opq", "");
    test_text("2/d/c", "2");
    test_text("2/d/sub/e", "2");
    assert_ok(add("1"));
    assert_ok(add("2"));
    assert_false(exists(root, "d/a"));
    assert_false(exists(root, "d/sub/b"));
    assert_false(exists(root, "d/.wh..wh..opq"));
    assert_text(root, "d/c", "2");
    assert_text(root, "d/sub/e", "2");
    assert_text(root, "other", "1");
    test_text("3/.wh..wh..opq", "");
    test_text("3/last", "3");
    assert_ok(add("3"));
    assert_int_equal(count_entries("root"), 1);
}

static void kinds_change(void **state)
{
    test_text("1/a", "file");
    test_text("1/b/x", "dir");
    assert_int_equal(symlinkat("b", test_dir.fd, "1/c"), 0);
    test_text("2/a/y", "dir");
    test_text("2/b", "file");
    test_text("2/c/z", "through?");
    assert_ok(add("1"));
    assert_ok(add("2"));
    assert_text(root, "a/y", "dir");
    assert_text(root, "b", "file");
    /* a directory takes the link's place; nothing went through the link */
    assert_text(root, "c/z", "through?");
    assert_int_equal(mode_of(root, "c") & S_IFMT, S_IFDIR);
    assert_false(exists(test_dir.fd, "1/b/z"));
}

static void set_dir(const char *name, mode_t mode, time_t mtime)
{
    struct timespec t[2] = {{mtime, 0}, {mtime, 0}};

    assert_int_equal(utimensat(test_dir.fd, name, t, 0), 0);
    assert_int_equal(fchmodat(test_dir.fd, name, mode, 0), 0);
}

static void directories_have_the_topmost_declaration(void **state)
{
    struct stat st;

    test_text("1/d/a", "1");
    test_text("2/d/b", "2");
    test_text("3/d/c", "3");
    set_dir("1/d", 0700, 111);
    set_dir("2/d", 0711, 222);
    set_dir("3/d", 0755, 333);
    assert_ok(add("1"));
    assert_ok(add("2"));
    /* the third has no entry for it */
    strv_add(&notes.implied, "d");
    assert_ok(add("3"));
    assert_ok(compose_finish(&compose, &err));
    assert_int_equal(fstatat(root, "d", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    assert_int_equal(st.st_mtime, 222);
    assert_text(root, "d/c", "3");
}

static void links_into_lower_layers(void **state)
{
    struct stat a, b;

    test_text("1/usr/bin/old", "program");
    test_text("2/other", "2");
    test_text("2/taken", "before");
    assert_ok(add("1"));
    strv_add(&notes.links, "new");
    strv_add(&notes.links, "usr/bin/old");
    strv_add(&notes.links, "taken");
    strv_add(&notes.links, "usr/bin/old");
    assert_ok(add("2"));
    assert_text(root, "new", "program");
    assert_text(root, "taken", "program");
    assert_int_equal(fstatat(root, "new", &a, 0), 0);
    assert_int_equal(fstatat(root, "usr/bin/old", &b, 0), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    layernotes_release(&notes);
    notes = (struct layernotes)LAYERNOTES_INIT;
    strv_add(&notes.links, "new2");
    strv_add(&notes.links, "usr/gone");
    test_mkdir("3");
    assert_int_equal(add("3"), -1);
    assert_mentions("new2");
}

static int always(void *arg)
{
    return 1;
}

static void can_be_cancelled(void **state)
{
    const struct image_progress progress = {.cancelled = always};

    test_text("1/a", "1");
    compose.progress = &progress;
    assert_int_equal(add("1"), -1);
    assert_int_equal(err.errnum, ECANCELED);
}

static void notes_survive_their_file(void **state)
{
    struct layernotes again = LAYERNOTES_INIT;
    struct digest sum, found;

    assert_ok(layernotes_write(&notes, root, &sum, &err));
    assert_int_equal(count_entries("root"), 0);
    strv_add(&notes.implied, "b");
    strv_add(&notes.implied, "a\nb");
    strv_add(&notes.links, "new");
    strv_add(&notes.links, "\xff");
    assert_ok(layernotes_write(&notes, root, &sum, &err));
    assert_ok(layernotes_sum(root, &found, &err));
    assert_true(digest_equal(&sum, &found));
    assert_ok(layernotes_read(&again, root, &err));
    assert_int_equal(again.implied.count, 2);
    assert_true(layernotes_is_implied(&again, "b"));
    assert_true(layernotes_is_implied(&again, "a\nb"));
    assert_false(layernotes_is_implied(&again, "a"));
    assert_int_equal(again.links.count, 2);
    assert_string_equal(again.links.items[1], "\xff");
    layernotes_release(&again);
    test_write("root/notes", "lno-target", 11);
    again = (struct layernotes)LAYERNOTES_INIT;
    assert_int_equal(layernotes_read(&again, root, &err), -1);
    layernotes_release(&again);
    test_write("root/notes", "dcut", 4);
    again = (struct layernotes)LAYERNOTES_INIT;
    assert_int_equal(layernotes_read(&again, root, &err), -1);
    layernotes_release(&again);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(upper_replaces_lower),
        TEST(files_are_hard_links),
        TEST(whiteouts),
        TEST(whiteout_then_again),
        TEST(a_link_below_leads_the_way),
        TEST(a_link_below_that_leads_nowhere_is_refused),
        TEST(opaque_directories),
        TEST(kinds_change),
        TEST(directories_have_the_topmost_declaration),
        TEST(links_into_lower_layers),
        TEST(can_be_cancelled),
        TEST(notes_survive_their_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
