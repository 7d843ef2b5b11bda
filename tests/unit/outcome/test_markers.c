#include "unit/sys/tempdir.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "outcome/markers.h"

struct fixture {
    const char *base;
    int repx_fd;
};

static struct fixture fixture;

static int setup(void **state)
{
    struct error err = ERROR_INIT;

    if (tempdir_setup(state) < 0)
        return -1;
    fixture.base = tempdir.path;
    fixture.repx_fd = pathfd_make_dirs(tempdir.fd, "outputs/job/repx", 0755, &err);
    *state = &fixture;
    return fixture.repx_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    close(fixture.repx_fd);
    return tempdir_teardown(state);
}

static void test_one_marker_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    struct stat st;

    assert_int_equal(markers_of_job(f->base, "job"), MARKER_NONE);
    assert_int_equal(markers_write(f->repx_fd, false, &err), 0);
    assert_int_equal(markers_of_job(f->base, "job"), MARKER_FAIL);
    assert_int_equal(markers_write(f->repx_fd, true, &err), 0);
    assert_int_equal(markers_of_job(f->base, "job"), MARKER_SUCCESS);
    assert_int_equal(faccessat(f->repx_fd, "FAIL", F_OK, 0), -1);
    assert_int_equal(fstatat(f->repx_fd, "SUCCESS", &st, 0), 0);
    assert_int_equal(st.st_size, 0);
    assert_int_equal(markers_clear(f->repx_fd, &err), 0);
    assert_int_equal(markers_of_job(f->base, "job"), MARKER_NONE);
    assert_int_equal(markers_clear(f->repx_fd, &err), 0);
}

static void test_of_many(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    _cleanup_close_ int outputs = openat(tempdir.fd, "outputs", O_PATH);

    assert_int_equal(markers_of_job_at(outputs, "job"), MARKER_NONE);
    assert_int_equal(markers_of_job_at(outputs, "other"), MARKER_NONE);
    assert_int_equal(markers_of_job_at(-1, "job"), MARKER_NONE);
    assert_int_equal(symlinkat("/etc/passwd", f->repx_fd, "FAIL"), 0);
    assert_int_equal(markers_of_job_at(outputs, "job"), MARKER_NONE);
    assert_int_equal(markers_write(f->repx_fd, true, &err), 0);
    assert_int_equal(markers_of_job_at(outputs, "job"), MARKER_SUCCESS);
    /* both, as a run that was cut off may leave them */
    assert_int_equal(mknodat(f->repx_fd, "FAIL", S_IFREG | 0644, 0), 0);
    assert_int_equal(markers_of_job_at(outputs, "job"), MARKER_FAIL);
}

static void test_only_files_count(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(symlinkat("/etc/passwd", f->repx_fd, "SUCCESS"), 0);
    assert_int_equal(markers_of_job(f->base, "job"), MARKER_NONE);
    assert_int_equal(markers_of_job(f->base, "other"), MARKER_NONE);
}

static void test_completion_log(void **state)
{
    static const char want[] = "{\"id\":\"job\",\"s\":\"ok\"}\n"
                               "{\"id\":\"job\",\"s\":\"fail\"}\n";
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    _cleanup_free_ char *path = str_printf("%s/outputs/completions.jsonl", f->base);
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_close_ int fd = -1;

    assert_int_equal(completions_append(f->base, "job", true, &err), 0);
    assert_int_equal(completions_append(f->base, "job", false, &err), 0);
    fd = open(path, O_RDONLY);
    assert_int_equal(pathfd_read_all(fd, 1000, &text, &err), 0);
    assert_string_equal(buf_str(&text), want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_marker_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_files_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_completion_log, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
