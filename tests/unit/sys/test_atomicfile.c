#include "unit/sys/tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "sys/atomicfile.h"

static void check_content(const char *name, const char *want)
{
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    int fd = openat(tempdir.fd, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    buf_add(&text, "", 0);
    assert_int_equal(pathfd_read_all(fd, 1U << 24, &text, &err), 0);
    assert_string_equal(buf_str(&text), want);
    buf_release(&text);
    close(fd);
}

static size_t count_entries(void)
{
    DIR *dir = opendir(tempdir.path);
    size_t n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void writes_and_replaces(void **state)
{
    struct error err = ERROR_INIT;
    mode_t old = umask(022);
    struct stat st;

    assert_int_equal(atomicfile_write(tempdir.fd, "f", "one", 3, 0640, true, &err), 0);
    check_content("f", "one");
    assert_int_equal(fstatat(tempdir.fd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(atomicfile_write(tempdir.fd, "f", "", 0, 0644, false, &err), 0);
    check_content("f", "");
    umask(old);
    assert_int_equal(count_entries(), 1);
}

/* A reader that opened the old file keeps the old content: no write in place. */
static void old_readers_are_not_disturbed(void **state)
{
    struct error err = ERROR_INIT;
    char text[8] = "";
    int fd;

    put_file("f", "old", 0600);
    fd = openat(tempdir.fd, "f", O_RDONLY | O_CLOEXEC);
    assert_int_equal(atomicfile_write(tempdir.fd, "f", "new", 3, 0600, false, &err), 0);
    assert_int_equal(read(fd, text, sizeof(text)), 3);
    assert_string_equal(text, "old");
    close(fd);
    check_content("f", "new");
}

static void links_are_replaced_not_followed(void **state)
{
    struct error err = ERROR_INIT;

    put_file("victim", "kept", 0600);
    assert_int_equal(symlinkat("victim", tempdir.fd, "f"), 0);
    assert_int_equal(atomicfile_write(tempdir.fd, "f", "new", 3, 0600, false, &err), 0);
    check_content("victim", "kept");
    check_content("f", "new");
}

static void a_failure_leaves_nothing(void **state)
{
    struct error err = ERROR_INIT;
    struct rlimit old, small;
    char data[4096] = "x";

    put_file("f", "old", 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(
        atomicfile_write(tempdir.fd, "f", data, sizeof(data), 0600, true, &err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err.errnum, EFBIG);
    assert_non_null(strstr(err.text, "'f'"));
    check_content("f", "old");
    assert_int_equal(count_entries(), 1);
    assert_int_equal(mkdirat(tempdir.fd, "dir", 0700), 0);
    assert_int_equal(atomicfile_write(tempdir.fd, "dir", "x", 1, 0600, false, &err),
                     -1);
    assert_int_equal(count_entries(), 2);
}

static void names_are_single(void **state)
{
    struct error err = ERROR_INIT;
    char longest[256];

    assert_int_equal(atomicfile_write(tempdir.fd, "a/b", "x", 1, 0600, false, &err),
                     -1);
    assert_int_equal(atomicfile_write(tempdir.fd, "..", "x", 1, 0600, false, &err), -1);
    assert_int_equal(atomicfile_write(tempdir.fd, "", "x", 1, 0600, false, &err), -1);
    memset(longest, 'n', 255);
    longest[255] = '\0';
    assert_int_equal(atomicfile_write(tempdir.fd, longest, "x", 1, 0600, false, &err),
                     0);
    assert_true(exists(longest));
}

static void append(const char *line)
{
    struct error err = ERROR_INIT;

    assert_int_equal(atomicfile_append_line(tempdir.fd, "log", line, 0644, &err), 0);
}

static void appends_lines(void **state)
{
    struct error err = ERROR_INIT;

    append("one");
    append("two\n");
    append("");
    check_content("log", "one\ntwo\n\n");
    assert_int_equal(atomicfile_append_line(tempdir.fd, "log", "a\nb", 0644, &err), -1);
    check_content("log", "one\ntwo\n\n");
}

static void half_a_line_is_closed(void **state)
{
    put_file("log", "whole\nhal", 0644);
    append("next");
    check_content("log", "whole\nhal\nnext\n");
}

static void append_refuses_what_is_no_file(void **state)
{
    struct error err = ERROR_INIT;

    put_file("victim", "kept", 0600);
    assert_int_equal(symlinkat("victim", tempdir.fd, "link"), 0);
    assert_int_equal(mkfifoat(tempdir.fd, "fifo", 0600), 0);
    assert_int_equal(atomicfile_append_line(tempdir.fd, "link", "x", 0644, &err), -1);
    assert_int_equal(atomicfile_append_line(tempdir.fd, "fifo", "x", 0644, &err), -1);
    check_content("victim", "kept");
}

#define WRITERS 8
#define LINES 200

static void concurrent_lines_stay_whole(void **state)
{
    unsigned seen[WRITERS] = {0};
    char line[300], *text, *p;
    pid_t pids[WRITERS];
    int fd, status;

    for (int w = 0; w < WRITERS; w++) {
        pids[w] = fork();
        if (pids[w] == 0) {
            struct error err = ERROR_INIT;
            int r = 0;

            memset(line, 'a' + w, sizeof(line) - 1);
            line[sizeof(line) - 1] = '\0';
            for (int i = 0; i < LINES && r == 0; i++)
                r = atomicfile_append_line(tempdir.fd, "log", line, 0644, &err);
            _exit(r == 0 ? 0 : 1);
        }
    }
    for (int w = 0; w < WRITERS; w++) {
        assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
        assert_int_equal(status, 0);
    }
    text = malloc(WRITERS * LINES * sizeof(line) + 1);
    fd = openat(tempdir.fd, "log", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, text, WRITERS * LINES * sizeof(line) + 1),
                     WRITERS * LINES * sizeof(line));
    close(fd);
    for (p = text; p < text + WRITERS * LINES * sizeof(line); p += sizeof(line)) {
        assert_int_equal(p[sizeof(line) - 1], '\n');
        for (size_t i = 1; i < sizeof(line) - 1; i++)
            assert_int_equal(p[i], p[0]);
        seen[p[0] - 'a']++;
    }
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(seen[w], LINES);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        tempdir_test(writes_and_replaces),
        tempdir_test(old_readers_are_not_disturbed),
        tempdir_test(links_are_replaced_not_followed),
        tempdir_test(a_failure_leaves_nothing),
        tempdir_test(names_are_single),
        tempdir_test(appends_lines),
        tempdir_test(half_a_line_is_closed),
        tempdir_test(append_refuses_what_is_no_file),
        tempdir_test(concurrent_lines_stay_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
