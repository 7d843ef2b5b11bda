#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/request_internal.h"

/* "mount-path" -> "REPX_MOUNT_PATH" */
static void variable_name(struct buf *out, const char *option)
{
    buf_reset(out);
    buf_adds(out, "REPX_");
    for (; *option; option++)
        buf_addc(out, *option == '-' ? '_' : (char)toupper((unsigned char)*option));
}

/* One item of a list up to the separator, without the backslashes of "\,". */
static const char *take_item(const char *s, char separator, struct buf *item)
{
    buf_reset(item);
    while (*s && *s != separator) {
        if (separator == ',' && s[0] == '\\' && s[1] == ',')
            s++;
        buf_addc(item, *s++);
    }
    return *s ? s + 1 : NULL;
}

static int set_from_env(struct request *r, const struct request_option *o,
                        const char *value, struct error *err)
{
    _cleanup_buf_ struct buf item = BUF_INIT;
    char separator = strchr(value, '\n') ? '\n' : ',';

    if (o->type != REQUEST_LIST)
        return request_set(r, o, value, REQUEST_ENVIRONMENT, err);
    while (value) {
        value = take_item(value, separator, &item);
        if (buf_check(&item, err) < 0)
            return -1;
        if (item.len > 0 &&
            request_set(r, o, buf_str(&item), REQUEST_ENVIRONMENT, err) < 0)
            return -1;
    }
    return 0;
}

int request_read_env(struct request *r, char *const *env, struct error *err)
{
    _cleanup_buf_ struct buf name = BUF_INIT;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        const char *value;

        if (o[i].offset == offsetof(struct request, help) ||
            request_origin_of(r, &o[i]) == REQUEST_COMMAND_LINE)
            continue;
        variable_name(&name, o[i].name);
        if (buf_check(&name, err) < 0)
            return -1;
        value = strv_env_get(env, buf_str(&name));
        if (!value || !*value)
            continue;
        if (set_from_env(r, &o[i], value, err) < 0)
            return error_context(err, "environment variable %s", buf_str(&name));
    }
    return 0;
}
