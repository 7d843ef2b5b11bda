/* A store on a network file system: each node has its own part. What the file system
 * and the node are is decided here, by wrapping netfs_name and process_hostname when
 * this program is linked. */
#include "unit/image/store_test.h"

#include <stdlib.h>

#include "sys/netfs.h"
#include "sys/process.h"

const char *__wrap_netfs_name(int fd);
char *__wrap_process_hostname(void);

static const char *file_system, *host;

const char *__wrap_netfs_name(int fd)
{
    return file_system;
}

char *__wrap_process_hostname(void)
{
    return strdup(host);
}

static void make_image(void)
{
    struct buf tar = BUF_INIT;

    tar_file(&tar, "a", 0644, "a");
    tar_end(&tar);
    test_docker_image("img", &tar, 1, -1);
    buf_release(&tar);
}

static void use(const char *node)
{
    host = node;
    image_rootfs_release(&rootfs);
    image_release(&img);
    store_release(&store);
    assert_ok(store_open(&store, test_path("s"), &err));
    assert_ok(image_open_cached(&img, test_path("img"), &store, &err));
    assert_ok(image_prepare(&img, &store, NULL, &rootfs, &err));
}

static void nodes_do_not_see_each_other(void **state)
{
    _cleanup_(store_pruned_release) struct store_pruned done = STORE_PRUNED_INIT;
    struct store_prune all = STORE_PRUNE_INIT;

    make_image();
    file_system = "NFS";
    use("node1");
    assert_true(rootfs.extracted);
    assert_string_equal(store.network, "NFS");
    assert_true(exists(test_dir.fd, "s/repx/nodes/node1/store-v1/rootfs"));
    assert_false(exists(test_dir.fd, "s/repx/store-v1"));
    use("node2");
    assert_true(rootfs.extracted);
    use("node1");
    assert_false(rootfs.extracted);
    /* in use on node 2 or not, node 1 removes only its own */
    image_rootfs_release(&rootfs);
    all.all = true;
    assert_ok(store_prune(&store, &all, &done, &err));
    assert_int_equal(done.n, 1);
    use("node2");
    assert_false(rootfs.extracted);
    use("node1");
    assert_true(rootfs.extracted);
}

static void a_node_without_a_name_is_refused(void **state)
{
    static const char *const names[] = {"", ".", "..", "a/b"};
    size_t i;

    file_system = "Lustre";
    for (i = 0; i < array_size(names); i++) {
        host = names[i];
        error_clear(&err);
        assert_int_equal(store_open(&store, test_path("s"), &err), -1);
        assert_mentions("Lustre");
        assert_mentions("node_local_path");
    }
    assert_false(exists(test_dir.fd, "s/repx/nodes"));
}

static void a_local_one_needs_no_name(void **state)
{
    make_image();
    file_system = NULL;
    use("");
    assert_null(store.network);
    assert_true(exists(test_dir.fd, "s/repx/store-v1/rootfs"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, store_setup_closed, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_do_not_see_each_other),
        TEST(a_node_without_a_name_is_refused),
        TEST(a_local_one_needs_no_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
