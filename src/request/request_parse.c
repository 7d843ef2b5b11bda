#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"
#include "request/request_internal.h"

struct parser {
    struct request *r;
    unsigned commands;
    char *const *next; /* the word to read next */
};

static bool takes_value(const struct request_option *o)
{
    return o->type != REQUEST_FLAG && o->type != REQUEST_COUNT;
}

static int not_applicable(const char *name, struct error *err)
{
    return error_usage(err,
                       "option --%s does not apply to this command; --help lists those "
                       "that do",
                       name);
}

/* An unknown long option, with the nearest one that the command takes. */
static int unknown_long(const struct parser *p, const char *name, struct error *err)
{
    struct nearest near = NEAREST_INIT;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++)
        if (request_applies(&o[i], p->commands))
            nearest_offer(&near, name, o[i].name);
    if (near.word)
        return error_usage(err, "unknown option --%s; did you mean --%s?", name,
                           near.word);
    return error_usage(err, "unknown option --%s; --help lists the options", name);
}

static int ambiguous(const struct parser *p, const char *name, size_t len,
                     struct error *err)
{
    _cleanup_buf_ struct buf names = BUF_INIT;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++)
        if (request_applies(&o[i], p->commands) && strncmp(o[i].name, name, len) == 0)
            buf_addf(&names, "%s--%s", names.len ? ", " : "", o[i].name);
    return error_usage(err, "option --%s is ambiguous; it could be %s", name,
                       buf_str(&names));
}

/* The option called name, or the only one that the command takes and whose name begins
 * so (as getopt_long has it). */
static const struct request_option *find_long(const struct parser *p, const char *name,
                                              struct error *err)
{
    const struct request_option *o, *found = NULL, *elsewhere = NULL;
    size_t n, len = strlen(name), matches = 0;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        if (len == 0 || strncmp(o[i].name, name, len) != 0)
            continue;
        if (!request_applies(&o[i], p->commands)) {
            if (o[i].commands == FOR_STEP)
                continue; /* no option of a command that people type */
            if (o[i].name[len] == '\0') {
                not_applicable(name, err);
                return NULL;
            }
            elsewhere = &o[i];
            continue;
        }
        if (o[i].name[len] == '\0')
            return &o[i];
        found = &o[i];
        matches++;
    }
    if (matches == 1)
        return found;
    if (matches > 1)
        ambiguous(p, name, len, err);
    else if (elsewhere)
        not_applicable(elsewhere->name, err);
    else
        unknown_long(p, name, err);
    return NULL;
}

static int set_option(struct parser *p, const struct request_option *o,
                      const char *value, struct error *err)
{
    if (!value && takes_value(o)) {
        if (!*p->next)
            return error_usage(err, "option --%s needs a value: --%s %s", o->name,
                               o->name, o->arg);
        value = *p->next++;
    }
    if (request_set(p->r, o, value, REQUEST_COMMAND_LINE, err) < 0)
        return error_context(err, "option --%s", o->name);
    return 0;
}

static int parse_long(struct parser *p, const char *word, struct error *err)
{
    const struct request_option *o;
    _cleanup_free_ char *name = NULL;
    const char *eq = strchr(word, '=');

    name = eq ? strndup(word, (size_t)(eq - word)) : strdup(word);
    if (!name)
        return error_oom(err);
    o = find_long(p, name, err);
    if (!o)
        return -1;
    return set_option(p, o, eq ? eq + 1 : NULL, err);
}

/* "-vqj4", "-j 4". */
static int parse_cluster(struct parser *p, const char *letters, struct error *err)
{
    const struct request_option *o;
    size_t n, i;

    o = request_options(&n);
    for (; *letters; letters++) {
        for (i = 0; i < n && o[i].letter != *letters; i++)
            ;
        if (i == n)
            return error_usage(err, "unknown option -%c; --help lists the options",
                               *letters);
        if (!request_applies(&o[i], p->commands))
            return error_usage(err, "option -%c (--%s) does not apply to this command",
                               *letters, o[i].name);
        if (takes_value(&o[i]))
            return set_option(p, &o[i], letters[1] ? letters + 1 : NULL, err);
        if (set_option(p, &o[i], NULL, err) < 0)
            return -1;
    }
    return 0;
}

int request_parse(struct request *r, unsigned commands, char *const *argv,
                  struct error *err)
{
    struct parser p = {r, commands, argv};

    while (*p.next) {
        const char *word = *p.next++;
        int rc = 0;

        if (strcmp(word, "--") == 0) {
            r->has_command = true;
            r->command_at = r->args.count;
            strv_extend(&r->args, p.next);
            break;
        }
        if (word[0] != '-' || word[1] == '\0')
            strv_add(&r->args, word);
        else if (word[1] == '-')
            rc = parse_long(&p, word + 2, err);
        else
            rc = parse_cluster(&p, word + 1, err);
        if (rc < 0)
            return rc;
    }
    return strv_check(&r->args, err);
}
