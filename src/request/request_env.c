#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/request_internal.h"

bool request_variable(const struct request_option *o, struct buf *name)
{
    if (o->offset == offsetof(struct request, help) || o->commands == FOR_STEP)
        return false;
    buf_reset(name);
    buf_adds(name, "REPX_");
    for (const char *s = o->name; *s; s++)
        buf_addc(name, *s == '-' ? '_' : (char)toupper((unsigned char)*s));
    return true;
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

int request_set_text(struct request *r, const struct request_option *o,
                     const char *value, enum request_origin origin, struct error *err)
{
    _cleanup_buf_ struct buf item = BUF_INIT;
    char separator;

    if (o->type != REQUEST_LIST || !value)
        return request_set(r, o, value, origin, err);
    separator = strchr(value, '\n') ? '\n' : ',';
    while (value) {
        value = take_item(value, separator, &item);
        if (buf_check(&item, err) < 0)
            return -1;
        if (item.len > 0 && request_set(r, o, buf_str(&item), origin, err) < 0)
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

        if (request_origin_of(r, &o[i]) == REQUEST_COMMAND_LINE ||
            !request_variable(&o[i], &name))
            continue;
        if (buf_check(&name, err) < 0)
            return -1;
        value = strv_env_get(env, buf_str(&name));
        if (!value || !*value)
            continue;
        if (request_set_text(r, &o[i], value, REQUEST_ENVIRONMENT, err) < 0)
            return error_context(err, "environment variable %s", buf_str(&name));
    }
    return 0;
}

/* The newline behind each item makes it the separator, whatever the items have. */
static void list_to_env(const struct strv *list, const char *name, struct strv *env)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    for (size_t i = 0; i < list->count; i++)
        buf_addf(&text, "%s\n", list->items[i]);
    strv_take(env, text.failed ? NULL : str_printf("%s=%s", name, buf_str(&text)));
}

static void option_to_env(const struct request *r, const struct request_option *o,
                          const char *name, struct strv *env)
{
    const void *field = request_field(r, o);

    switch (o->type) {
    case REQUEST_STRING:
        strv_addf(env, "%s=%s", name, *(char *const *)field);
        break;
    case REQUEST_LIST:
        list_to_env(field, name, env);
        break;
    case REQUEST_FLAG:
        strv_addf(env, "%s=%s", name, *(const bool *)field ? "yes" : "no");
        break;
    case REQUEST_COUNT:
        strv_addf(env, "%s=%u", name, *(const unsigned *)field);
        break;
    case REQUEST_NUMBER:
        strv_addf(env, "%s=%llu", name, (unsigned long long)*(const uint64_t *)field);
        break;
    default:
        break;
    }
}

void request_to_env(const struct request *r, struct strv *env)
{
    _cleanup_buf_ struct buf name = BUF_INIT;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++)
        if (request_origin_of(r, &o[i]) != REQUEST_UNSET &&
            request_variable(&o[i], &name)) {
            if (name.failed)
                env->failed = true;
            else
                option_to_env(r, &o[i], buf_str(&name), env);
        }
}
