#include "unit/sys/tempdir.h"

#include "sys/netfs.h"

static void types(void **state)
{
    assert_string_equal(netfs_of_type(0x6969), "NFS");
    assert_string_equal(netfs_of_type(0x0bd00bd0), "Lustre");
    assert_string_equal(netfs_of_type(0x47504653), "GPFS");
    /* ext4, xfs, btrfs, tmpfs, overlayfs */
    assert_null(netfs_of_type(0xef53));
    assert_null(netfs_of_type(0x58465342));
    assert_null(netfs_of_type(0x9123683e));
    assert_null(netfs_of_type(0x01021994));
    assert_null(netfs_of_type(0x794c7630));
}

static void of_a_descriptor(void **state)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_null(netfs_name(proc));
    assert_null(netfs_name(-1));
    close(proc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(types),
        tempdir_test(of_a_descriptor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
