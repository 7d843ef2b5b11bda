/* The search for a lab's image, in RepX's order. */
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "image/image.h"

int image_find_in_lab(const char *lab_or_base, const char *name, char **path,
                      struct error *err)
{
    static const char *const dirs[] = {"images", "artifacts/images", "artifacts/image",
                                       "image"};
    static const char *const endings[] = {"", ".gz", ".tar", ".tar.gz"};
    size_t i, j;

    if (!is_path_component(name))
        return error_fail(err,
                          "the image name \"%.200s\" is not one path component; use "
                          "a name from the lab's images/, or a path with --image",
                          name);
    for (i = 0; i < array_size(dirs); i++) {
        for (j = 0; j < array_size(endings); j++) {
            _cleanup_free_ char *at = NULL;
            struct stat st;

            at = str_printf("%s/%s/%s%s", lab_or_base, dirs[i], name, endings[j]);
            if (!at)
                return error_oom(err);
            if (stat(at, &st) == 0) {
                *path = steal_ptr(at);
                return 0;
            }
            if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
                return error_sys(err, errno, "cannot look for the image at \"%s\"", at);
        }
    }
    return 1;
}
