#include "launch/identity.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"

/* Copies the lines of text whose name (field 0) and number (field 2) are not ours. */
static void copy_others(struct buf *out, const char *text, const char *name,
                        uint64_t number)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        char line[1024];
        char *fields[3] = {0};
        bool ours = false;
        uint64_t n;

        if (len > 0 && len < sizeof(line)) {
            char *p = line;

            memcpy(line, text, len);
            line[len] = '\0';
            for (size_t i = 0; i < 3 && p; i++)
                fields[i] = strsep(&p, ":");
            ours = fields[0] && strcmp(fields[0], name) == 0;
            if (fields[2] && parse_u64(fields[2], &n) && n == number)
                ours = true;
            if (!ours) {
                buf_add(out, text, len);
                buf_addc(out, '\n');
            }
        }
        text += len + (text[len] == '\n');
    }
}

/* A name service may hand out anything; ':' and line breaks would forge fields. */
static const char *safe_name(const char *name, const char *fallback)
{
    return name && *name && !name[strcspn(name, ":\n")] ? name : fallback;
}

static char *finish(struct buf *b, struct error *err)
{
    char *text = buf_steal(b);

    if (!text)
        error_oom(err);
    return text;
}

char *identity_passwd(const char *image_text, const struct process_user *user,
                      const char *home, struct error *err)
{
    const char *name = safe_name(user->name, "user");
    struct buf b = BUF_INIT;

    buf_addf(&b, "%s:x:%u:%u:%s:%s:/bin/sh\n", name, user->uid, user->gid, name, home);
    copy_others(&b, image_text, name, user->uid);
    return finish(&b, err);
}

char *identity_group(const char *image_text, const struct process_user *user,
                     struct error *err)
{
    const char *name = safe_name(user->group, "group");
    struct buf b = BUF_INIT;

    buf_addf(&b, "%s:x:%u:\n", name, user->gid);
    copy_others(&b, image_text, name, user->gid);
    return finish(&b, err);
}
