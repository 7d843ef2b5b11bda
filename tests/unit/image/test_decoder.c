/* Decompression in pieces of any size: every kind, several members, damage, garbage. */
#include "unit/image/image_test.h"

#include <archive.h>
#include <archive_entry.h>

#include "image/contentsum.h"
#include "image/decoder.h"
#include "image/layerstream.h"
#include "image/source.h"

static struct error err;

static int setup(void **state)
{
    error_clear(&err);
    return test_setup(state);
}

/* What an independent program would have written: libarchive's filters. */
static void compress(enum decoder_kind kind, const struct buf *plain, struct buf *out)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    size_t size = plain->len + 65536, used = 0;
    char *room = malloc(size);

    assert_non_null(room);
    if (kind == DECODER_GZIP)
        assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
    else if (kind == DECODER_ZSTD)
        assert_int_equal(archive_write_add_filter_zstd(a), ARCHIVE_OK);
    else
        assert_int_equal(archive_write_add_filter_xz(a), ARCHIVE_OK);
    assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
    archive_write_set_bytes_in_last_block(a, 1);
    assert_int_equal(archive_write_open_memory(a, room, size, &used), ARCHIVE_OK);
    archive_entry_set_filetype(e, AE_IFREG);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, buf_str(plain), plain->len), plain->len);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_entry_free(e);
    archive_write_free(a);
    buf_add(out, room, used);
    free(room);
}

static void fill(struct buf *b, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        buf_addc(b, (char)((i * i >> 7) + i / 1000));
}

/* Through a decoder, with input in pieces of in_piece and room for out_piece. */
static int decode(const struct buf *packed, size_t in_piece, size_t out_piece,
                  struct buf *out, size_t *left)
{
    enum decoder_kind kind = decoder_kind_of(packed->data, packed->len);
    struct decoder *d = decoder_new(kind, &err);
    struct decoder_io io = {.in = (const unsigned char *)packed->data};
    size_t fed = 0;
    char room[5000];
    int rc = 0;

    assert_non_null(d);
    while (rc == 0) {
        size_t before = io.in_len;

        io.out = (unsigned char *)room;
        io.out_len = out_piece;
        io.in_end = fed == packed->len;
        rc = decoder_run(d, &io, &err);
        buf_add(out, room, out_piece - io.out_len);
        if (rc == 0 && io.out_len > 0 && (io.in_len == before || io.in_len == 0)) {
            size_t n = packed->len - fed < in_piece ? packed->len - fed : in_piece;

            if (n == 0 && io.in_end && io.out_len == out_piece && io.in_len == before)
                fail_msg("stands still");
            io.in_len += n;
            fed += n;
        }
    }
    *left = io.in_len + packed->len - fed;
    decoder_free(&d);
    return rc;
}

static void assert_decodes(const struct buf *packed, const struct buf *plain,
                           size_t garbage)
{
    static const size_t pieces[][2] = {{1, 5000}, {7, 1}, {100000, 5000}, {512, 13}};
    size_t i, left;

    for (i = 0; i < array_size(pieces); i++) {
        struct buf out = BUF_INIT;

        if (decode(packed, pieces[i][0], pieces[i][1], &out, &left) != 1)
            fail_msg("pieces of %zu: %s", pieces[i][0], err.text);
        assert_int_equal(out.len, plain->len);
        assert_memory_equal(buf_str(&out), buf_str(plain), plain->len);
        assert_int_equal(left, garbage);
        buf_release(&out);
    }
}

static const enum decoder_kind kinds[] = {DECODER_GZIP, DECODER_ZSTD, DECODER_XZ};

static void every_kind_in_any_pieces(void **state)
{
    size_t i, n;

    (void)state;
    for (i = 0; i < array_size(kinds); i++)
        for (n = 0; n < 40000; n = n * 3 + 1) {
            struct buf plain = BUF_INIT, packed = BUF_INIT;

            fill(&plain, n);
            compress(kinds[i], &plain, &packed);
            assert_int_equal(decoder_kind_of(packed.data, packed.len), kinds[i]);
            assert_decodes(&packed, &plain, 0);
            buf_release(&plain);
            buf_release(&packed);
        }
}

static void several_members_are_one_stream(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < array_size(kinds); i++) {
        struct buf part = BUF_INIT, plain = BUF_INIT, packed = BUF_INIT;
        int k;

        fill(&part, 3000);
        for (k = 0; k < 3; k++) {
            buf_add(&plain, part.data, part.len);
            compress(kinds[i], &part, &packed);
        }
        assert_decodes(&packed, &plain, 0);
        buf_release(&part);
        buf_release(&plain);
        buf_release(&packed);
    }
}

static void garbage_may_follow_gzip_only(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < array_size(kinds); i++) {
        struct buf plain = BUF_INIT, packed = BUF_INIT, out = BUF_INIT;
        size_t left;

        fill(&plain, 3000);
        compress(kinds[i], &plain, &packed);
        buf_add(&packed, "no header", 9);
        if (kinds[i] == DECODER_GZIP) {
            assert_decodes(&packed, &plain, 9);
        } else {
            error_clear(&err);
            assert_int_equal(decode(&packed, 100, 100, &out, &left), -1);
            assert_mentions("cannot decompress it");
        }
        buf_release(&plain);
        buf_release(&packed);
        buf_release(&out);
    }
}

static void cut_and_damaged_streams_are_errors(void **state)
{
    size_t i, k, left;

    (void)state;
    for (i = 0; i < array_size(kinds); i++) {
        struct buf plain = BUF_INIT, packed = BUF_INIT, out = BUF_INIT;
        size_t whole;

        fill(&plain, 20000);
        compress(kinds[i], &plain, &packed);
        whole = packed.len;
        for (k = 6; k < whole; k += whole / 20 + 1) {
            error_clear(&err);
            packed.len = k;
            assert_int_equal(decode(&packed, 100, 1000, &out, &left), -1);
            assert_mentions("cannot decompress it");
            buf_reset(&out);
        }
        packed.len = whole;
        /* gzip and xz carry checksums; zstd's are its writer's choice */
        packed.data[whole / 2] = (char)(packed.data[whole / 2] ^ 0x10);
        error_clear(&err);
        if (kinds[i] != DECODER_ZSTD)
            assert_int_equal(decode(&packed, 100, 1000, &out, &left), -1);
        buf_release(&plain);
        buf_release(&packed);
        buf_release(&out);
    }
}

/* The stream above it: both digests, and what stands behind the gzip counts as stored.
 */
static void streams_hash_what_is_stored_and_what_is_in_it(void **state)
{
    const struct layerstream_options options = {.hash_blob = true};
    struct buf plain = BUF_INIT, packed = BUF_INIT;
    struct digest diff, blob, want;
    struct layerstream *ls;
    int fd;

    (void)state;
    fill(&plain, 700000);
    compress(DECODER_GZIP, &plain, &packed);
    buf_add(&packed, "tail", 4);
    test_write("blob", packed.data, packed.len);
    fd = openat(test_dir.fd, "blob", O_RDONLY | O_CLOEXEC);
    ls = layerstream_new(blob_of_fd(fd, &err), &options, &err);
    assert_non_null(ls);
    assert_ok(layerstream_finish(ls, &diff, &blob, &err));
    assert_int_equal(layerstream_bytes(ls), packed.len);
    assert_int_equal(layerstream_plain_bytes(ls), plain.len);
    layerstream_free(&ls);
    assert_ok(digest_of(plain.data, plain.len, &want, &err));
    assert_string_equal(diff.hex, want.hex);
    assert_ok(digest_of(packed.data, packed.len, &want, &err));
    assert_string_equal(blob.hex, want.hex);
    close(fd);
    buf_release(&plain);
    buf_release(&packed);
}

static void sum_of(const struct buf *data, size_t piece, char *out)
{
    struct contentsum_ctx *c = contentsum_new(&err);
    size_t at;

    assert_non_null(c);
    for (at = 0; at < data->len; at += piece)
        contentsum_update(c, data->data + at,
                          data->len - at < piece ? data->len - at : piece);
    contentsum_final(c, out);
    contentsum_free(&c);
}

/* However a content comes, in pieces, as zeros or from a file with holes: one sum. */
static void contents_have_one_sum(void **state)
{
    static const size_t sizes[] = {1, 1048575, 1048576, 1048577, 4194304, 4194305};
    char a[CONTENTSUM_HEX_LEN + 1], b[CONTENTSUM_HEX_LEN + 1];
    struct contentsum_ctx *c = contentsum_new(&err);
    uint64_t bytes;
    size_t i;

    (void)state;
    for (i = 0; i < array_size(sizes); i++) {
        struct buf data = BUF_INIT;
        int fd = openat(test_dir.fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        while (data.len < sizes[i])
            buf_addc(&data, '\0');
        sum_of(&data, 4096, a);
        contentsum_zeros(c, sizes[i]);
        contentsum_final(c, b);
        assert_string_equal(a, b);
        assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
        assert_ok(contentsum_of_fd(c, fd, b, &bytes, &err));
        assert_string_equal(a, b);
        assert_int_equal(bytes, sizes[i]);
        data.data[sizes[i] - 1] = 'x';
        sum_of(&data, 999983, b);
        assert_string_not_equal(a, b);
        assert_int_equal(pwrite(fd, "x", 1, (off_t)sizes[i] - 1), 1);
        assert_ok(contentsum_of_fd(c, fd, a, &bytes, &err));
        assert_string_equal(a, b);
        close(fd);
        buf_release(&data);
    }
    contentsum_free(&c);
}

static void small_contents_have_the_plain_sum(void **state)
{
    struct buf data = BUF_INIT;
    char sum[CONTENTSUM_HEX_LEN + 1];

    /* xxhsum -H2, "abc" */
    (void)state;
    buf_adds(&data, "abc");
    sum_of(&data, 1, sum);
    assert_string_equal(sum, "06b05ab6733a618578af5f94892f3950");
    buf_release(&data);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, test_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_in_any_pieces),
        TEST(several_members_are_one_stream),
        TEST(garbage_may_follow_gzip_only),
        TEST(cut_and_damaged_streams_are_errors),
        TEST(streams_hash_what_is_stored_and_what_is_in_it),
        TEST(contents_have_one_sum),
        TEST(small_contents_have_the_plain_sum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
