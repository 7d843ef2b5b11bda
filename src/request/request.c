#include "request/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"
#include "request/request_internal.h"

static const struct request_option table[] = {
#define OPT(field, name, letter, type, arg, commands, spank, help)                     \
    {name,                                                                             \
     letter,                                                                           \
     REQUEST_##type,                                                                   \
     arg,                                                                              \
     commands,                                                                         \
     spank,                                                                            \
     help,                                                                             \
     offsetof(struct request, field),                                                  \
     offsetof(struct request, field##_origin)},
#include "request/options.def"
#undef OPT
};

const struct request_option *request_options(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const void *request_field(const struct request *r, const struct request_option *o)
{
    return (const char *)r + o->offset;
}

static void *field_rw(struct request *r, const struct request_option *o)
{
    return (char *)r + o->offset;
}

enum request_origin request_origin_of(const struct request *r,
                                      const struct request_option *o)
{
    return *(const enum request_origin *)(const void *)((const char *)r +
                                                        o->origin_offset);
}

static void set_origin(struct request *r, const struct request_option *o,
                       enum request_origin origin)
{
    *(enum request_origin *)(void *)((char *)r + o->origin_offset) = origin;
}

bool request_applies(const struct request_option *o, unsigned commands)
{
    return (o->commands & (commands | FOR_ALL)) != 0;
}

static int set_string(char **field, const char *value, struct error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return error_oom(err);
    free(*field);
    *field = copy;
    return 0;
}

static int set_list(struct request *r, const struct request_option *o,
                    const char *value, enum request_origin origin, struct error *err)
{
    struct strv *list = field_rw(r, o);

    /* A stronger level replaces the whole list of a weaker one. */
    if (request_origin_of(r, o) != origin)
        strv_release(list);
    strv_add(list, value);
    return strv_check(list, err);
}

static int set_flag(bool *field, const char *value, struct error *err)
{
    if (!value)
        *field = true;
    else if (!parse_bool(value, field))
        return error_usage(err, "'%s' is neither yes nor no", value);
    return 0;
}

static int set_count(unsigned *field, const char *value, struct error *err)
{
    uint64_t number;
    bool on;

    if (!value)
        ++*field;
    else if (parse_u64(value, &number) && number <= 9)
        *field = (unsigned)number;
    else if (parse_bool(value, &on))
        *field = on;
    else
        return error_usage(err, "'%s' is not a number from 0 to 9", value);
    return 0;
}

int request_set(struct request *r, const struct request_option *o, const char *value,
                enum request_origin origin, struct error *err)
{
    int rc = 0;

    if ((o->type == REQUEST_STRING || o->type == REQUEST_LIST) && (!value || !*value))
        return error_usage(err, "the value is empty; %s is needed", o->arg);
    switch (o->type) {
    case REQUEST_STRING:
        rc = set_string(field_rw(r, o), value, err);
        break;
    case REQUEST_LIST:
        rc = set_list(r, o, value, origin, err);
        break;
    case REQUEST_FLAG:
        rc = set_flag(field_rw(r, o), value, err);
        break;
    case REQUEST_COUNT:
        /* -v on the command line counts from zero, whatever the environment says. */
        if (request_origin_of(r, o) != origin)
            *(unsigned *)field_rw(r, o) = 0;
        rc = set_count(field_rw(r, o), value, err);
        break;
    case REQUEST_NUMBER:
        if (!value || !parse_u64(value, field_rw(r, o)))
            rc = error_usage(err, "'%s' is not a whole number", value ? value : "");
        break;
    default:
        break;
    }
    if (rc == 0)
        set_origin(r, o, origin);
    return rc;
}

void request_release(struct request *r)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].type == REQUEST_STRING)
            free(*(char **)field_rw(r, &table[i]));
        else if (table[i].type == REQUEST_LIST)
            strv_release(field_rw(r, &table[i]));
    }
    strv_release(&r->args);
    *r = (struct request)REQUEST_INIT;
}

static void option_to_argv(const struct request *r, const struct request_option *o,
                           struct strv *argv)
{
    const void *field = request_field(r, o);
    const struct strv *list;

    switch (o->type) {
    case REQUEST_STRING:
        strv_addf(argv, "--%s=%s", o->name, *(char *const *)field);
        break;
    case REQUEST_LIST:
        list = field;
        for (size_t i = 0; i < list->count; i++)
            strv_addf(argv, "--%s=%s", o->name, list->items[i]);
        break;
    case REQUEST_FLAG:
        strv_addf(argv, *(const bool *)field ? "--%s" : "--%s=no", o->name);
        break;
    case REQUEST_COUNT:
        strv_addf(argv, "--%s=%u", o->name, *(const unsigned *)field);
        break;
    case REQUEST_NUMBER:
        strv_addf(argv, "--%s=%llu", o->name,
                  (unsigned long long)*(const uint64_t *)field);
        break;
    default:
        break;
    }
}

void request_to_argv(const struct request *r, unsigned commands, struct strv *argv)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (request_applies(&table[i], commands) &&
            request_origin_of(r, &table[i]) != REQUEST_UNSET)
            option_to_argv(r, &table[i], argv);
}
