#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "launch/identity.h"

static char alice[] = "alice", users[] = "users", evil[] = "x:0:0\nroot";

static void expect_passwd(const char *image, const struct process_user *u,
                          const char *want)
{
    struct error err = ERROR_INIT;
    char *text = identity_passwd(image, u, "/tmp", &err);

    assert_string_equal(text, want);
    free(text);
}

static void test_passwd(void **state)
{
    const struct process_user u = {.uid = 1000, .gid = 100, .name = alice};

    expect_passwd("", &u, "alice:x:1000:100:alice:/tmp:/bin/sh\n");
    /* the image's user of the same number or name gives way, others stay */
    expect_passwd("root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/:/bin/sh\n"
                  "alice:x:7:7::/:/bin/sh\nlast:x:9:9::/:/bin/sh",
                  &u,
                  "alice:x:1000:100:alice:/tmp:/bin/sh\nroot:x:0:0:root:/root:/bin/sh\n"
                  "last:x:9:9::/:/bin/sh\n");
}

static void test_hostile_names(void **state)
{
    const struct process_user u = {.uid = 1000, .gid = 100, .name = evil};

    expect_passwd("", &u, "user:x:1000:100:user:/tmp:/bin/sh\n");
    expect_passwd("::\n\n:\nshort", &u,
                  "user:x:1000:100:user:/tmp:/bin/sh\n::\n:\nshort\n");
}

static void test_group(void **state)
{
    const struct process_user u = {.uid = 1000, .gid = 100, .group = users};
    struct error err = ERROR_INIT;
    char *text = identity_group("root:x:0:\nstaff:x:100:bob\n", &u, &err);

    assert_string_equal(text, "users:x:100:\nroot:x:0:\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passwd),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
