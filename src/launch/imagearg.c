#include "launch/imagearg.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/parse.h"
#include "image/image.h"

int image_argument(const struct session *s, const char *text, char **path,
                   struct error *err)
{
    const char *lab = s->request->lab ? s->request->lab : "./result";
    int r;

    if (is_path_component(text) && access(text, F_OK) < 0) {
        r = image_find_in_lab(lab, text, path, err);
        if (r == 1)
            r = image_find_in_lab(s->settled.base_path, text, path, err);
        if (r <= 0)
            return r;
        error_fail(err, "there is no image '%s', neither in the lab %s nor as a file",
                   text, lab);
        return error_hint(err, "give a path, or a name from %s/images", lab);
    }
    *path = strdup(text);
    return *path ? 0 : error_oom(err);
}
