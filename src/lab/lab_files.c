#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lab/metadata.h"
#include "sys/pathfd.h"

/* Metadata of 100,000 jobs is some 150 MB; beyond this it is no metadata. */
#define METADATA_MAX ((size_t)1 << 30)

/* Opens for reading without waiting for the other end of a FIFO. */
#define READ_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY)

int lab_read_file(int dirfd, const char *path, struct buf *out, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, READ_FLAGS, 0, err);

    if (fd < 0)
        return -1;
    if (pathfd_read_all(fd, METADATA_MAX, out, err) < 0)
        return error_context(err, "%s", path);
    return buf_check(out, err);
}

int lab_list_dir(int dirfd, const char *path, struct strv *names, struct error *err)
{
    int fd = pathfd_open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY, 0, err);
    struct dirent *entry;
    int saved;
    DIR *dir;

    if (fd < 0)
        return -1;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return error_oom(err);
    }
    for (errno = 0; (entry = readdir(dir)); errno = 0)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            strv_add(names, entry->d_name);
    saved = errno;
    closedir(dir);
    if (saved != 0)
        return error_sys(err, saved, "cannot read the directory %s", path);
    strv_sort(names);
    return strv_check(names, err);
}

int lab_check_exists(int dirfd, const char *path, int flags, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, O_PATH | flags, 0, err);

    return fd < 0 ? -1 : 0;
}

static int verify_file(int dirfd, const char *path, const char *sha256,
                       const struct lab_options *opts, struct error *err)
{
    _cleanup_close_ int fd = pathfd_open_beneath(dirfd, path, READ_FLAGS, 0, err);
    char hex[65] = "";
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_sys(err, errno, "cannot stat %s", path);
    if (!S_ISREG(st.st_mode))
        return error_fail(err, "%s is not a regular file", path);
    if (opts->digest_fd(fd, hex, err) < 0)
        return error_context(err, "%s", path);
    if (strcmp(hex, sha256) == 0)
        return 0;
    return error_fail(err, "%s has SHA-256 %s, the manifest says %s", path, hex,
                      sha256);
}

/* A layer is checked while it is extracted, against the diff_id of the image's config,
 * which is checked here; reading gigabytes at every launch would find nothing more. */
static bool is_layer(const char *path)
{
    static const char dir_suffix[] = "/layer.tar", file_suffix[] = "-layer.tar";
    size_t n = strlen(path);

    if (strncmp(path, "images/", 7) == 0)
        return n > strlen(dir_suffix) &&
               strcmp(path + n - strlen(dir_suffix), dir_suffix) == 0;
    return strncmp(path, "store/", 6) == 0 && n > strlen(file_suffix) &&
           strcmp(path + n - strlen(file_suffix), file_suffix) == 0;
}

int lab_verify(int dirfd, const struct lab_manifest *m, const struct lab_options *opts,
               struct error *err)
{
    for (size_t i = 0; i < m->paths.count; i++)
        if (!is_layer(m->paths.items[i]) &&
            verify_file(dirfd, m->paths.items[i], m->sha256.items[i], opts, err) < 0)
            return error_hint(err,
                              "the lab is damaged or was changed: copy or build it "
                              "again");
    return 0;
}
