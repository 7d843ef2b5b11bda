/* Images that are left as layers: which can be, that nothing is composed, and that they
 * stay whole. */
#include "unit/image/store_test.h"

#include "image/rootscan.h"
#include "image/store_overlay.h"

static int setup(void **state)
{
    if (store_setup(state) < 0)
        return -1;
    store_set_overlay(&store, true);
    return 0;
}

#define LAYERS "s/repx/store-v1/layers"
#define ROOTFS "s/repx/store-v1/rootfs"
#define TMP "s/repx/store-v1/tmp"

/* Three tars; each test adds to them. */
static struct buf tars[3];

static void make(const char *dir)
{
    for (size_t i = 0; i < 3; i++)
        tar_end(&tars[i]);
    test_docker_image(dir, tars, 3, -1);
    for (size_t i = 0; i < 3; i++)
        buf_release(&tars[i]);
}

static int prepare(const char *name)
{
    image_rootfs_release(&rootfs);
    image_release(&img);
    error_clear(&err);
    if (image_open_cached(&img, test_path(name), &store, &err) < 0)
        return -1;
    return image_prepare(&img, &store, NULL, &rootfs, &err);
}

static void assert_reads(const char *path, const char *expected)
{
    struct buf text = BUF_INIT;

    assert_ok(rootscan_read(&rootfs.tree, path, &text, &err));
    assert_string_equal(buf_str(&text), expected);
    buf_release(&text);
}

/* Layers of a store path each, the way there declared, and a small one on top. */
static void make_disjoint(const char *dir, const char *text)
{
    for (size_t i = 0; i < 2; i++) {
        tar_dir(&tars[i], "nix", 0755);
        tar_dir(&tars[i], "nix/store", 0755);
        tar_dir(&tars[i], i ? "nix/store/bbb" : "nix/store/aaa", 0555);
        tar_file(&tars[i], i ? "nix/store/bbb/f" : "nix/store/aaa/f", 0444, text);
    }
    tar_dir(&tars[2], "etc", 0755);
    tar_file(&tars[2], "etc/passwd", 0644, dir);
    make(dir);
}

static void disjoint_layers_are_left(void **state)
{
    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_true(rootfs.tree.merged);
    assert_string_equal(image_rootfs_mode(&rootfs), "overlay");
    assert_int_equal(rootfs.tree.n_layers, 3);
    assert_string_equal(rootfs.tree.layers[0].prefix, "nix/store/aaa");
    assert_string_equal(rootfs.tree.layers[2].prefix, "etc");
    assert_reads("/nix/store/aaa/f", "x");
    assert_reads("/nix/store/bbb/f", "x");
    assert_reads("/etc/passwd", "img");
    assert_int_equal(rootfs.tree.n_dirs, 0);
    /* the second time from the store */
    assert_ok(prepare("img"));
    assert_false(rootfs.extracted);
    assert_true(rootfs.tree.merged);
    assert_reads("/etc/passwd", "img");
    /* no tree was made: list, record, time of use, mark of this boot */
    assert_int_equal(count_entries(strstr(rootfs.path, "s/repx")), 4);
    assert_int_equal(count_entries(ROOTFS), 1);
    assert_int_equal(count_entries(TMP), 0);
}

static void without_overlay_it_is_composed(void **state)
{
    struct store_entry *entries;
    size_t n;

    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    assert_true(rootfs.tree.merged);
    /* podman asks, or a boot later the kernel cannot */
    store_set_overlay(&store, false);
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_false(rootfs.tree.merged);
    assert_string_equal(image_rootfs_mode(&rootfs), "flat");
    assert_text(rootfs.dirfd, "nix/store/bbb/f", "x");
    assert_int_equal(rootfs.bytes, 0);
    /* and the tree is good enough when overlay is there again */
    store_set_overlay(&store, true);
    assert_ok(prepare("img"));
    assert_false(rootfs.extracted);
    assert_false(rootfs.tree.merged);
    assert_ok(store_list(&store, &entries, &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(entries[0].layers, 3);
    store_entries_free(entries, n);
}

static void expect_composed(const char *file, const char *text)
{
    make("img");
    assert_ok(prepare("img"));
    assert_string_equal(image_rootfs_mode(&rootfs), "flat");
    assert_reads(file, text);
}

static void whiteouts_are_composed(void **state)
{
    tar_file(&tars[0], "gone", 0644, "x");
    tar_file(&tars[0], "kept", 0644, "kept");
    tar_file(&tars[1], ".wh.gone", 0644, "");
    expect_composed("/kept", "kept");
    assert_false(exists(rootfs.dirfd, "gone"));
}

/* Also in the lowest layer, where a marker hides nothing but is no file either. */
static void markers_below_everything_are_composed(void **state)
{
    tar_dir(&tars[0], "d", 0755);
    tar_file(&tars[0], "d/.wh..wh..opq", 0644, "");
    tar_file(&tars[0], "d/f", 0644, "f");
    expect_composed("/d/f", "f");
    assert_false(exists(rootfs.dirfd, "d/.wh..wh..opq"));
}

static void links_to_other_layers_are_composed(void **state)
{
    tar_file(&tars[0], "sh", 0755, "shell");
    tar_hardlink(&tars[1], "bash", "sh");
    expect_composed("/bash", "shell");
}

static void files_behind_a_link_are_composed(void **state)
{
    tar_dir(&tars[0], "usr", 0755);
    tar_dir(&tars[0], "usr/lib", 0755);
    tar_symlink(&tars[0], "lib", "usr/lib");
    tar_file(&tars[1], "lib/so", 0644, "so");
    expect_composed("/usr/lib/so", "so");
}

/* A declared directory over a link takes its place: overlay shows that, too. */
static void a_directory_over_a_link_is_left(void **state)
{
    tar_symlink(&tars[0], "lib", "usr/lib");
    tar_dir(&tars[1], "lib", 0755);
    tar_file(&tars[1], "lib/so", 0644, "so");
    make("img");
    assert_ok(prepare("img"));
    assert_true(rootfs.tree.merged);
    assert_reads("/lib/so", "so");
}

static void implied_on_top_of_declared_is_corrected(void **state)
{
    struct stat st;

    tar_dir(&tars[0], "a", 0700);
    tar_dir(&tars[0], "a/b", 0711);
    tar_file(&tars[1], "a/b/c/file", 0644, "1");
    tar_dir(&tars[2], "a", 0750);
    tar_file(&tars[2], "a/b/other", 0644, "2");
    make("img");
    for (int again = 0; again < 2; again++) {
        assert_ok(prepare("img"));
        assert_true(rootfs.tree.merged);
        assert_int_equal(rootfs.tree.n_dirs, 1);
        assert_string_equal(rootfs.tree.dirs[0].path, "a/b");
        assert_ok(roottree_look(&rootfs.tree, "a", &st, NULL, &err));
        assert_int_equal(st.st_mode & 0777, 0750);
        assert_ok(roottree_look(&rootfs.tree, "a/b", &st, NULL, &err));
        assert_int_equal(st.st_mode & 0777, 0711);
        assert_int_equal(st.st_mtim.tv_sec, TAR_MTIME);
    }
}

static void a_missing_layer_is_extracted_again(void **state)
{
    char path[PATH_MAX];

    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    assert_ok(pathfd_remove_tree(store.layers_fd, img.layers[1].diff_id.hex, &err));
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_reads("/nix/store/bbb/f", "x");
    /* half removed: its record went first */
    snprintf(path, sizeof(path), LAYERS "/%s/record.json", img.layers[0].diff_id.hex);
    assert_int_equal(unlinkat(test_dir.fd, path, 0), 0);
    assert_ok(prepare("img"));
    assert_true(rootfs.extracted);
    assert_reads("/nix/store/aaa/f", "x");
}

static void a_damaged_list_is_made_again(void **state)
{
    char path[PATH_MAX];
    static const char *const texts[] = {"", "l", "lxyz", "q", "d1 2"};

    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    snprintf(path, sizeof(path), ROOTFS "/%s/overlay", img.id.hex);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        test_write(path, texts[i], strlen(texts[i]) + (i > 0));
        assert_ok(prepare("img"));
        assert_true(rootfs.extracted);
        assert_true(rootfs.tree.merged);
    }
}

/* Its layers are what a running sandbox has mounted. */
static void verify_leaves_layers_in_use(void **state)
{
    struct store_verified v;
    char path[PATH_MAX];

    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    snprintf(path, sizeof(path), LAYERS "/%s/tree/nix/store/aaa/f",
             img.layers[0].diff_id.hex);
    assert_int_equal(fchmodat(test_dir.fd, path, 0644, 0), 0);
    test_text(path, "y");
    assert_ok(store_verify(&store, NULL, &v, &err));
    assert_int_equal(v.n, 2);
    assert_true(v.damaged[0].layer);
    assert_false(v.damaged[0].removed);
    assert_false(v.damaged[1].removed);
    store_verified_release(&v);
    assert_true(exists(test_dir.fd, path));
    image_rootfs_release(&rootfs);
    assert_ok(store_verify(&store, NULL, &v, &err));
    assert_int_equal(v.n, 2);
    assert_true(v.damaged[0].removed);
    assert_true(v.damaged[1].removed);
    store_verified_release(&v);
    assert_false(exists(test_dir.fd, path));
    assert_ok(prepare("img"));
    assert_reads("/nix/store/aaa/f", "x");
    assert_ok(store_verify(&store, NULL, &v, &err));
    assert_int_equal(v.n, 0);
    store_verified_release(&v);
}

static void eviction_takes_image_and_layers(void **state)
{
    struct store_prune goal = STORE_PRUNE_INIT;
    struct store_pruned gone;

    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    goal.all = true;
    assert_ok(store_prune(&store, &goal, &gone, &err));
    assert_int_equal(gone.n, 0);
    assert_int_equal(gone.layers, 0);
    store_pruned_release(&gone);
    assert_int_equal(count_entries(LAYERS), 3);
    image_rootfs_release(&rootfs);
    assert_ok(store_prune(&store, &goal, &gone, &err));
    assert_int_equal(gone.n, 1);
    assert_int_equal(gone.layers, 3);
    store_pruned_release(&gone);
    assert_int_equal(count_entries(LAYERS), 0);
    assert_int_equal(count_entries(ROOTFS), 0);
}

/* A failed build drops the layers that it has made, but not those of an image. */
static void a_layer_of_an_image_is_not_dropped(void **state)
{
    make_disjoint("img", "x");
    assert_ok(prepare("img"));
    store_layer_drop(&store, &img.layers[0].diff_id);
    assert_int_equal(count_entries(LAYERS), 3);
}

int main(void)
{
#define in_dir(f) cmocka_unit_test_setup_teardown(f, setup, store_teardown)
    const struct CMUnitTest tests[] = {
        in_dir(disjoint_layers_are_left),
        in_dir(without_overlay_it_is_composed),
        in_dir(whiteouts_are_composed),
        in_dir(markers_below_everything_are_composed),
        in_dir(links_to_other_layers_are_composed),
        in_dir(files_behind_a_link_are_composed),
        in_dir(a_directory_over_a_link_is_left),
        in_dir(implied_on_top_of_declared_is_corrected),
        in_dir(a_missing_layer_is_extracted_again),
        in_dir(a_damaged_list_is_made_again),
        in_dir(verify_leaves_layers_in_use),
        in_dir(eviction_takes_image_and_layers),
        in_dir(a_layer_of_an_image_is_not_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
