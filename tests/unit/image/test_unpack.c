/* Extraction of one layer: hostile entries do not leave the tree, legal oddities give
 * the right one. A canary beside the tree must never change. */
#include "unit/image/image_test.h"

#include "image/layerstream.h"
#include "image/source.h"
#include "image/treewriter.h"
#include "image/unpack.h"

static struct treewriter writer;
static int tree = -1;
static struct error err;

static int setup(void **state)
{
    if (test_setup(state) < 0)
        return -1;
    test_mkdir("tree");
    test_text("canary", "untouched");
    tree = openat(test_dir.fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    treewriter_init(&writer, tree);
    error_clear(&err);
    return tree < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    treewriter_release(&writer);
    close(tree);
    return test_teardown(state);
}

/* Ends, unpacks and releases the tar. */
static int unpack_tar(struct buf *tar)
{
    struct layerstream_options options = {.progress = NULL};
    struct layerstream *ls;
    struct digest diff;
    int fd, rc;

    test_write("layer.tar", tar->data, tar->len);
    buf_release(tar);
    fd = openat(test_dir.fd, "layer.tar", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ls = layerstream_new(blob_of_fd(fd, &err), &options, &err);
    rc = ls ? unpack(ls, &writer, &err) : -1;
    if (rc == 0)
        rc = layerstream_finish(ls, &diff, NULL, &err);
    if (rc < 0) { /* as extract does: the writer may hold blocks of the stream */
        treewriter_release(&writer);
        treewriter_init(&writer, tree);
    }
    layerstream_free(&ls);
    close(fd);
    assert_text(test_dir.fd, "canary", "untouched");
    assert_int_equal(count_entries("."), 3);
    return rc;
}

static void plain_tree(void **state)
{
    struct buf tar = BUF_INIT;
    struct stat st;

    tar_dir(&tar, "./", 0555);
    tar_dir(&tar, "./etc/", 0500);
    tar_file(&tar, "./etc/passwd", 0640, "root\n");
    tar_file(&tar, "/abs/./x//y", 06755, "set");
    tar_symlink(&tar, "link", "/etc/passwd");
    tar_hardlink(&tar, "hard", "etc/passwd");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "etc/passwd", "root\n");
    assert_text(tree, "abs/x/y", "set");
    assert_text(tree, "hard", "root\n");
    assert_int_equal(mode_of(tree, "."), S_IFDIR | 0755);
    assert_int_equal(mode_of(tree, "etc"), S_IFDIR | 0700);
    assert_int_equal(mode_of(tree, "etc/passwd"), S_IFREG | 0640);
    /* no setuid, no setgid */
    assert_int_equal(mode_of(tree, "abs/x/y"), S_IFREG | 0755);
    assert_int_equal(fstatat(tree, "etc", &st, 0), 0);
    assert_int_equal(st.st_mtime, TAR_MTIME);
    assert_int_equal(fstatat(tree, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_mtime, TAR_MTIME);
    assert_int_equal(fstatat(tree, "etc/passwd", &st, 0), 0);
    assert_int_equal(st.st_mtime, TAR_MTIME);
    assert_int_equal(st.st_nlink, 2);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(writer.notes.implied.count, 2); /* abs, abs/x */
}

static void dotdot_is_refused(void **state)
{
    static const char *const names[] = {"../canary", "a/../../canary", "a/..", ".."};
    size_t i;

    for (i = 0; i < array_size(names); i++) {
        struct buf tar = BUF_INIT;

        error_clear(&err);
        tar_file(&tar, names[i], 0644, "bad");
        tar_end(&tar);
        assert_int_equal(unpack_tar(&tar), -1);
        assert_mentions(names[i]);
    }
}

static void links_do_not_lead_out(void **state)
{
    struct buf tar = BUF_INIT;

    tar_symlink(&tar, "up", "../..");
    tar_symlink(&tar, "abs", test_dir.path);
    tar_symlink(&tar, "canary", "../canary");
    tar_file(&tar, "up/canary", 0644, "bad1");
    tar_file(&tar, "canary", 0644, "own");
    tar_file(&tar, "abs/canary", 0644, "bad2");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    /* "up" is the tree itself, as in a chroot; the link was replaced, not followed */
    assert_text(tree, "canary", "own");
    assert_int_equal(mode_of(tree, "canary") & S_IFMT, S_IFREG);
    /* the absolute link leads to the same path inside the tree */
    assert_true(exists(tree, test_dir.path + 1));
}

static void links_inside_are_followed_for_parents(void **state)
{
    struct buf tar = BUF_INIT;

    tar_dir(&tar, "usr/lib", 0755);
    tar_symlink(&tar, "lib", "/usr/lib");
    tar_file(&tar, "lib/a", 0644, "a");
    tar_symlink(&tar, "late", "usr/share");
    tar_file(&tar, "late/b", 0644, "b");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "usr/lib/a", "a");
    assert_text(tree, "usr/share/b", "b");
    assert_true(S_ISLNK(mode_of(tree, "late")));
}

static void hardlinks_do_not_lead_out(void **state)
{
    struct buf tar = BUF_INIT;

    tar_symlink(&tar, "s", "../canary");
    tar_hardlink(&tar, "h", "s");
    tar_file(&tar, "h", 0644, "own");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "h", "own");
    assert_true(S_ISLNK(mode_of(tree, "s")));
    tar_hardlink(&tar, "bad", "../canary");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("..");
    assert_false(exists(tree, "bad"));
}

static void hardlink_to_a_lower_layer_is_noted(void **state)
{
    struct buf tar = BUF_INIT;

    tar_hardlink(&tar, "new", "usr/bin/old");
    tar_hardlink(&tar, "gone", "usr/bin/older");
    tar_file(&tar, "gone", 0644, "a file after all");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_false(exists(tree, "new"));
    assert_int_equal(writer.notes.links.count, 2);
    assert_string_equal(writer.notes.links.items[0], "new");
    assert_string_equal(writer.notes.links.items[1], "usr/bin/old");
}

static void hardlink_to_a_directory_is_refused(void **state)
{
    struct buf tar = BUF_INIT;

    tar_dir(&tar, "d", 0755);
    tar_hardlink(&tar, "h", "d");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("directory");
}

static void entries_change_their_type(void **state)
{
    struct buf tar = BUF_INIT;

    tar_file(&tar, "a", 0644, "file");
    tar_dir(&tar, "a", 0755);
    tar_file(&tar, "a/x", 0644, "x");
    tar_dir(&tar, "b", 0755);
    tar_file(&tar, "b/y", 0644, "y");
    tar_file(&tar, "b", 0644, "file");
    tar_symlink(&tar, "c", "a");
    tar_dir(&tar, "c", 0755);
    tar_file(&tar, "c/z", 0644, "z");
    tar_dir(&tar, "d", 0755);
    tar_file(&tar, "d/1", 0644, "1");
    tar_symlink(&tar, "d", "a");
    tar_file(&tar, "e", 0644, "first");
    tar_file(&tar, "e", 0600, "second");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "a/x", "x");
    assert_text(tree, "b", "file");
    assert_text(tree, "c/z", "z");
    assert_false(exists(tree, "a/z"));
    assert_true(S_ISLNK(mode_of(tree, "d")));
    assert_text(tree, "e", "second");
    assert_int_equal(mode_of(tree, "e"), S_IFREG | 0600);
}

static void a_kept_parent_that_is_replaced_is_forgotten(void **state)
{
    struct buf tar = BUF_INIT;

    tar_dir(&tar, "real", 0755);
    tar_symlink(&tar, "p", "real");
    tar_file(&tar, "p/1", 0644, "1");
    tar_dir(&tar, "p", 0755);
    tar_file(&tar, "p/2", 0644, "2");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "real/1", "1");
    assert_false(exists(tree, "real/2"));
    assert_text(tree, "p/2", "2");
}

static void closed_directories_take_children(void **state)
{
    struct buf tar = BUF_INIT;

    tar_dir(&tar, "ro", 0555);
    tar_dir(&tar, "none", 0);
    tar_file(&tar, "ro/a", 0, "a");
    tar_file(&tar, "none/b", 0222, "b");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_int_equal(mode_of(tree, "ro"), S_IFDIR | 0755);
    assert_int_equal(mode_of(tree, "none"), S_IFDIR | 0700);
    assert_int_equal(mode_of(tree, "ro/a"), S_IFREG | 0400);
    assert_int_equal(mode_of(tree, "none/b"), S_IFREG | 0622);
}

static void devices_and_fifos_are_skipped(void **state)
{
    struct buf tar = BUF_INIT;

    tar_header(&tar, "c", '3', 0666, 0, NULL);
    tar_header(&tar, "b", '4', 0666, 0, NULL);
    tar_header(&tar, "p", '6', 0666, 0, NULL);
    tar_file(&tar, "f", 0644, "f");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_int_equal(writer.skipped, 3);
    assert_int_equal(writer.entries, 1);
    assert_int_equal(count_entries("tree"), 1);
}

static void whiteouts_are_kept(void **state)
{
    struct buf tar = BUF_INIT;

    tar_file(&tar, "d/.wh..wh..opq", 0644, "");
    tar_file(&tar, ".wh.gone", 0644, "content does not matter");
    tar_header(&tar, ".wh.dev", '3', 0, 0, NULL);
    tar_file(&tar, ".wh..wh.plnk/1.2", 0644, "aufs");
    tar_file(&tar, ".wh..wh.aufs", 0644, "aufs");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "d/.wh..wh..opq", "");
    assert_text(tree, ".wh.gone", "");
    assert_text(tree, ".wh.dev", "");
    assert_int_equal(count_entries("tree"), 3);
}

static void impossible_whiteouts_are_refused(void **state)
{
    static const char *const names[] = {".wh.", ".wh..", "a/.wh...", ".wh.d/file"};
    size_t i;

    for (i = 0; i < array_size(names); i++) {
        struct buf tar = BUF_INIT;

        error_clear(&err);
        tar_file(&tar, names[i], 0644, "");
        tar_end(&tar);
        assert_int_equal(unpack_tar(&tar), -1);
        assert_mentions(names[i]);
    }
}

static void names_may_be_anything_else(void **state)
{
    struct buf tar = BUF_INIT;
    char longest[256];

    memset(longest, 'n', 255);
    longest[255] = '\0';
    tar_file(&tar, "line\nbreak\033[31m", 0644, "1");
    tar_file(&tar, "\xff\xfe", 0644, "2");
    tar_pax(&tar, "path",
            "gr\xc3\xb6\xc3\x9f"
            "e");
    tar_file(&tar, "x", 0644, "3");
    tar_pax(&tar, "path", longest);
    tar_file(&tar, "x", 0644, "4");
    tar_pax(&tar, "linkpath", "\xe2\x82\xac");
    tar_symlink(&tar, "s", "x");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_text(tree, "line\nbreak\033[31m", "1");
    assert_text(tree, "\xff\xfe", "2");
    assert_text(tree,
                "gr\xc3\xb6\xc3\x9f"
                "e",
                "3");
    assert_text(tree, longest, "4");
    assert_int_equal(readlinkat(tree, "s", longest, sizeof(longest)), 3);
    assert_memory_equal(longest, "\xe2\x82\xac", 3);
}

static void names_that_are_too_long_are_refused(void **state)
{
    struct buf tar = BUF_INIT, name = BUF_INIT;
    int i;

    for (i = 0; i < 256; i++)
        buf_addc(&name, 'n');
    tar_pax(&tar, "path", name.data);
    tar_file(&tar, "x", 0644, "");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("component");
    buf_reset(&name);
    for (i = 0; i < 2100; i++)
        buf_adds(&name, "d/");
    tar_pax(&tar, "path", name.data);
    tar_file(&tar, "x", 0644, "");
    tar_end(&tar);
    error_clear(&err);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("longer than");
    buf_release(&name);
}

static void two_thousand_levels(void **state)
{
    struct buf tar = BUF_INIT, name = BUF_INIT;
    int i, fd;

    for (i = 0; i < 2000; i++)
        buf_adds(&name, "d/");
    buf_adds(&name, "f");
    tar_pax(&tar, "path", name.data);
    tar_file(&tar, "x", 0644, "deep");
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    fd = pathfd_open_nofollow(tree, name.data, O_RDONLY, 0, &err);
    assert_true(fd >= 0);
    close(fd);
    buf_release(&name);
}

static void damage_is_noticed(void **state)
{
    struct buf tar = BUF_INIT;

    tar_header(&tar, "cut", '0', 0644, 100000, NULL);
    tar_data(&tar, "only this", 9);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("damaged");
    error_clear(&err);
    tar_file(&tar, "sum", 0644, "x");
    tar.data[0] = 'S'; /* the header's checksum is wrong now */
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    error_clear(&err);
    buf_adds(&tar, "this is no tar archive at all, but a text");
    assert_int_equal(unpack_tar(&tar), -1);
    assert_false(exists(tree, "sum"));
}

static void file_as_parent_is_refused(void **state)
{
    struct buf tar = BUF_INIT;

    tar_file(&tar, "f", 0644, "");
    tar_file(&tar, "f/x", 0644, "");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("f/x");
    error_clear(&err);
    tar_symlink(&tar, "l1", "l2");
    tar_symlink(&tar, "l2", "l1");
    tar_file(&tar, "l1/x", 0644, "");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    assert_mentions("l1/x");
}

static void root_cannot_be_replaced(void **state)
{
    struct buf tar = BUF_INIT;

    tar_symlink(&tar, "./", "/etc");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
    error_clear(&err);
    tar_hardlink(&tar, "x", "/");
    tar_end(&tar);
    assert_int_equal(unpack_tar(&tar), -1);
}

static void empty_layers_are_fine(void **state)
{
    struct buf tar = BUF_INIT;

    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_ok(unpack_tar(&tar)); /* no byte at all */
    assert_int_equal(count_entries("tree"), 0);
}

static void sparse_stays_sparse(void **state)
{
    static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                              "32 GNU.sparse.realsize=67108864\n";
    struct buf tar = BUF_INIT;
    char block[512];
    struct stat st;

    /* GNU.sparse 1.0: a map in front of the data, one block at the end of 64 MiB */
    tar_header(&tar, "pax", 'x', 0644, strlen(pax), NULL);
    tar_data(&tar, pax, strlen(pax));
    tar_header(&tar, "sp", '0', 0644, 1024, NULL);
    tar_data(&tar, "1\n67108352\n512\n", 15);
    memset(block, 'z', sizeof(block));
    tar_data(&tar, block, sizeof(block));
    tar_end(&tar);
    assert_ok(unpack_tar(&tar));
    assert_int_equal(fstatat(tree, "sp", &st, 0), 0);
    assert_int_equal(st.st_size, 67108864);
    assert_true(st.st_blocks * 512 < 1024 * 1024);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_tree),
        TEST(dotdot_is_refused),
        TEST(links_do_not_lead_out),
        TEST(links_inside_are_followed_for_parents),
        TEST(hardlinks_do_not_lead_out),
        TEST(hardlink_to_a_lower_layer_is_noted),
        TEST(hardlink_to_a_directory_is_refused),
        TEST(entries_change_their_type),
        TEST(a_kept_parent_that_is_replaced_is_forgotten),
        TEST(closed_directories_take_children),
        TEST(devices_and_fifos_are_skipped),
        TEST(whiteouts_are_kept),
        TEST(impossible_whiteouts_are_refused),
        TEST(names_may_be_anything_else),
        TEST(names_that_are_too_long_are_refused),
        TEST(two_thousand_levels),
        TEST(damage_is_noticed),
        TEST(file_as_parent_is_refused),
        TEST(root_cannot_be_replaced),
        TEST(empty_layers_are_fine),
        TEST(sparse_stays_sparse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
