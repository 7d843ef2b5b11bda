#include "spank/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

enum {
#define OPT(field, name, letter, type, arg, commands, spank, help) ROW_##field,
#include "request/options.def"
#undef OPT
    N_ROWS
};
_Static_assert(N_ROWS <= OPTIONS_MAX, "OPTIONS_MAX is too small for options.def");

static const struct request_option *row_of(size_t row)
{
    size_t n;

    return &request_options(&n)[row];
}

void options_release(struct options *o)
{
    for (size_t i = 0; i < OPTIONS_MAX; i++)
        free(o->text[i]);
    *o = (struct options){0};
}

char *options_name(const struct request_option *row)
{
    return str_printf("repx-%s", row->name);
}

/* The three ways in which Slurm says "no value". */
static const char *plain(const char *text)
{
    return text && strcmp(text, "(null)") != 0 ? text : "";
}

int options_take(struct options *o, size_t row, const char *text, struct error *err)
{
    char *copy = strdup(plain(text));

    if (!copy)
        return error_oom(err);
    free(o->text[row]);
    o->text[row] = copy;
    o->any = true;
    return 0;
}

bool options_differs(const struct options *o, size_t row, const char *text)
{
    return o->text[row] && strcmp(o->text[row], plain(text)) != 0;
}

static bool has_no_value(size_t row)
{
    enum request_type type = row_of(row)->type;

    return type == REQUEST_FLAG || type == REQUEST_COUNT;
}

/* Does the text take a value away rather than give one? */
static bool is_off(size_t row, const char *text)
{
    if (has_no_value(row))
        return false;
    return text[0] == '\0' ||
           ((row == ROW_image || row == ROW_step_job) && strcmp(text, "none") == 0);
}

static int set_row(struct request *r, size_t row, const char *text, struct error *err)
{
    const char *value = has_no_value(row) && text[0] == '\0' ? NULL : text;

    if (is_off(row, text))
        return 0;
    if (request_set_text(r, row_of(row), value, REQUEST_COMMAND_LINE, err) < 0)
        return error_context(err, "--repx-%s", row_of(row)->name);
    return 0;
}

int options_check(size_t row, const char *text, struct error *err)
{
    struct request r = REQUEST_INIT;
    int rc;

    text = plain(text);
    rc = set_row(&r, row, text, err);
    if (rc == 0 && request_validate(&r, err) < 0)
        rc = error_context(err, "--repx-%s=%s", row_of(row)->name, text);
    request_release(&r);
    return rc;
}

/* Slurm writes every character of a name that is none of a variable as '_'. */
static char *variable_of(const char *prefix, size_t row)
{
    char *name = str_printf("%srepx_%s", prefix, row_of(row)->name);

    for (char *p = name; p && *p; p++)
        if (*p == '-')
            *p = '_';
    return name;
}

int options_from_env(struct options *o, const char *prefix, char *const *env,
                     struct error *err)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        _cleanup_free_ char *name = NULL;
        const char *text;

        if (!row_of(i)->spank || o->text[i])
            continue;
        name = variable_of(prefix, i);
        if (!name)
            return error_oom(err);
        text = strv_env_get(env, name);
        if (text && options_take(o, i, text, err) < 0)
            return -1;
    }
    return 0;
}

bool options_in_env(const char *prefix, char *const *env)
{
    static const size_t rows[] = {ROW_image, ROW_step_job};

    for (size_t i = 0; i < array_size(rows); i++) {
        _cleanup_free_ char *name = variable_of(prefix, rows[i]);

        if (name && strv_env_get(env, name))
            return true;
    }
    return false;
}

bool options_in_force(const struct options *o)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (o->text[i] && !is_off(i, o->text[i]))
            return true;
    return false;
}

bool options_without_image(const struct options *o)
{
    return o->text[ROW_image] && is_off(ROW_image, o->text[ROW_image]);
}

int options_request(const struct options *o, struct request *r, struct error *err)
{
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!o->text[i] || (i == ROW_step_job && options_without_image(o)))
            continue;
        if (set_row(r, i, o->text[i], err) < 0)
            return -1;
    }
    return request_validate(r, err);
}

bool options_sandbox(const struct request *r)
{
    return r->image || r->step_job;
}
