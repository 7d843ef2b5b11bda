#include "base/cleanup.h"
#include "lab/labpages.h"
#include "unit/lab/fixture.h"

#include <sys/mman.h>

#define N_PAGES (2 * LABPAGES_CACHED + 6) /* more than are cached */

static void fill(struct buf *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_addc(data, (char)(unsigned char)(i * 7 + i / 251));
}

static int file_of(const struct buf *file)
{
    int fd = memfd_create("pages", MFD_CLOEXEC);

    assert_int_equal(write(fd, file->data, file->len), file->len);
    return fd;
}

static void test_read_anywhere(void **state)
{
    static const size_t lengths[] = {
        1, 7, LABPAGES_DATA - 1, LABPAGES_DATA, LABPAGES_DATA + 1, 3 * LABPAGES_DATA};
    struct buf data = BUF_INIT, file = BUF_INIT;
    struct labpages *p = malloc(sizeof(*p));
    struct error err = ERROR_INIT;
    char *out = malloc(4 * LABPAGES_DATA);
    const unsigned char *view;
    int fd;

    (void)state;
    fill(&data, N_PAGES * LABPAGES_DATA - 100);
    labpages_write(&data, 42, &file);
    assert_int_equal(file.len, N_PAGES * LABPAGES_SIZE);
    fd = file_of(&file);
    labpages_init(p, fd, data.len, 42);
    for (size_t i = 0; i < array_size(lengths); i++)
        for (size_t at = 0; at + lengths[i] <= data.len; at += 2039) {
            assert_int_equal(labpages_read(p, at, out, lengths[i], &err), 0);
            assert_memory_equal(out, data.data + at, lengths[i]);
            memset(out, 0, lengths[i]);
            view = labpages_view(p, at, lengths[i], out, &err);
            assert_memory_equal(view, data.data + at, lengths[i]);
            /* where it is, unless that is two places */
            assert_int_equal((const char *)view == out,
                             at % LABPAGES_DATA + lengths[i] > LABPAGES_DATA);
        }
    assert_int_equal(labpages_read(p, data.len, out, 0, &err), 0);
    assert_int_equal(labpages_read(p, data.len, out, 1, &err), -1);
    assert_int_equal(labpages_read(p, data.len - 1, out, 2, &err), -1);
    assert_int_equal(labpages_read(p, UINT64_MAX, out, 1, &err), -1);
    assert_int_equal(labpages_read(p, 1, out, SIZE_MAX, &err), -1);
    assert_null(labpages_view(p, data.len, 1, out, &err));
    assert_null(labpages_view(p, data.len - 1, 2, out, &err));
    assert_null(labpages_view(p, UINT64_MAX, 1, out, &err));
    assert_null(labpages_view(p, 1, SIZE_MAX, out, &err));
    assert_ptr_equal(labpages_view(p, data.len, 0, out, &err), out);
    close(fd);
    free(out);
    free(p);
    buf_release(&data);
    buf_release(&file);
}

static void assert_damaged(const struct buf *file, size_t len, uint64_t at,
                           uint64_t salt)
{
    struct labpages *p = malloc(sizeof(*p));
    struct error err = ERROR_INIT;
    int fd = file_of(file);
    char c;

    labpages_init(p, fd, len, salt);
    assert_int_equal(labpages_read(p, at, &c, 1, &err), -1);
    assert_error(&err, "index");
    error_clear(&err);
    assert_null(labpages_view(p, at, 1, &c, &err));
    assert_error(&err, "index");
    close(fd);
    free(p);
}

static void test_damage(void **state)
{
    struct buf data = BUF_INIT, file = BUF_INIT;
    char page[LABPAGES_SIZE];

    (void)state;
    fill(&data, 3 * LABPAGES_DATA);
    labpages_write(&data, 42, &file);
    assert_damaged(&file, data.len, 0, 43);
    for (size_t i = LABPAGES_SIZE; i < 2 * LABPAGES_SIZE; i += 11) {
        file.data[i] = (char)(file.data[i] ^ 0x10);
        assert_damaged(&file, data.len, LABPAGES_DATA, 42);
        file.data[i] = (char)(file.data[i] ^ 0x10);
    }
    /* pages that have changed places */
    memcpy(page, file.data, sizeof(page));
    memcpy(file.data, file.data + LABPAGES_SIZE, sizeof(page));
    memcpy(file.data + LABPAGES_SIZE, page, sizeof(page));
    assert_damaged(&file, data.len, 0, 42);
    assert_damaged(&file, data.len, LABPAGES_DATA, 42);
    file.len = 3 * LABPAGES_SIZE - 1;
    assert_damaged(&file, data.len, 2 * LABPAGES_DATA, 42);
    buf_release(&data);
    buf_release(&file);
}

/* One word changed is always another checksum; so is one byte more. */
static void test_checksum(void **state)
{
    unsigned char data[64] = {0};
    uint64_t sum = labpages_checksum(data, sizeof(data), 0);

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        for (int bit = 0; bit < 8; bit++) {
            data[i] = (unsigned char)(1 << bit);
            assert_true(labpages_checksum(data, sizeof(data), 0) != sum);
            data[i] = 0;
        }
    for (size_t len = 0; len < sizeof(data); len++)
        assert_true(labpages_checksum(data, len, 0) != sum);
    assert_true(labpages_checksum(data, sizeof(data), 1) != sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_anywhere),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
