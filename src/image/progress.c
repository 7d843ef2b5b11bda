#include "image/progress.h"

#include <errno.h>
#include <stddef.h>

#include "base/error.h"

void progress_update(const struct image_progress *p, const char *phase, uint64_t done,
                     uint64_t total)
{
    if (p && p->update)
        p->update(p->arg, phase, done, total);
}

int progress_cancelled(struct error *err)
{
    error_fail(err, "interrupted while the image was prepared; nothing is left behind, "
                    "start again when ready");
    err->errnum = ECANCELED;
    return -1;
}

int progress_check(const struct image_progress *p, struct error *err)
{
    if (!p || !p->cancelled || !p->cancelled(p->arg))
        return 0;
    return progress_cancelled(err);
}
