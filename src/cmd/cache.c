#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "cmd/json_text.h"
#include "launch/session.h"

static void utc(int64_t seconds, char *out, size_t size)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    gmtime_r(&t, &tm);
    strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* Seconds since the last use; 0 when a clock went back. */
static int64_t age_of(const struct store_entry *e)
{
    int64_t age = (int64_t)time(NULL) - e->used;

    return age > 0 ? age : 0;
}

static void age_text(int64_t s, char *out, size_t size)
{
    if (s < 60)
        snprintf(out, size, "%llds", (long long)s);
    else if (s < 3600)
        snprintf(out, size, "%lldm", (long long)(s / 60));
    else if (s < 86400)
        snprintf(out, size, "%lldh", (long long)(s / 3600));
    else
        snprintf(out, size, "%lldd", (long long)(s / 86400));
}

static json_t *users_json(const struct store_entry *e)
{
    json_t *a = json_array();

    for (size_t i = 0; i < e->n_users; i++) {
        const struct store_user *u = &e->users[i];
        json_t *o = json_object();

        json_object_set_new(o, "pid", json_integer(u->pid));
        json_object_set_new(o, "uid",
                            u->uid == (uid_t)-1 ? json_null() : json_integer(u->uid));
        json_object_set_new(o, "user", u->name ? json_string(u->name) : json_null());
        json_object_set_new(o, "slurm_job", u->job ? json_string(u->job) : json_null());
        json_array_append_new(a, o);
    }
    return a;
}

static int cache_json(const struct store_entry *entries, size_t n, struct buf *out,
                      struct error *err)
{
    json_t *a = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct store_entry *e = &entries[i];
        json_t *o = json_object();

        json_object_set_new(o, "id", json_sprintf("sha256:%s", e->id.hex));
        json_object_set_new(o, "name", e->name ? json_string(e->name) : json_null());
        json_object_set_new(o, "bytes", json_integer((json_int_t)e->bytes));
        json_object_set_new(o, "layers", json_integer((json_int_t)e->layers));
        json_object_set_new(o, "created", json_integer(e->created));
        json_object_set_new(o, "used", json_integer(e->used));
        json_object_set_new(o, "age_s", json_integer(age_of(e)));
        json_object_set_new(o, "in_use", json_boolean(e->in_use));
        json_object_set_new(o, "users", users_json(e));
        json_array_append_new(a, o);
    }
    return json_text(a, out, err);
}

/* "  (in use: alice 4711, job 12; bob 4712)" */
static void users_text(const struct store_entry *e, struct buf *out)
{
    buf_adds(out, "  (in use");
    for (size_t i = 0; i < e->n_users; i++) {
        const struct store_user *u = &e->users[i];

        buf_adds(out, i ? "; " : ": ");
        quote_printable(out, u->name ? u->name : "process");
        buf_addf(out, " %ld", (long)u->pid);
        if (u->job) {
            buf_adds(out, ", job ");
            quote_printable(out, u->job);
        }
    }
    buf_addc(out, ')');
}

static int cache_text(const struct store *store, const struct store_entry *entries,
                      size_t n, struct buf *out, struct error *err)
{
    if (n == 0)
        buf_addf(out, "no images in %s\n", store->path);
    else
        buf_addf(out, "%-19s %10s  %6s  %-20s  %5s  %s\n", "ID", "MB", "LAYERS",
                 "LAST USED", "AGE", "IMAGE");
    for (size_t i = 0; i < n; i++) {
        char used[32], age[32];

        utc(entries[i].used, used, sizeof(used));
        age_text(age_of(&entries[i]), age, sizeof(age));
        buf_addf(out, "sha256:%.12s %10.1f  %6llu  %s  %5s  ", entries[i].id.hex,
                 (double)entries[i].bytes / 1e6, (unsigned long long)entries[i].layers,
                 used, age);
        quote_printable(out, entries[i].name ? entries[i].name : "");
        if (entries[i].in_use)
            users_text(&entries[i], out);
        buf_addc(out, '\n');
    }
    return buf_check(out, err);
}

static int cache_list_main(const struct request *req, char *const *env, int *exit_code,
                           struct error *err)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    struct store_entry *entries = NULL;
    struct session s;
    size_t n = 0;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = no_arguments(req, "cache list", err);
    if (r == 0)
        r = session_open_chosen_store(&s, err);
    if (r == 0)
        r = store_list(&s.store, &entries, &n, err);
    if (r == 0)
        r = req->json ? cache_json(entries, n, &out, err)
                      : cache_text(&s.store, entries, n, &out, err);
    if (r == 0)
        r = print_text(buf_str(&out), err);
    store_entries_free(entries, n);
    session_release(&s);
    *exit_code = 0;
    return r;
}

const struct command cmd_cache_list = {
    .name = "cache list",
    .options = FOR_CONFIG | FOR_JSON | FOR_SHARED,
    .synopsis = "[--json] [--shared]",
    .summary = "The images in this node's store",
    .main = cache_list_main,
};
