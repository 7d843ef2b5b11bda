/* Verification: a flipped bit, a missing, added or changed entry, and the repair. */
#include "unit/image/store_test.h"

#include <sys/file.h>

#include "image/treesum.h"

#define LAYERS "s/repx/store-v1/layers"
#define ROOTFS "s/repx/store-v1/rootfs"
#define TMP "s/repx/store-v1/tmp"

static struct store_verified result;

static int prepare(const char *name)
{
    image_rootfs_release(&rootfs);
    image_release(&img);
    error_clear(&err);
    if (image_open_cached(&img, test_path(name), &store, &err) < 0)
        return -1;
    return image_prepare(&img, &store, NULL, &rootfs, &err);
}

static void make_image(const char *dir)
{
    struct buf tars[2] = {BUF_INIT, BUF_INIT};

    tar_dir(&tars[0], "bin", 0555);
    tar_file(&tars[0], "bin/sh", 0755, "shell");
    tar_header(&tars[0], "bin/bash", '1', 0755, 0, "bin/sh");
    tar_header(&tars[0], "link", '2', 0777, 0, "bin/sh");
    tar_file(&tars[0], "twice", 0644, "first");
    tar_file(&tars[0], "twice", 0644, "second");
    tar_file(&tars[0], "old\nname", 0644, "old");
    tar_end(&tars[0]);
    tar_file(&tars[1], ".wh.twice", 0644, "");
    tar_file(&tars[1], "own/file", 0600, dir);
    tar_file(&tars[1], "empty", 0600, "");
    tar_header(&tars[1], "own/sh", '1', 0755, 0, "bin/sh");
    tar_end(&tars[1]);
    test_docker_image(dir, tars, 2, -1);
    buf_release(&tars[0]);
    buf_release(&tars[1]);
}

static int setup(void **state)
{
    result = (struct store_verified)STORE_VERIFIED_INIT;
    if (store_setup(state) < 0)
        return -1;
    make_image("img");
    if (prepare("img") < 0)
        return -1;
    image_rootfs_release(&rootfs);
    return 0;
}

static int teardown(void **state)
{
    store_verified_release(&result);
    return store_teardown(state);
}

static void verify(size_t damaged)
{
    store_verified_release(&result);
    assert_ok(store_verify(&store, NULL, &result, &err));
    assert_int_equal(result.n, damaged);
    assert_int_equal(count_entries(TMP), 0);
}

/* A path in layer n, or in the root filesystem. */
static const char *at(int layer, const char *name)
{
    static char path[PATH_MAX];

    if (layer < 0)
        snprintf(path, sizeof(path), ROOTFS "/%s/root/%s", img.id.hex, name);
    else
        snprintf(path, sizeof(path), LAYERS "/%s/tree/%s",
                 img.layers[layer].diff_id.hex, name);
    return path;
}

static void overwrite(const char *path, const char *text)
{
    struct stat st;
    struct timespec times[2];
    int fd;

    assert_int_equal(fstatat(test_dir.fd, path, &st, 0), 0);
    assert_int_equal(fchmodat(test_dir.fd, path, 0700, 0), 0);
    fd = openat(test_dir.fd, path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    times[0] = times[1] = st.st_mtim; /* as bad memory would: nothing else changes */
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(fchmod(fd, st.st_mode & 07777), 0);
    close(fd);
}

/* The next launch makes all of it again. */
static void repaired(void)
{
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_text(rootfs.dirfd, "bin/sh", "shell");
    assert_text(rootfs.dirfd, "own/sh", "shell");
    assert_text(rootfs.dirfd, "own/file", "img");
    image_rootfs_release(&rootfs);
    verify(0);
}

static void an_intact_store_is_intact(void **state)
{
    (void)state;
    verify(0);
    assert_int_equal(result.layers, 2);
    assert_int_equal(result.images, 1);
    /* shell twice (one file, two names), second, old, img */
    assert_int_equal(result.bytes, 5 + 5 + 6 + 3 + 3);
    make_image("img2");
    assert_ok(prepare("img2"));
    verify(0);
    assert_int_equal(result.images, 2);
}

static void a_flipped_bit_is_found_and_repaired(void **state)
{
    (void)state;
    overwrite(at(0, "bin/sh"), "shelm");
    verify(2);
    assert_true(result.damaged[0].layer);
    assert_true(result.damaged[0].removed);
    assert_string_equal(result.damaged[0].id.hex, img.layers[0].diff_id.hex);
    assert_int_equal(result.damaged[0].n_problems, 2);
    assert_string_equal(result.damaged[0].problems.items[0], "changed /bin/bash");
    assert_string_equal(result.damaged[0].problems.items[1], "changed /bin/sh");
    assert_false(result.damaged[1].layer);
    assert_true(result.damaged[1].removed);
    assert_int_equal(count_entries(LAYERS), 1);
    assert_int_equal(count_entries(ROOTFS), 0);
    repaired();
}

static void every_kind_of_change_is_found(void **state)
{
    static const struct {
        const char *path, *problem;
    } cases[] = {
        {"link", "changed /link"},     {"bin", "changed /bin"},
        {"twice", "missing /twice"},   {"new", "added /new"},
        {"bin/sh", "changed /bin/sh"}, {"", "changed /"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < array_size(cases); i++) {
        const char *path = at(0, cases[i].path);

        if (strcmp(cases[i].path, "link") == 0) {
            assert_int_equal(unlinkat(test_dir.fd, path, 0), 0);
            assert_int_equal(symlinkat("bin/s", test_dir.fd, path), 0);
        } else if (strcmp(cases[i].path, "twice") == 0) {
            assert_int_equal(unlinkat(test_dir.fd, path, 0), 0);
        } else if (strcmp(cases[i].path, "new") == 0) {
            test_text(path, "");
        } else {
            assert_int_equal(fchmodat(test_dir.fd, path, 0711, 0), 0);
        }
        verify(2);
        if (!strv_contains(&result.damaged[0].problems, cases[i].problem))
            fail_msg("%s: %s", cases[i].problem, result.damaged[0].problems.items[0]);
        repaired();
    }
}

static void a_changed_root_filesystem_is_found(void **state)
{
    (void)state;
    /* a file of its own with the same content is no damage: a store that was copied
     * has only such files */
    assert_int_equal(unlinkat(test_dir.fd, at(-1, "own/file"), 0), 0);
    test_text(at(-1, "own/file"), "img");
    assert_int_equal(fchmodat(test_dir.fd, at(-1, "own/file"), 0600, 0), 0);
    verify(0);
    test_text(at(-1, "own/file"), "omg");
    assert_int_equal(fchmodat(test_dir.fd, at(-1, "own/file"), 0600, 0), 0);
    verify(1);
    assert_false(result.damaged[0].layer);
    assert_string_equal(result.damaged[0].problems.items[0], "changed /own/file");
    assert_int_equal(count_entries(LAYERS), 2);
    repaired();
    test_text(at(-1, "added\nfile"), "img");
    verify(1);
    repaired();
}

static void damaged_checksums_are_damage(void **state)
{
    char path[PATH_MAX];

    (void)state;
    snprintf(path, sizeof(path), LAYERS "/%s/sums", img.layers[0].diff_id.hex);
    overwrite(path, "x");
    verify(2);
    repaired();
    assert_int_equal(unlinkat(test_dir.fd, path, 0), 0);
    verify(2);
    repaired();
}

/* They are no part of the tree: which names are links to layers below, and whiteouts.
 */
static void lost_notes_are_damage(void **state)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), LAYERS "/%s/notes", img.layers[1].diff_id.hex);
    overwrite(path, "?");
    verify(2); /* the layer, and the image made of it */
    assert_string_equal(result.damaged[0].problems.items[0], "its notes are damaged");
    repaired();
}

static void what_is_in_use_is_told_and_stays(void **state)
{
    (void)state;
    assert_ok(prepare("img"));
    overwrite(at(0, "bin/sh"), "shelm");
    verify(2);
    assert_true(result.damaged[0].removed);
    assert_false(result.damaged[1].removed);
    assert_text(rootfs.dirfd, "bin/sh", "shelm");
    /* still known, although the layer is gone */
    verify(1);
    image_rootfs_release(&rootfs);
    /* and also when the layer came back with another image */
    make_image("img2");
    assert_ok(prepare("img2"));
    image_rootfs_release(&rootfs);
    image_release(&img);
    assert_ok(image_open_cached(&img, test_path("img"), &store, &err));
    verify(1);
    assert_true(result.damaged[0].removed);
    repaired();
}

static void a_missing_layer_is_damage_of_its_images(void **state)
{
    (void)state;
    assert_ok(pathfd_remove_tree(store.layers_fd, img.layers[1].diff_id.hex, &err));
    verify(1);
    assert_int_equal(count_entries(ROOTFS), 0);
    repaired();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_intact_store_is_intact, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_found_and_repaired, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(every_kind_of_change_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_root_filesystem_is_found, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(damaged_checksums_are_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(lost_notes_are_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_in_use_is_told_and_stays, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_missing_layer_is_damage_of_its_images, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
