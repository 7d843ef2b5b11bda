#include <ini.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "config/config.h"
#include "config/config_keys.h"
#include "config/config_line.h"
#include "config/config_section.h"

/* inih cuts a section's name silently at 50 bytes with its NUL. */
enum { INIH_MAX_SECTION = 49 };

struct parser {
    struct config *config;
    const char *file;
    bool trusted_policy;
    struct error *err;
    bool failed;
    const char *text, *end; /* what is still to be read */
    unsigned line;          /* of the line that inih has in hand */
    bool in_array;
    struct config_section section;
    /* The entry in hand: an array's lines come one by one. */
    bool collecting;
    unsigned entry_line, value_line; /* of its first and its last line so far */
    char *key;
    struct buf value;
    struct strv seen; /* "section\nkey" of this file */
};

static int fail_at(struct parser *p, unsigned line)
{
    p->failed = true;
    return error_context(p->err, "%s:%u", p->file, line);
}

/* The name without the quotes that TOML allows around it. */
static char *bare_key(const char *name)
{
    size_t n = strlen(name);

    if (n >= 2 && (name[0] == '"' || name[0] == '\'') && name[n - 1] == name[0])
        return strndup(name + 1, n - 2);
    return strdup(name);
}

static int check_duplicate(struct parser *p)
{
    _cleanup_free_ char *id = NULL;
    const char *scheduler = p->section.scheduler == NULL    ? ""
                            : p->section.scheduler_is_slurm ? "slurm"
                                                            : "local";

    id =
        str_printf("%d\n%s\n%s\n%s", (int)p->section.scope,
                   p->section.target ? p->section.target->name : "", scheduler, p->key);
    if (!id)
        return error_oom(p->err);
    if (strv_contains(&p->seen, id))
        return error_fail(p->err,
                          "the key '%s' is given twice in the same section; keep one",
                          p->key);
    strv_take(&p->seen, steal_ptr(id));
    return strv_check(&p->seen, p->err);
}

static int store_entry(struct parser *p)
{
    _cleanup_free_ char *origin = str_printf("%s:%u", p->file, p->entry_line);
    const struct config_key *key;
    unsigned line = p->entry_line;

    if (!origin || buf_check(&p->value, p->err) < 0) {
        error_oom(p->err);
        return fail_at(p, line);
    }
    key = config_key_find(p->section.scope, p->key, p->err);
    if (!key || check_duplicate(p) < 0)
        return fail_at(p, line);
    if (config_key_set(key, p->section.base, buf_str(&p->value), origin, &line,
                       p->err) < 0) {
        error_context(p->err, "%s", p->key);
        return fail_at(p, line);
    }
    return 0;
}

/* inih's callback: an entry, or with the same name the next line of its array. */
static int on_entry(void *user, const char *section, const char *name,
                    const char *value)
{
    struct parser *p = user;

    if (p->failed)
        return 0;
    if (!p->collecting) {
        free(p->key);
        p->key = bare_key(name);
        if (!p->key) {
            error_oom(p->err);
            fail_at(p, p->line);
            return 0;
        }
        buf_reset(&p->value);
        p->entry_line = p->value_line = p->line;
    }
    for (; p->value_line < p->line; p->value_line++)
        buf_addc(&p->value, '\n');
    buf_adds(&p->value, value);
    p->collecting = p->in_array;
    if (p->collecting)
        return 1;
    if (p->value.data)
        config_line_restore(p->value.data);
    return store_entry(p) == 0;
}

static int enter_section(struct parser *p, const char *header)
{
    if (strlen(header) - 2 > INIH_MAX_SECTION)
        return error_fail(p->err,
                          "the section name is %zu bytes long, at most %d are possible",
                          strlen(header) - 2, INIH_MAX_SECTION);
    if (config_section_enter(&p->section, p->config, header, p->file, p->line, p->err) <
        0)
        return -1;
    if (p->section.scope == CONFIG_SCOPE_POLICY && !p->trusted_policy)
        return error_fail(p->err,
                          "[policy] counts only in the site file " CONFIG_SITE_FILE
                          "; move it there");
    return 0;
}

/* Handles the next line; what inih shall see of it is in out. */
static int next_line(struct parser *p, size_t size, struct buf *out)
{
    const char *newline = memchr(p->text, '\n', (size_t)(p->end - p->text));
    size_t len = (size_t)((newline ? newline : p->end) - p->text);
    int kind;

    kind = config_line_clean(p->text, len, &p->in_array, out, p->err);
    p->text += len + (newline ? 1 : 0);
    if (kind < 0)
        return -1;
    /* One byte is kept for NUL and one so that inih sees the end of the line. */
    if (out->len + 2 > size)
        return error_fail(p->err,
                          "line is %zu bytes long, at most %zu are possible; split the "
                          "array over several lines",
                          out->len, size - 2);
    return kind == CONFIG_LINE_SECTION ? enter_section(p, buf_str(out)) : 0;
}

/* inih's reader: fgets for one line of the text, NULL at its end. */
static char *read_line(char *line, int size, void *stream)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct parser *p = stream;

    if (p->failed || p->text == p->end)
        return NULL;
    p->line++;
    if (next_line(p, (size_t)size, &out) < 0) {
        fail_at(p, p->line);
        return NULL;
    }
    buf_addc(&out, '\n');
    if (buf_check(&out, p->err) < 0) {
        fail_at(p, p->line);
        return NULL;
    }
    memcpy(line, buf_str(&out), out.len + 1);
    return line;
}

static int parse(struct parser *p)
{
    int rc = ini_parse_stream(read_line, p, on_entry, p);

    if (p->failed)
        return -1;
    if (p->in_array) {
        error_fail(p->err, "the array of '%s' is not closed; a ] is missing",
                   p->key ? p->key : "");
        return fail_at(p, p->entry_line);
    }
    if (rc != 0) {
        error_fail(p->err, "the line cannot be read");
        return fail_at(p, rc > 0 ? (unsigned)rc : p->line);
    }
    return 0;
}

int config_parse(struct config *c, const char *text, size_t len, const char *file_name,
                 bool trusted_policy, struct error *err)
{
    struct parser p = {.config = c,
                       .file = file_name,
                       .trusted_policy = trusted_policy,
                       .err = err,
                       .text = text,
                       .end = text + len,
                       .value = BUF_INIT,
                       .seen = STRV_INIT};
    int rc;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        p.text += 3;
    config_section_init(&p.section, c);
    rc = parse(&p);
    free(p.key);
    buf_release(&p.value);
    strv_release(&p.seen);
    if (rc < 0)
        return rc;
    strv_add(&c->files, file_name);
    return strv_check(&c->files, err);
}
