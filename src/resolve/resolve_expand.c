#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve.h"
#include "sys/process.h"

struct expansion {
    char *const *env;
    struct process_user user; /* read when it is first needed */
    bool have_user;
};

static int need_user(struct expansion *x, struct error *err)
{
    if (x->have_user)
        return 0;
    if (process_user_init(&x->user, err) < 0)
        return -1;
    x->have_user = true;
    return 0;
}

/* A variable's value. Batch environments may lack HOME and USER; the name service knows
 * them. An empty one would silently mean another place, so it counts as unset. */
static int add_variable(struct expansion *x, const char *name, struct buf *out,
                        struct error *err)
{
    const char *value = strv_env_get(x->env, name);

    if ((!value || !*value) &&
        (strcmp(name, "HOME") == 0 || strcmp(name, "USER") == 0)) {
        if (need_user(x, err) < 0)
            return -1;
        value = name[0] == 'H' ? x->user.home : x->user.name;
    }
    if (!value || !*value)
        return error_fail(err, "$%s is not set; set it or take it out of the path",
                          name);
    buf_adds(out, value);
    return 0;
}

/* Behind "$": NAME, {NAME} or a second "$". Returns the place behind it. */
static const char *expand_dollar(struct expansion *x, const char *s, struct buf *out,
                                 struct error *err)
{
    bool braces = *s == '{';
    _cleanup_free_ char *name = NULL;
    size_t n = 0;

    if (*s == '$') {
        buf_addc(out, '$');
        return s + 1;
    }
    s += braces;
    while (isalnum((unsigned char)s[n]) || s[n] == '_')
        n++;
    if (n == 0 || isdigit((unsigned char)*s) || (braces && s[n] != '}')) {
        error_fail(err, "a variable's name is missing behind '$'; write $NAME, "
                        "${NAME}, or $$ for the sign itself");
        return NULL;
    }
    name = strndup(s, n);
    if (!name) {
        error_oom(err);
        return NULL;
    }
    if (add_variable(x, name, out, err) < 0)
        return NULL;
    return s + n + braces;
}

static int expand_percent(struct expansion *x, char letter, struct buf *out,
                          struct error *err)
{
    _cleanup_free_ char *host = NULL;

    switch (letter) {
    case '%':
        buf_addc(out, '%');
        return 0;
    case 'u':
    case 'U':
        if (need_user(x, err) < 0)
            return -1;
        if (letter == 'u')
            buf_adds(out, x->user.name);
        else
            buf_addf(out, "%lu", (unsigned long)x->user.uid);
        return 0;
    case 'h':
        host = process_hostname();
        if (!host || !*host)
            return error_fail(err, "%%h: this host has no name");
        buf_add(out, host, strcspn(host, "."));
        return 0;
    case 'j':
        return add_variable(x, "SLURM_JOB_ID", out, err);
    default:
        return error_fail(
            err,
            "'%%%.1s' is unknown; there are %%u %%U %%h %%j, and %%%% for "
            "the sign itself",
            (const char[]){letter, '\0'});
    }
}

static int expand(struct expansion *x, const char *s, struct buf *out,
                  struct error *err)
{
    if (s[0] == '~' && (s[1] == '\0' || s[1] == '/')) {
        if (add_variable(x, "HOME", out, err) < 0)
            return -1;
        s++;
    }
    while (*s) {
        if (*s == '$') {
            s = expand_dollar(x, s + 1, out, err);
            if (!s)
                return -1;
        } else if (*s == '%') {
            if (expand_percent(x, s[1], out, err) < 0)
                return -1;
            s += 2;
        } else {
            buf_addc(out, *s++);
        }
    }
    return buf_check(out, err);
}

char *resolve_expand(const char *text, char *const *env, struct error *err)
{
    struct expansion x = {.env = env};
    struct buf out = BUF_INIT;
    int rc = expand(&x, text, &out, err);

    if (x.have_user)
        process_user_release(&x.user);
    if (rc < 0) {
        error_context(err, "'%s'", text);
        buf_release(&out);
        return NULL;
    }
    return buf_steal(&out);
}
