#include "lab/jsonparts.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "sys/cpus.h"
#include "sys/workpool.h"

/* What one thread takes at once. */
#define BATCH 256
#define THREADS_MAX 8
/* jansson's own bound is some levels more in the document than in a part of it; what is
 * as deep as this is for it to judge as a whole. */
#define DEPTH_MAX 1000

struct scan {
    const char *at, *end;
};

static void skip_blank(struct scan *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take_char(struct scan *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

static bool skip_string(struct scan *s)
{
    if (!take_char(s, '"'))
        return false;
    while (s->at < s->end) {
        char c = *s->at++;

        if (c == '"')
            return true;
        if (c == '\\' && s->at < s->end)
            s->at++;
    }
    return false;
}

/* To the bracket that closes this one, whatever their kinds. */
static bool skip_brackets(struct scan *s)
{
    size_t depth = 0;

    while (s->at < s->end) {
        switch (*s->at) {
        case '"':
            if (!skip_string(s))
                return false;
            continue;
        case '{':
        case '[':
            if (++depth > DEPTH_MAX)
                return false;
            break;
        case '}':
        case ']':
            depth--;
            break;
        default:
            break;
        }
        s->at++;
        if (depth == 0)
            return true;
    }
    return false;
}

static bool skip_value(struct scan *s)
{
    const char *start = s->at;

    if (s->at == s->end)
        return false;
    if (*s->at == '"')
        return skip_string(s);
    if (*s->at == '{' || *s->at == '[')
        return skip_brackets(s);
    while (s->at < s->end && !strchr(",]} \t\n\r", *s->at))
        s->at++;
    return s->at > start;
}

/* One member, or element, and the blanks behind it. */
static bool scan_item(struct scan *s, const char *text, bool keyed,
                      struct jsonpart *out)
{
    *out = (struct jsonpart){.key = (size_t)(s->at - text)};
    if (keyed) {
        if (!skip_string(s))
            return false;
        out->key_len = (size_t)(s->at - text) - out->key;
        skip_blank(s);
        if (!take_char(s, ':'))
            return false;
        skip_blank(s);
    }
    out->value = (size_t)(s->at - text);
    if (!skip_value(s))
        return false;
    out->value_len = (size_t)(s->at - text) - out->value;
    skip_blank(s);
    return true;
}

static bool add(struct jsonparts *p, const struct jsonpart *part)
{
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 64;
        struct jsonpart *items = reallocarray(p->items, cap, sizeof(*items));

        if (!items)
            return false;
        p->items = items;
        p->cap = cap;
    }
    p->items[p->n++] = *part;
    return true;
}

/* Of an object or array at s, which s is behind of afterwards, each item. */
static bool scan_items(struct scan *s, const char *text,
                       bool (*found)(void *arg, const struct jsonpart *part), void *arg)
{
    bool keyed = s->at < s->end && *s->at == '{';
    char close = keyed ? '}' : ']';
    struct jsonpart part;

    if (!take_char(s, keyed ? '{' : '['))
        return false;
    skip_blank(s);
    if (take_char(s, close))
        return true;
    for (;;) {
        if (!scan_item(s, text, keyed, &part) || !found(arg, &part))
            return false;
        if (take_char(s, close))
            return true;
        if (!take_char(s, ','))
            return false;
        skip_blank(s);
    }
}

static bool add_part(void *arg, const struct jsonpart *part)
{
    struct jsonparts *p = arg;

    return part->value_len >= p->least && add(p, part);
}

/* The member that is looked for. */
struct wanted {
    const char *text, *key;
    struct jsonpart part;
    unsigned times;
};

static bool look(void *arg, const struct jsonpart *part)
{
    struct wanted *w = arg;
    size_t n = strlen(w->key);

    if (part->key_len == n + 2 && memcmp(w->text + part->key + 1, w->key, n) == 0) {
        w->part = *part;
        w->times++;
    }
    return true;
}

bool jsonparts_find(struct jsonparts *p, const char *text, size_t len, const char *key,
                    char open, size_t least)
{
    struct scan s = {text, text + len};
    struct wanted w = {.text = text, .key = key};

    *p = (struct jsonparts){.text = text, .len = len, .least = least};
    skip_blank(&s);
    if (s.at == s.end || *s.at != '{' || !scan_items(&s, text, look, &w))
        return false;
    skip_blank(&s);
    if (s.at != s.end || w.times != 1 || text[w.part.value] != open)
        return false;
    p->open = w.part.value;
    p->close = w.part.value + w.part.value_len - 1;
    s.at = text + p->open;
    return scan_items(&s, text, add_part, p) && s.at == text + p->close + 1;
}

void jsonparts_release(struct jsonparts *p)
{
    free(p->items);
    *p = (struct jsonparts)JSONPARTS_INIT;
}

json_t *jsonparts_rest(const struct jsonparts *p)
{
    _cleanup_buf_ struct buf b = BUF_INIT;

    buf_add(&b, p->text, p->open + 1);
    buf_add(&b, p->text + p->close, p->len - p->close);
    return b.failed ? NULL
                    : json_loadb(buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL);
}

json_t *jsonparts_value(const struct jsonparts *p, size_t i)
{
    const struct jsonpart *part = &p->items[i];

    return json_loadb(p->text + part->value, part->value_len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

char *jsonparts_key(const struct jsonparts *p, size_t i)
{
    const struct jsonpart *part = &p->items[i];
    json_t *key = json_loadb(p->text + part->key, part->key_len, JSON_DECODE_ANY, NULL);
    char *copy = json_is_string(key) ? strdup(json_string_value(key)) : NULL;

    json_decref(key);
    return copy;
}

struct each {
    size_t n;
    bool (*take)(void *arg, size_t i);
    void *arg;
    atomic_bool failed;
};

struct batch {
    struct task task;
    struct each *each;
    size_t first;
};

static void run_batch(struct task *t)
{
    const struct batch *b = (struct batch *)t;
    struct each *e = b->each;

    for (size_t i = b->first; i < e->n && i < b->first + BATCH; i++)
        if (atomic_load(&e->failed) || !e->take(e->arg, i)) {
            atomic_store(&e->failed, true);
            return;
        }
}

bool jsonparts_each(const struct jsonparts *p, bool (*take)(void *arg, size_t i),
                    void *arg)
{
    struct each e = {.n = p->n, .take = take, .arg = arg};
    size_t n = (p->n + BATCH - 1) / BATCH;
    unsigned threads = n > 1 ? cpus_usable() : 1;
    _cleanup_free_ struct batch *batches = calloc(n + 1, sizeof(*batches));
    struct error ignored = ERROR_INIT;
    struct workpool *pool = NULL;

    if (!batches)
        return false;
    atomic_init(&e.failed, false);
    /* without threads it takes longer */
    if (threads > 1)
        pool = workpool_new(threads < THREADS_MAX ? threads : THREADS_MAX, &ignored);
    for (size_t i = 0; i < n; i++) {
        batches[i] = (struct batch){{NULL, run_batch}, &e, i * BATCH};
        if (pool)
            workpool_push(pool, &batches[i].task);
        else
            run_batch(&batches[i].task);
    }
    if (pool)
        workpool_free(&pool);
    return !atomic_load(&e.failed);
}
