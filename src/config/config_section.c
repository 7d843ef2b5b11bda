#include "config/config_section.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/nearest.h"
#include "config/config.h"

void config_section_init(struct config_section *s, struct config *c)
{
    *s = (struct config_section){.scope = CONFIG_SCOPE_TOP, .base = c};
}

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/* One part of a dotted name, bare or in quotes; returns the place behind it. */
static const char *parse_part(const char *s, struct strv *parts)
{
    size_t n = 0;

    if (*s == '"' || *s == '\'') {
        const char *close = strchr(s + 1, *s);

        /* inih ends the header at the first ']'. */
        n = close ? (size_t)(close - s - 1) : 0;
        if (n == 0 || memchr(s + 1, ']', n) || memchr(s + 1, '\\', n))
            return NULL;
        strv_take(parts, strndup(s + 1, n));
        return close + 1;
    }
    while (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '-')
        n++;
    if (n == 0)
        return NULL;
    strv_take(parts, strndup(s, n));
    return s + n;
}

static int split_header(const char *header, struct strv *parts, struct error *err)
{
    const char *s = skip_blanks(header + 1);

    for (;;) {
        s = parse_part(s, parts);
        if (!s)
            break;
        s = skip_blanks(s);
        if (s[0] == ']' && s[1] == '\0')
            return strv_check(parts, err);
        if (*s != '.')
            break;
        s = skip_blanks(s + 1);
    }
    if (header[1] == '[')
        return error_fail(err, "'%s': lists of sections are not known here", header);
    return error_fail(err,
                      "'%s' is not a section header; write [policy], [targets.NAME] or "
                      "[targets.\"any name\"], and nothing behind it",
                      header);
}

static int unknown_section(const char *header, const struct strv *parts,
                           struct error *err)
{
    const char *const *known;
    const char *const roots[] = {"targets", "policy", "logging", NULL};
    const char *const schedulers[] = {"local", "slurm", NULL};
    struct nearest near = NEAREST_INIT;
    const char *word = parts->items[0];

    known = roots;
    if (strcmp(word, "targets") == 0 && parts->count >= 3) {
        known = schedulers;
        word = parts->items[2];
    }
    for (; *known; known++)
        nearest_offer(&near, word, *known);
    error_fail(err, "unknown section %s", header);
    if (near.word && strcmp(near.word, word) != 0)
        return error_hint(err, "did you mean %s instead of %s?", near.word, word);
    return error_hint(err,
                      "there are [targets.NAME], [targets.NAME.local], "
                      "[targets.NAME.slurm] and [policy]; put a name that has a dot in "
                      "quotes");
}

/* The target of this name, added when it is new. */
static struct config_target *target_of(struct config *c, const char *name,
                                       struct error *err)
{
    struct config_target *grown;

    for (size_t i = 0; i < c->n_targets; i++)
        if (strcmp(c->targets[i].name, name) == 0)
            return &c->targets[i];
    grown = reallocarray(c->targets, c->n_targets + 1, sizeof(*grown));
    if (!grown) {
        error_oom(err);
        return NULL;
    }
    c->targets = grown;
    grown += c->n_targets;
    *grown = (struct config_target){.name = strdup(name)};
    if (!grown->name) {
        error_oom(err);
        return NULL;
    }
    c->n_targets++;
    return grown;
}

static int note_origin(char **field, const char *file, unsigned line, struct error *err)
{
    if (*field)
        return 0;
    *field = str_printf("%s:%u", file, line);
    return *field ? 0 : error_oom(err);
}

static int enter_target(struct config_section *s, struct config *c,
                        const struct strv *parts, const char *file, unsigned line,
                        struct error *err)
{
    struct config_target *t = target_of(c, parts->items[1], err);

    if (!t || note_origin(&t->origin, file, line, err) < 0)
        return -1;
    *s = (struct config_section){.scope = CONFIG_SCOPE_TARGET, .base = t, .target = t};
    if (parts->count == 2)
        return 0;
    s->scope = CONFIG_SCOPE_SCHEDULER;
    s->scheduler_is_slurm = strcmp(parts->items[2], "slurm") == 0;
    s->scheduler = s->scheduler_is_slurm ? &t->slurm : &t->local;
    s->base = s->scheduler;
    return note_origin(&s->scheduler->origin, file, line, err);
}

int config_section_enter(struct config_section *s, struct config *c, const char *header,
                         const char *file, unsigned line, struct error *err)
{
    _cleanup_strv_ struct strv parts = STRV_INIT;
    const char *root;

    if (split_header(header, &parts, err) < 0)
        return -1;
    root = parts.items[0];
    *s = (struct config_section){0};
    if (parts.count == 1 && strcmp(root, "policy") == 0) {
        s->scope = CONFIG_SCOPE_POLICY;
        s->base = &c->policy;
    } else if (parts.count == 1 && strcmp(root, "logging") == 0) {
        s->scope = CONFIG_SCOPE_LOGGING;
        s->base = c;
    } else if (parts.count == 1 && strcmp(root, "targets") == 0) {
        s->scope = CONFIG_SCOPE_TARGETS;
        s->base = c;
    } else if (strcmp(root, "targets") == 0 &&
               (parts.count == 2 ||
                (parts.count == 3 && (strcmp(parts.items[2], "local") == 0 ||
                                      strcmp(parts.items[2], "slurm") == 0)))) {
        return enter_target(s, c, &parts, file, line, err);
    } else {
        return unknown_section(header, &parts, err);
    }
    return 0;
}
