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

/* Begun and ended in the middle of blocks, of lengths around theirs. */
static void two_equal_one_each(void **state)
{
    enum { MOST = 700 };
    static unsigned char a[MOST], b[MOST];
    struct error err = ERROR_INIT;
    struct digest da, db, wa, wb;
    size_t before, len;

    for (len = 0; len < MOST; len++) {
        a[len] = (unsigned char)(len * 7 + len / 251);
        b[len] = (unsigned char)(len * 13 + 5);
    }
    for (before = 0; before <= 130; before += 1 + before % 63) {
        for (len = 0; before + len <= MOST - 9; len++) {
            struct digest_ctx *ca = digest_new(&err), *cb = digest_new(&err);

            assert_ok(digest_update(ca, a, before, &err));
            assert_ok(digest_update_two(ca, a + before, cb, b, len, &err));
            assert_ok(digest_update(ca, a + before + len, 9, &err));
            assert_ok(digest_final(ca, &da, &err));
            assert_ok(digest_final(cb, &db, &err));
            assert_ok(digest_of(a, before + len + 9, &wa, &err));
            assert_ok(digest_of(b, len, &wb, &err));
            assert_string_equal(da.hex, wa.hex);
            assert_string_equal(db.hex, wb.hex);
            digest_free(&ca);
            digest_free(&cb);
        }
    }
}

/* The length is counted in bits, over 32 of them. */
static void two_of_half_a_gigabyte(void **state)
{
    enum { PIECE = 1 << 20, PIECES = 600 };
    unsigned char *data = calloc(2, PIECE);
    struct error err = ERROR_INIT;
    struct digest_ctx *a = digest_new(&err), *b = digest_new(&err);
    struct digest_ctx *one = digest_new(&err);
    struct digest da, db, d;
    int i;

    assert_non_null(data);
    memset(data + PIECE, 'x', PIECE);
    for (i = 0; i < PIECES; i++) {
        assert_ok(digest_update_two(a, data, b, data + PIECE, PIECE, &err));
        assert_ok(digest_update(one, data, PIECE, &err));
    }
    assert_ok(digest_final(a, &da, &err));
    assert_ok(digest_final(b, &db, &err));
    assert_ok(digest_final(one, &d, &err));
    assert_string_equal(da.hex, d.hex);
    assert_false(digest_equal(&da, &db));
    digest_free(&a);
    digest_free(&b);
    digest_free(&one);
    free(data);
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
        cmocka_unit_test(two_equal_one_each),
        cmocka_unit_test(two_of_half_a_gigabyte),
        cmocka_unit_test_setup_teardown(of_a_descriptor_from_its_position, test_setup,
                                        test_teardown),
        cmocka_unit_test(parse_is_strict),
        cmocka_unit_test(unset_is_equal_to_nothing),
        cmocka_unit_test(chain_is_the_spec_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
