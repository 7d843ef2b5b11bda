#include "config/config_keys.h"
#include "request/request.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/parse.h"
#include "config/config.h"
#include "config/config_value.h"

#define STRUCT_TOP struct config
#define STRUCT_TARGET struct config_target
#define STRUCT_SCHEDULER struct config_scheduler
#define STRUCT_POLICY struct config_policy

/* clang-format off */
static const struct config_key keys[] = {
#define KEY(scope, name, type, check, member)                                          \
    {CONFIG_SCOPE_##scope, #name, CONFIG_TYPE_##type, CONFIG_CHECK_##check,            \
     offsetof(STRUCT_##scope, member)},
#define REPX_ONLY(scope, name, check)                                                  \
    {CONFIG_SCOPE_##scope, #name, CONFIG_TYPE_IGNORED, CONFIG_CHECK_##check, 0},
#include "config/config_keys.def"
#undef KEY
#undef REPX_ONLY
};
/* clang-format on */

static const char *scope_name(enum config_scope scope)
{
    switch (scope) {
    case CONFIG_SCOPE_TARGET:
        return "in [targets.NAME]";
    case CONFIG_SCOPE_SCHEDULER:
        return "in [targets.NAME.local] or [targets.NAME.slurm]";
    case CONFIG_SCOPE_POLICY:
        return "in [policy] of the site file";
    case CONFIG_SCOPE_LOGGING:
        return "in [logging]";
    case CONFIG_SCOPE_TOP:
    case CONFIG_SCOPE_TARGETS:
    default:
        return "before the first section";
    }
}

const struct config_key *config_key_find(enum config_scope scope, const char *name,
                                         struct error *err)
{
    const struct config_key *elsewhere = NULL;
    struct nearest near = NEAREST_INIT;

    for (size_t i = 0; i < array_size(keys); i++) {
        if (keys[i].scope == scope && strcmp(keys[i].name, name) == 0)
            return &keys[i];
        if (keys[i].scope == scope)
            nearest_offer(&near, name, keys[i].name);
        else if (!elsewhere && strcmp(keys[i].name, name) == 0)
            elsewhere = &keys[i];
    }
    error_fail(err, "unknown key '%s'", name);
    if (elsewhere)
        error_hint(err, "it belongs %s", scope_name(elsewhere->scope));
    else if (near.word)
        error_hint(err, "did you mean %s?", near.word);
    else
        error_hint(err, "see the annotated repx.ini for the keys that exist");
    return NULL;
}

/* A name of a variable, or the beginning of one with '*' behind it. */
static bool env_pattern_ok(const char *s)
{
    size_t i = 0;

    if (isdigit((unsigned char)s[0]))
        return false;
    while (isalnum((unsigned char)s[i]) || s[i] == '_')
        i++;
    return i > 0 && (s[i] == '\0' || (s[i] == '*' && s[i + 1] == '\0'));
}

static int check_value(enum config_check check, const char *value, struct error *err)
{
    uint64_t number;

    if (!*value)
        return error_fail(err, "the value is empty; leave the key out instead");
    switch (check) {
    case CONFIG_CHECK_NUMBER:
        if (!parse_u64(value, &number))
            return error_fail(err, "'%s' is not a whole number", value);
        return 0;
    case CONFIG_CHECK_SCHEDULER:
        if (strcmp(value, "local") != 0 && strcmp(value, "slurm") != 0)
            return error_fail(err, "'%s' is neither local nor slurm", value);
        return 0;
    case CONFIG_CHECK_NETWORK:
        if (strcmp(value, "none") != 0 && strcmp(value, "host") != 0)
            return error_fail(err, "'%s' is neither none nor host", value);
        return 0;
    case CONFIG_CHECK_STAGING:
        if (strcmp(value, "auto") != 0 && strcmp(value, "flat") != 0 &&
            strcmp(value, "off") != 0)
            return error_fail(err, "'%s' is none of auto, flat and off", value);
        return 0;
    case CONFIG_CHECK_GPUS:
        if (!request_gpus_ok(value))
            return error_fail(
                err, "'%s' is neither none nor auto nor a list of devices", value);
        return 0;
    case CONFIG_CHECK_PATH:
        if (!strchr("/~$%", value[0]))
            return error_fail(err, "'%s' is not an absolute path", value);
        return 0;
    case CONFIG_CHECK_ENV:
        if (!env_pattern_ok(value))
            return error_fail(err, "'%s' is neither a variable's name nor PREFIX*",
                              value);
        return 0;
    case CONFIG_CHECK_IMAGE:
        if (value[0] != '/' &&
            (strncmp(value, "sha256:", 7) != 0 || !is_lower_hex(value + 7, 64)))
            return error_fail(err,
                              "'%s' is neither an absolute path nor sha256: with 64 "
                              "hexadecimal digits",
                              value);
        return 0;
    case CONFIG_CHECK_ANY:
    default:
        return 0;
    }
}

static int set_origin(char **field, const char *origin, struct error *err)
{
    char *copy = strdup(origin);

    if (!copy)
        return error_oom(err);
    free(*field);
    *field = copy;
    return 0;
}

static int set_list(const struct config_key *key, struct config_list *field,
                    const char *text, const char *origin, unsigned *line,
                    struct error *err)
{
    _cleanup_strv_ struct strv items = STRV_INIT;

    if (config_value_list(text, &items, line, err) < 0)
        return -1;
    for (size_t i = 0; i < items.count; i++)
        if (check_value(key->check, items.items[i], err) < 0)
            return -1;
    strv_release(&field->value);
    field->value = items;
    items = (struct strv)STRV_INIT;
    return set_origin(&field->origin, origin, err);
}

static int set_scalar(const struct config_key *key, void *field, char **value,
                      const char *origin, struct error *err)
{
    struct config_string *string = field;
    struct config_bool *flag = field;
    struct config_number *number = field;

    switch (key->type) {
    case CONFIG_TYPE_STRING:
        free(string->value);
        string->value = steal_ptr(*value);
        return set_origin(&string->origin, origin, err);
    case CONFIG_TYPE_BOOL:
        if (!parse_bool(*value, &flag->value))
            return error_fail(err, "'%s' is neither true nor false", *value);
        return set_origin(&flag->origin, origin, err);
    case CONFIG_TYPE_SIZE:
        if (!parse_size(*value, &number->value))
            return error_fail(err, "'%s' is not a size; write 50G, 500M or bytes",
                              *value);
        return set_origin(&number->origin, origin, err);
    case CONFIG_TYPE_DURATION:
        if (!parse_duration(*value, &number->value))
            return error_fail(err, "'%s' is not a duration; write 25s or 2m", *value);
        return set_origin(&number->origin, origin, err);
    case CONFIG_TYPE_LIST:
    case CONFIG_TYPE_IGNORED:
    default:
        return 0;
    }
}

int config_key_set(const struct config_key *key, void *base, const char *text,
                   const char *origin, unsigned *line, struct error *err)
{
    void *field = (char *)base + key->offset;
    _cleanup_free_ char *value = NULL;

    if (key->type == CONFIG_TYPE_LIST)
        return set_list(key, field, text, origin, line, err);
    value = config_value_scalar(text, err);
    if (!value || check_value(key->check, value, err) < 0)
        return -1;
    return set_scalar(key, field, &value, origin, err);
}
