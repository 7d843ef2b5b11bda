#include "unit/image/image_test.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void known_values(void **state)
{
    struct error err = ERROR_INIT;
    struct digest d;

    assert_ok(digest_of("", 0, &d, &err));
    assert_string_equal(d.hex, EMPTY);
    assert_ok(digest_of("abc", 3, &d, &err));
    assert_string_equal(d.hex, ABC);
}

static void streamed_equals_whole(void **state)
{
    struct error err = ERROR_INIT;
    struct digest_ctx *ctx = digest_new(&err);
    struct digest d;

    assert_non_null(ctx);
    assert_ok(digest_update(ctx, "a", 1, &err));
    assert_ok(digest_update(ctx, "bc", 2, &err));
    assert_ok(digest_final(ctx, &d, &err));
    assert_string_equal(d.hex, ABC);
    digest_free(&ctx);
    assert_null(ctx);
    digest_free(&ctx);
}

static void of_a_descriptor_from_its_position(void **state)
{
    struct error err = ERROR_INIT;
    struct digest d;
    int fd;

    test_text("f", "xxabc");
    fd = openat(test_dir.fd, "f", O_RDONLY);
    assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
    assert_ok(digest_of_fd(fd, &d, &err));
    assert_string_equal(d.hex, ABC);
    close(fd);
    fd = openat(test_dir.fd, ".", O_RDONLY);
    assert_int_equal(digest_of_fd(fd, &d, &err), -1);
    close(fd);
}

static void parse_is_strict(void **state)
{
    struct digest d;

    assert_true(digest_parse("sha256:" ABC, &d));
    assert_string_equal(d.hex, ABC);
    assert_false(digest_parse(ABC, &d));
    assert_false(digest_parse("sha512:" ABC, &d));
    assert_false(digest_parse("sha256:" ABC "0", &d));
    assert_false(digest_parse("sha256:BA7816BF", &d));
    assert_false(digest_parse("sha256:", &d));
    assert_false(digest_parse(NULL, &d));
}

static void unset_is_equal_to_nothing(void **state)
{
    struct digest a = {""}, b = {""};

    assert_false(digest_equal(&a, &b));
    assert_true(digest_parse("sha256:" ABC, &a));
    assert_false(digest_equal(&a, &b));
    assert_true(digest_equal(&a, &a));
}

static void chain_is_the_spec_s(void **state)
{
    struct error err = ERROR_INIT;
    struct digest ids[3], out, step;
    char text[256];

    digest_parse("sha256:" ABC, &ids[0]);
    digest_parse("sha256:" EMPTY, &ids[1]);
    digest_parse("sha256:" ABC, &ids[2]);
    assert_ok(digest_chain(ids, 1, &out, &err));
    assert_string_equal(out.hex, ABC);
    snprintf(text, sizeof(text), "sha256:%s sha256:%s", ABC, EMPTY);
    assert_ok(digest_of(text, strlen(text), &step, &err));
    assert_ok(digest_chain(ids, 2, &out, &err));
    assert_string_equal(out.hex, step.hex);
    snprintf(text, sizeof(text), "sha256:%s sha256:%s", step.hex, ABC);
    assert_ok(digest_of(text, strlen(text), &step, &err));
    assert_ok(digest_chain(ids, 3, &out, &err));
    assert_string_equal(out.hex, step.hex);
    assert_int_equal(digest_chain(ids, 0, &out, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(streamed_equals_whole),
        cmocka_unit_test_setup_teardown(of_a_descriptor_from_its_position, test_setup,
                                        test_teardown),
        cmocka_unit_test(parse_is_strict),
        cmocka_unit_test(unset_is_equal_to_nothing),
        cmocka_unit_test(chain_is_the_spec_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
