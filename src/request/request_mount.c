#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/request.h"

/* The next part up to an unescaped ':'; NULL behind the last. */
static const char *take_part(const char *s, struct buf *part)
{
    while (*s && *s != ':') {
        if (s[0] == '\\' && (s[1] == ':' || s[1] == '\\'))
            s++;
        buf_addc(part, *s++);
    }
    return *s ? s + 1 : NULL;
}

/* An absolute path without "." and "..", its extra slashes taken out in place. */
static bool normalize(char *path)
{
    char *out = path;
    const char *in = path;

    if (*in != '/')
        return false;
    while (*in) {
        size_t n;

        in += strspn(in, "/");
        n = strcspn(in, "/");
        if ((n == 1 && in[0] == '.') || (n == 2 && in[0] == '.' && in[1] == '.'))
            return false;
        if (n > 0) {
            *out++ = '/';
            memmove(out, in, n);
            out += n;
        }
        in += n;
    }
    if (out == path)
        *out++ = '/';
    *out = '\0';
    return true;
}

static int set_dest(struct request_mount *m, char *dest, const char *text,
                    struct error *err)
{
    m->dest = dest;
    if (!dest)
        return error_oom(err);
    if (strcmp(dest, "ro") == 0 || strcmp(dest, "rw") == 0)
        return error_usage(err,
                           "mount '%s': a mode needs a destination in front of it; "
                           "write SRC:DST:%s",
                           text, dest);
    if (!normalize(dest))
        return error_usage(err,
                           "mount '%s': the destination '%s' is not an absolute path "
                           "without . and ..; write SRC[:DST[:ro|rw]]",
                           text, dest);
    if (strcmp(dest, "/") == 0)
        return error_usage(err,
                           "mount '%s': the root itself cannot be replaced; choose "
                           "another destination",
                           text);
    return 0;
}

static int set_mode(struct request_mount *m, const char *mode, const char *text,
                    struct error *err)
{
    m->has_mode = true;
    m->writable = strcmp(mode, "rw") == 0;
    if (!m->writable && strcmp(mode, "ro") != 0)
        return error_usage(err, "mount '%s': the mode '%s' is neither ro nor rw", text,
                           mode);
    return 0;
}

static int parse_parts(const char *text, struct request_mount *m, struct error *err)
{
    _cleanup_buf_ struct buf source = BUF_INIT, dest = BUF_INIT;
    const char *rest = take_part(text, &source);

    if (buf_check(&source, err) < 0)
        return -1;
    if (source.len == 0)
        return error_usage(err,
                           "mount '%s': the source is empty; write "
                           "SRC[:DST[:ro|rw]]",
                           text);
    m->source = buf_steal(&source);
    if (!m->source)
        return error_oom(err);
    if (!rest)
        return 0;
    rest = take_part(rest, &dest);
    if (buf_check(&dest, err) < 0)
        return -1;
    if (set_dest(m, buf_steal(&dest), text, err) < 0)
        return -1;
    return rest ? set_mode(m, rest, text, err) : 0;
}

int request_mount_parse(const char *text, struct request_mount *m, struct error *err)
{
    *m = (struct request_mount){0};
    if (parse_parts(text, m, err) < 0) {
        request_mount_release(m);
        return -1;
    }
    return 0;
}

static void add_escaped(struct buf *out, const char *path)
{
    for (; *path; path++) {
        if (*path == ':' || *path == '\\')
            buf_addc(out, '\\');
        buf_addc(out, *path);
    }
}

char *request_mount_format(const struct request_mount *m)
{
    _cleanup_buf_ struct buf out = BUF_INIT;

    add_escaped(&out, m->source);
    buf_addc(&out, ':');
    add_escaped(&out, m->dest ? m->dest : m->source);
    buf_adds(&out, m->writable ? ":rw" : ":ro");
    return buf_steal(&out);
}

void request_mount_release(struct request_mount *m)
{
    free(m->source);
    free(m->dest);
    *m = (struct request_mount){0};
}
