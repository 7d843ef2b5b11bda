#include "outcome/markers.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

static int marker_remove(int dirfd, const char *name, struct error *err)
{
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove the marker %s", name);
    return 0;
}

int markers_clear(int repx_dirfd, struct error *err)
{
    if (marker_remove(repx_dirfd, "SUCCESS", err) < 0)
        return -1;
    return marker_remove(repx_dirfd, "FAIL", err);
}

int markers_write(int repx_dirfd, bool success, struct error *err)
{
    if (marker_remove(repx_dirfd, success ? "FAIL" : "SUCCESS", err) < 0)
        return -1;
    return atomicfile_write(repx_dirfd, success ? "SUCCESS" : "FAIL", "", 0, 0644,
                            false, err);
}

static bool is_marker(int dirfd, const char *name)
{
    struct stat st;

    return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static enum marker_state state_of(int dirfd, const char *fail, const char *success)
{
    if (is_marker(dirfd, fail))
        return MARKER_FAIL;
    return is_marker(dirfd, success) ? MARKER_SUCCESS : MARKER_NONE;
}

enum marker_state markers_read(int repx_dirfd)
{
    return state_of(repx_dirfd, "FAIL", "SUCCESS");
}

enum marker_state markers_of_dir(const char *repx_dir)
{
    _cleanup_close_ int fd = open(repx_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? MARKER_NONE : markers_read(fd);
}

enum marker_state markers_of_job_at(int outputs_dirfd, const char *job)
{
    _cleanup_free_ char *fail = str_printf("%s/repx/FAIL", job);
    _cleanup_free_ char *success = str_printf("%s/repx/SUCCESS", job);

    if (!fail || !success || outputs_dirfd < 0)
        return MARKER_NONE;
    return state_of(outputs_dirfd, fail, success);
}

enum marker_state markers_of_job(const char *base, const char *job)
{
    _cleanup_free_ char *path = str_printf("%s/outputs/%s/repx", base, job);

    return path ? markers_of_dir(path) : MARKER_NONE;
}

int completions_append(const char *base, const char *job, bool success,
                       struct error *err)
{
    _cleanup_free_ char *dir = str_printf("%s/outputs", base);
    /* a job id is a checked path component; RepX's ids need no JSON escapes, others are
     * refused by the lab loader */
    _cleanup_free_ char *line =
        str_printf("{\"id\":\"%s\",\"s\":\"%s\"}\n", job, success ? "ok" : "fail");
    _cleanup_close_ int fd = -1;

    if (!dir || !line)
        return error_oom(err);
    fd = pathfd_open_user(dir, O_RDONLY | O_DIRECTORY, err);
    if (fd < 0)
        return -1;
    return atomicfile_append_line(fd, "completions.jsonl", line, 0644, err);
}
