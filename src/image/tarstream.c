#include "image/tarstream.h"

#include <archive.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"

static int add_filters(struct archive *a, struct error *err)
{
    /* ARCHIVE_WARN means "through an external program", which is never wanted. */
    if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
        archive_read_support_filter_xz(a) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(a) != ARCHIVE_OK)
        return error_fail(err, "this libarchive was built without gzip, xz or zstd; "
                               "install the distribution's own libarchive");
    return 0;
}

struct archive *tarstream_new_tar(bool filters, struct error *err)
{
    struct archive *a = archive_read_new();

    if (!a) {
        error_oom(err);
        return NULL;
    }
    if (filters && add_filters(a, err) < 0) {
        archive_read_free(a);
        return NULL;
    }
    archive_read_support_format_empty(a);
    archive_read_support_format_tar(a);
    return a;
}

void tarstream_free(struct archive **a)
{
    if (*a)
        archive_read_free(*a);
    *a = NULL;
}

bool tarstream_is_compressed(const void *magic, size_t len)
{
    static const struct {
        const char *bytes;
        size_t len;
    } known[] = {
        {"\x1f\x8b", 2},
        {"\x28\xb5\x2f\xfd", 4},
        {"\xfd\x37zXZ", 5},
        {"BZh", 3},
    };
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (len >= known[i].len && memcmp(magic, known[i].bytes, known[i].len) == 0)
            return true;
    return false;
}

static locale_t utf8;

static void make_utf8(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* Made once and kept: it is a property of the process, as the C library's own are. */
static locale_t utf8_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_utf8);
    return utf8;
}

int tarstream_next(struct archive *a, struct archive_entry **entry, struct error *err)
{
    locale_t locale = utf8_locale(), old = (locale_t)0;
    const char *text;
    int rc;

    if (locale)
        old = uselocale(locale);
    rc = archive_read_next_header(a, entry);
    if (locale)
        uselocale(old);
    if (rc == ARCHIVE_OK)
        return 0;
    if (rc == ARCHIVE_EOF)
        return 1;
    text = archive_error_string(a);
    if (rc != ARCHIVE_WARN)
        return error_fail(err, "damaged tar archive: %s",
                          text ? text : "unknown error");
    /* Warnings about owner names or extended attributes do not matter: both are
     * dropped. A pax header that cannot be read may have been this entry's name. */
    if (text && (strncmp(text, "Pathname", 8) == 0 ||
                 strncmp(text, "Linkname", 8) == 0 || strstr(text, "malformed pax")))
        return error_fail(err, "damaged tar archive: %s", text);
    return 0;
}

int tarstream_plain_name(const char *raw, char *out, struct error *err)
{
    size_t len = 0;

    out[0] = '\0';
    while (*raw) {
        size_t n = strcspn(raw, "/");

        if (n == 2 && raw[0] == '.' && raw[1] == '.')
            return error_fail(err, "its name has a \"..\" component");
        if (n > NAME_MAX)
            return error_fail(err,
                              "its name has a component of %zu bytes, %d are allowed",
                              n, NAME_MAX);
        if (n > 0 && !(n == 1 && raw[0] == '.')) {
            if (len + n + 2 > PATH_MAX)
                return error_fail(err, "its name is longer than %d bytes",
                                  PATH_MAX - 1);
            if (len > 0)
                out[len++] = '/';
            memcpy(out + len, raw, n);
            len += n;
            out[len] = '\0';
        }
        raw += n;
        if (*raw == '/')
            raw++;
    }
    return 0;
}
