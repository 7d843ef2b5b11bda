#include "image/linktar.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/strv.h"

static la_ssize_t append(struct archive *a, void *arg, const void *data, size_t len)
{
    struct buf *out = arg;

    buf_add(out, data, len);
    return out->failed ? -1 : (la_ssize_t)len;
}

static bool add(struct archive *a, const char *name, const char *target)
{
    struct archive_entry *e = archive_entry_new();
    bool good;

    if (!e)
        return false;
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, target ? AE_IFLNK : AE_IFDIR);
    archive_entry_set_perm(e, target ? 0777 : 0755);
    archive_entry_set_mtime(e, 0, 0);
    if (target)
        archive_entry_set_symlink(e, target);
    good = archive_write_header(a, e) == ARCHIVE_OK;
    archive_entry_free(e);
    return good;
}

int linktar_write(const struct strv *names, const struct strv *targets, struct buf *out,
                  struct error *err)
{
    struct archive *a = archive_write_new();
    bool good;

    if (!a)
        return error_oom(err);
    good = archive_write_set_format_pax_restricted(a) == ARCHIVE_OK &&
           archive_write_open(a, out, NULL, append, NULL) == ARCHIVE_OK;
    for (size_t i = 0; good && i < names->count; i++)
        good = add(a, names->items[i], targets->items[i]);
    if (good && names->count == 0)
        good = add(a, "proc/", NULL);
    good = good && archive_write_close(a) == ARCHIVE_OK;
    if (!good)
        error_fail(err, "cannot write an archive of links: %s",
                   archive_error_string(a) ? archive_error_string(a) : "out of memory");
    archive_write_free(a);
    return good ? 0 : -1;
}
