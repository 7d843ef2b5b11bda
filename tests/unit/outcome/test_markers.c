#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "outcome/markers.h"
#include "sys/pathfd.h"

struct fixture {
    char base[64];
    int repx_fd;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct error err = ERROR_INIT;
    char *path;

    snprintf(f->base, sizeof(f->base), "/tmp/repx-markers-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    path = str_printf("%s/outputs/job/repx", f->base);
    f->repx_fd = pathfd_make_dirs_user(path, 0755, &err);
    free(path);
    assert_true(f->repx_fd >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error err = ERROR_INIT;

    close(f->repx_fd);
    assert_int_equal(pathfd_remove_tree(AT_FDCWD, f->base, &err), 0);
    free(f);
    return 0;
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
        cmocka_unit_test_setup_teardown(test_only_files_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_completion_log, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
