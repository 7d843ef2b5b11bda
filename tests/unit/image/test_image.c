/* image_open: every kind, and what is wrong with them. */
#include "unit/image/image_test.h"

static struct error err;
static struct image img;

static int setup(void **state)
{
    error_clear(&err);
    img = (struct image)IMAGE_INIT;
    return test_setup(state);
}

static int teardown(void **state)
{
    image_release(&img);
    return test_teardown(state);
}

static void make_tar(struct buf *tar, const char *name, const char *text)
{
    tar_file(tar, name, 0644, text);
    tar_end(tar);
}

static void make_docker(const char *dir, size_t n)
{
    struct buf tars[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    size_t i;

    make_tar(&tars[0], "a", "1");
    make_tar(&tars[1], "b", "22");
    make_tar(&tars[2], "c", "333");
    test_docker_image(dir, tars, n, -1);
    for (i = 0; i < 3; i++)
        buf_release(&tars[i]);
}

static void expect_error(const char *name, const char *what)
{
    error_clear(&err);
    assert_int_equal(image_open(&img, test_path(name), &err), -1);
    assert_mentions(what);
    assert_int_equal(img.fd, -1);
}

static void docker_directory(void **state)
{
    struct digest ids[3], chain;
    size_t i;

    make_docker("img", 3);
    assert_ok(image_open(&img, test_path("img"), &err));
    assert_int_equal(img.kind, IMAGE_DOCKER_DIR);
    assert_int_equal(img.n_layers, 3);
    assert_string_equal(img.layers[0].path, "l0/layer.tar");
    assert_false(img.layers[0].has_blob);
    assert_false(img.layers[0].compressed);
    assert_int_equal(img.layers[0].size, 2048);
    assert_string_equal(img.env.items[1], "A=b=c");
    assert_string_equal(img.workdir, "/w");
    assert_string_equal(img.architecture, "amd64");
    assert_true(img.has_config);
    for (i = 0; i < 3; i++)
        ids[i] = img.layers[i].diff_id;
    assert_ok(digest_chain(ids, 3, &chain, &err));
    assert_true(digest_equal(&chain, &img.id));
}

static void selector_chooses_a_tag(void **state)
{
    make_docker("img", 1);
    assert_ok(image_open(&img, test_path("img:t"), &err));
    image_release(&img);
    expect_error("img:other", "other");
}

static void docker_manifest_faults(void **state)
{
    static const struct {
        const char *manifest, *what;
    } cases[] = {
        {"", "valid JSON"},
        {"[", "valid JSON"},
        {"[]", "not an array with an image"},
        {"{}", "not an array with an image"},
        {"[{}]", "Config"},
        {"[{\"Config\":\"c.json\"}]", "no layers"},
        {"[{\"Config\":\"c.json\",\"Layers\":[]}]", "no layers"},
        {"[{\"Config\":\"c.json\",\"Layers\":[1]}]", "not a string"},
        {"[{\"Config\":\"c.json\",\"Layers\":\"l\"}]", "not an array"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"../x\"]}]", ".."},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"/etc/passwd\"]}]", "not a file inside"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"gone\"]}]", "missing"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"dir\"]}]", "regular file"},
        {"[{\"Config\":\"../c\",\"Layers\":[\"l\"]}]", "plain relative"},
        {"[{\"Config\":\"gone.json\",\"Layers\":[\"l\"]}]", "gone.json"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"l\",\"l\"]}]", "lists 2 layers"},
        {"[{\"Config\":\"c.json\",\"Config\":\"c\",\"Layers\":[\"l\"]}]", "duplicate"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"fifo\"]}]", "regular file"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"dangling\"]}]", "does not exist"},
        {"[{\"Config\":\"c.json\",\"Layers\":[\"outdir/l\"]}]", "outdir"},
    };
    size_t i;

    test_text("img/l", "x");
    test_mkdir("img/dir");
    test_text("outside/l", "x");
    assert_int_equal(symlinkat("../outside", test_dir.fd, "img/outdir"), 0);
    assert_int_equal(symlinkat("nowhere", test_dir.fd, "img/dangling"), 0);
    assert_int_equal(mkfifoat(test_dir.fd, "img/fifo", 0600), 0);
    test_text("img/c.json",
              "{\"rootfs\":{\"diff_ids\":[\"sha256:0123456789abcdef0123456789"
              "abcdef0123456789abcdef0123456789abcdef\"]}}");
    for (i = 0; i < array_size(cases); i++) {
        test_text("img/manifest.json", cases[i].manifest);
        expect_error("img", cases[i].what);
    }
    test_text("img/manifest.json", "[{\"Config\":\"c.json\",\"Layers\":[\"l\"]}]");
    assert_ok(image_open(&img, test_path("img"), &err));
}

static void config_faults(void **state)
{
    static const struct {
        const char *config, *what;
    } cases[] = {
        {"[]", "not a JSON object"},
        {"{}", "diff_ids"},
        {"{\"rootfs\":{\"diff_ids\":[]}}", "lists 1 layers"},
        {"{\"rootfs\":{\"diff_ids\":[\"md5:1\"]}}", "not a sha256"},
        {"{\"rootfs\":{\"diff_ids\":[7]}}", "not a sha256"},
        {"{\"config\":7}", "not an object"},
        {"{\"config\":{\"Env\":[\"NOVALUE\"]}}", "NAME=VALUE"},
        {"{\"config\":{\"Env\":{}}}", "not an array"},
        {"{\"config\":{\"WorkingDir\":[]}}", "not a string"},
        {"{\"architecture\":7}", "not a string"},
    };
    size_t i;

    test_text("img/l", "x");
    test_text("img/manifest.json", "[{\"Config\":\"c.json\",\"Layers\":[\"l\"]}]");
    for (i = 0; i < array_size(cases); i++) {
        test_text("img/c.json", cases[i].config);
        expect_error("img", cases[i].what);
    }
}

static void config_is_checked_against_its_name(void **state)
{
    test_text("img/l", "x");
    test_text(
        "img/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.json",
        "{}");
    test_text(
        "img/manifest.json",
        "[{\"Config\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
        "abcdef.json\",\"Layers\":[\"l\"]}]");
    expect_error("img", "has the digest");
}

static void huge_json_is_refused(void **state)
{
    struct buf text = BUF_INIT;

    while (text.len <= (size_t)8 * 1024 * 1024)
        buf_adds(&text,
                 "                                                                ");
    test_write("img/manifest.json", text.data, text.len);
    buf_release(&text);
    expect_error("img", "manifest.json");
    {
        struct buf deep = BUF_INIT;
        int i;

        for (i = 0; i < 100000; i++)
            buf_addc(&deep, '[');
        test_write("img/manifest.json", deep.data, deep.len);
        buf_release(&deep);
    }
    expect_error("img", "valid JSON");
}

/* Packs files of the test directory's dir into an archive, in this order. */
static void pack(struct buf *tar, const char *dir, const char *const *names, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        struct buf text = BUF_INIT;
        char path[PATH_MAX];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        fd = openat(test_dir.fd, path, O_RDONLY);
        assert_true(fd >= 0);
        assert_ok(pathfd_read_all(fd, 1 << 20, &text, &err));
        close(fd);
        tar_header(tar, names[i], '0', 0644, text.len, NULL);
        tar_data(tar, text.data, text.len);
        buf_release(&text);
    }
}

static void docker_archive_with_manifest_last(void **state)
{
    struct buf tar = BUF_INIT;
    const char *names[4] = {"l1/layer.tar", "l0/layer.tar", NULL, "manifest.json"};
    char config[128];

    make_docker("img", 2);
    assert_ok(image_open(&img, test_path("img"), &err));
    snprintf(config, sizeof(config), "%s.json", img.config.hex);
    names[2] = config;
    pack(&tar, "img", names, 4);
    tar_end(&tar);
    test_write("img.tar", tar.data, tar.len);
    {
        struct image archive = IMAGE_INIT;

        assert_ok(image_open(&archive, test_path("img.tar"), &err));
        assert_int_equal(archive.kind, IMAGE_DOCKER_ARCHIVE);
        assert_true(digest_equal(&archive.id, &img.id));
        assert_int_equal(archive.layers[1].size, 2048);
        assert_true(archive.ref.hex[0] != '\0');
        image_release(&archive);
    }
    /* cut short: an error, not another kind of image */
    test_write("cut.tar", tar.data, 3000);
    buf_release(&tar);
    image_release(&img);
    expect_error("cut.tar", "damaged");
}

static void archive_links_are_resolved(void **state)
{
    struct buf tar = BUF_INIT;
    const char *names[] = {"l0/layer.tar", NULL, "manifest.json"};
    char config[128];

    make_docker("img", 1);
    assert_ok(image_open(&img, test_path("img"), &err));
    snprintf(config, sizeof(config), "%s.json", img.config.hex);
    image_release(&img);
    names[1] = config;
    test_text("real/layer.tar", "");
    pack(&tar, "img", names + 1, 2);
    tar_symlink(&tar, "l0/layer.tar", "../real/layer.tar");
    tar_hardlink(&tar, "real/layer.tar", "blob");
    tar_file(&tar, "blob", 0644, "some bytes");
    tar_end(&tar);
    test_write("img.tar", tar.data, tar.len);
    assert_ok(image_open(&img, test_path("img.tar"), &err));
    assert_int_equal(img.layers[0].size, 10);
    image_release(&img);
    buf_reset(&tar);
    pack(&tar, "img", names + 1, 2);
    tar_symlink(&tar, "l0/layer.tar", "../../etc/passwd");
    tar_end(&tar);
    test_write("img.tar", tar.data, tar.len);
    buf_release(&tar);
    /* a link out of the archive names nothing in it */
    expect_error("img.tar", "\"l0/layer.tar\", is missing");
}

static void rootfs_tar_and_directory(void **state)
{
    struct buf tar = BUF_INIT;

    tar_dir(&tar, "./", 0755);
    tar_file(&tar, "./bin/sh", 0755, "#!");
    tar_file(&tar, "./manifest.json", 0755, "a file of the tree");
    tar_end(&tar);
    test_write("root.tar", tar.data, tar.len);
    buf_release(&tar);
    assert_ok(image_open(&img, test_path("root.tar"), &err));
    assert_int_equal(img.kind, IMAGE_ROOTFS_TAR);
    assert_int_equal(img.n_layers, 1);
    assert_string_equal(img.id.hex, "");
    image_release(&img);
    expect_error("root.tar:tag", "tag");
    test_mkdir("root/bin");
    assert_ok(image_open(&img, test_path("root"), &err));
    assert_int_equal(img.kind, IMAGE_ROOTFS_DIR);
    image_release(&img);
    test_mkdir("empty");
    expect_error("empty", "empty");
}

static void not_an_image(void **state)
{
    test_text("text", "just some text that is not a tar archive of any kind");
    expect_error("text", "text");
    test_text("nothing", "");
    expect_error("nothing", "empty");
    expect_error("gone", "No such file");
    assert_int_equal(mkfifoat(test_dir.fd, "fifo", 0600), 0);
    expect_error("fifo", "neither");
}

/* ---- OCI ---- */

static void blob(const char *dir, const void *data, size_t len, char *hex)
{
    struct digest d;
    char name[PATH_MAX];

    assert_int_equal(digest_of(data, len, &d, &err), 0);
    snprintf(name, sizeof(name), "%s/blobs/sha256/%s", dir, d.hex);
    test_write(name, data, len);
    memcpy(hex, d.hex, sizeof(d.hex));
}

/* An OCI layout with one layer; extra is put into the index' manifests. */
static void make_oci(const char *dir, const char *layer_type, long long size_error,
                     const char *extra)
{
    struct buf tar = BUF_INIT, text = BUF_INIT;
    char layer[65], config[65], manifest[65], name[PATH_MAX];
    size_t size;

    make_tar(&tar, "a", "1");
    blob(dir, tar.data, tar.len, layer);
    buf_addf(&text, "{\"rootfs\":{\"diff_ids\":[\"sha256:%s\"]}}", layer);
    blob(dir, text.data, text.len, config);
    buf_reset(&text);
    buf_addf(&text,
             "{\"schemaVersion\":2,\"config\":{\"digest\":\"sha256:%s\"},\"layers\":[{"
             "\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%lld}]}",
             config, layer_type, layer, (long long)tar.len + size_error);
    blob(dir, text.data, text.len, manifest);
    size = text.len;
    buf_reset(&text);
    buf_addf(&text,
             "{\"manifests\":[{\"digest\":\"sha256:%s\",\"size\":%zu,\"annotations\":{"
             "\"org.opencontainers.image.ref.name\":\"v1\"}}%s]}",
             manifest, size, extra);
    snprintf(name, sizeof(name), "%s/index.json", dir);
    test_write(name, text.data, text.len);
    snprintf(name, sizeof(name), "%s/oci-layout", dir);
    test_text(name, "{\"imageLayoutVersion\":\"1.0.0\"}");
    buf_release(&tar);
    buf_release(&text);
}

#define LAYER_TAR "application/vnd.oci.image.layer.v1.tar"
#define OTHER_ARCH                                                                     \
    ",{\"digest\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789" \
    "abcdef\",\"platform\":{\"architecture\":\"s390x\",\"os\":\"linux\"}}"
#define SECOND                                                                         \
    ",{\"digest\":\"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789" \
    "abcdef\"}"

static void oci_layout(void **state)
{
    make_oci("oci", LAYER_TAR, 0, "");
    assert_ok(image_open(&img, test_path("oci"), &err));
    assert_int_equal(img.kind, IMAGE_OCI_DIR);
    assert_true(img.layers[0].has_blob);
    assert_true(digest_equal(&img.layers[0].blob, &img.layers[0].diff_id));
    image_release(&img);
    assert_ok(image_open(&img, test_path("oci:v1"), &err));
    image_release(&img);
    expect_error("oci:v2", "v2");
}

static void oci_choice(void **state)
{
    make_oci("oci", LAYER_TAR, 0, OTHER_ARCH);
    assert_ok(image_open(&img, test_path("oci"), &err));
    image_release(&img);
    make_oci("two", LAYER_TAR, 0, SECOND);
    expect_error("two", "2 images");
    assert_ok(image_open(&img, test_path("two:v1"), &err));
    image_release(&img);
    expect_error("two@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
                 "abcdef",
                 "missing");
}

static void oci_faults(void **state)
{
    make_oci("type", "application/vnd.oci.image.layer.v1.tar+encrypted", 0, "");
    expect_error("type", "not supported");
    make_oci("size", LAYER_TAR, 1, "");
    expect_error("size", "not the number");
    make_oci("version", LAYER_TAR, 0, "");
    test_text("version/oci-layout", "{\"imageLayoutVersion\":\"7\"}");
    expect_error("version", "version");
    make_oci("index", LAYER_TAR, 0, "");
    test_text("index/index.json",
              "{\"manifests\":[{\"digest\":\"sha256:../../../etc/passwd\"}]}");
    expect_error("index", "only sha256");
    assert_int_equal(unlinkat(test_dir.fd, "index/index.json", 0), 0);
    expect_error("index", "no index.json");
}

static void oci_blobs_are_verified(void **state)
{
    char name[PATH_MAX];

    make_oci("oci", LAYER_TAR, 0, "");
    assert_ok(image_open(&img, test_path("oci"), &err));
    snprintf(name, sizeof(name), "oci/blobs/sha256/%s", img.config.hex);
    image_release(&img);
    test_text(name, "{\"rootfs\":{}}");
    expect_error("oci", "the image config should have the digest");
}

static void search_order(void **state)
{
    char *path = NULL;

    test_text("lab/image/i.tar", "");
    test_text("lab/artifacts/image/i", "");
    assert_ok(image_find_in_lab(test_path("lab"), "i", &path, &err));
    assert_non_null(strstr(path, "lab/artifacts/image/i"));
    free(path);
    test_text("lab/images/i.tar.gz", "");
    assert_ok(image_find_in_lab(test_path("lab"), "i", &path, &err));
    assert_non_null(strstr(path, "lab/images/i.tar.gz"));
    free(path);
    test_text("lab/images/i.gz", "");
    assert_ok(image_find_in_lab(test_path("lab"), "i", &path, &err));
    assert_non_null(strstr(path, "lab/images/i.gz"));
    free(path);
    assert_int_equal(image_find_in_lab(test_path("lab"), "j", &path, &err), 1);
    assert_int_equal(image_find_in_lab(test_path("lab"), "../x", &path, &err), -1);
    assert_int_equal(image_find_in_lab(test_path("lab"), "", &path, &err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(docker_directory),
        TEST(selector_chooses_a_tag),
        TEST(docker_manifest_faults),
        TEST(config_faults),
        TEST(config_is_checked_against_its_name),
        TEST(huge_json_is_refused),
        TEST(docker_archive_with_manifest_last),
        TEST(archive_links_are_resolved),
        TEST(rootfs_tar_and_directory),
        TEST(not_an_image),
        TEST(oci_layout),
        TEST(oci_choice),
        TEST(oci_faults),
        TEST(oci_blobs_are_verified),
        TEST(search_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
