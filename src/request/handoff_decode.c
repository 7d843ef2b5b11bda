/* Decoding: every byte may be hostile. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "request/handoff.h"
#include "request/handoff_internal.h"

static int broken(struct error *err, const char *what)
{
    return error_fail(err, "the step's hand-off file is broken: %s", what);
}

static int set_string(char **field, const char *bytes, uint32_t len, struct error *err)
{
    if (len == 0 || bytes[len - 1] != '\0' || memchr(bytes, '\0', len - 1))
        return broken(err, "a text that is none");
    if (*field)
        return broken(err, "a text that is there twice");
    *field = strdup(bytes);
    return *field ? 0 : error_oom(err);
}

static int add_string(struct strv *list, const char *bytes, uint32_t len,
                      struct error *err)
{
    _cleanup_free_ char *copy = NULL;

    if (set_string(&copy, bytes, len, err) < 0)
        return -1;
    strv_take(list, steal_ptr(copy));
    return strv_check(list, err);
}

static int get_number(uint32_t *field, const char *bytes, uint32_t len,
                      struct error *err)
{
    if (len != sizeof(*field))
        return broken(err, "a number that is none");
    memcpy(field, bytes, sizeof(*field));
    return 0;
}

static int get_flag(bool *field, const char *bytes, uint32_t len, struct error *err)
{
    uint32_t n = 0;

    if (get_number(&n, bytes, len, err) < 0)
        return -1;
    if (n > 1)
        return broken(err, "a flag that is none");
    *field = n == 1;
    return 0;
}

static int add_namespace(struct handoff_answer *a, const char *bytes, uint32_t len,
                         struct error *err)
{
    if (a->n_namespaces == HANDOFF_NAMESPACES)
        return broken(err, "too many namespaces");
    return get_number(&a->namespaces[a->n_namespaces++], bytes, len, err);
}

static int request_record(struct handoff *h, uint32_t tag, const char *p, uint32_t len,
                          struct error *err)
{
    struct handoff_request *r = &h->request;

    switch (tag) {
    case TAG_LAUNCHER:
        return set_string(&r->launcher, p, len, err);
    case TAG_CONFIG:
        return set_string(&r->config, p, len, err);
    case TAG_NODE:
        return set_string(&r->node, p, len, err);
    case TAG_BATCH_SCRIPT:
        return set_string(&r->batch_script, p, len, err);
    case TAG_GPUS:
        return set_string(&r->gpus, p, len, err);
    case TAG_OPTION:
        return add_string(&r->options, p, len, err);
    case TAG_JOB_ID:
        return get_number(&r->job_id, p, len, err);
    case TAG_STEP_ID:
        return get_number(&r->step_id, p, len, err);
    case TAG_NODE_ID:
        return get_number(&r->node_id, p, len, err);
    case TAG_N_NODES:
        return get_number(&r->n_nodes, p, len, err);
    case TAG_N_TASKS:
        return get_number(&r->n_tasks, p, len, err);
    case TAG_LOCAL_TASKS:
        return get_number(&r->local_tasks, p, len, err);
    default:
        return broken(err, "an unknown entry of the request");
    }
}

static int answer_record(struct handoff *h, uint32_t tag, const char *p, uint32_t len,
                         struct error *err)
{
    struct handoff_answer *a = &h->answer;

    switch (tag) {
    case TAG_ISOLATED:
        return get_flag(&a->isolated, p, len, err);
    case TAG_NAMESPACE:
        return add_namespace(a, p, len, err);
    case TAG_ENV:
        return add_string(&a->env, p, len, err);
    case TAG_PASS:
        return add_string(&a->pass, p, len, err);
    case TAG_ENV_SET:
        return add_string(&a->env_set, p, len, err);
    case TAG_CWD:
        return set_string(&a->cwd, p, len, err);
    case TAG_CWD_FALLBACK:
        return set_string(&a->cwd_fallback, p, len, err);
    case TAG_CWD_TELL:
        return get_flag(&a->cwd_tell, p, len, err);
    case TAG_ERROR:
        return set_string(&a->error, p, len, err);
    case TAG_EXIT_CODE:
        return get_number(&a->exit_code, p, len, err);
    default:
        return broken(err, "an unknown entry of the answer");
    }
}

typedef int record_fn(struct handoff *h, uint32_t tag, const char *p, uint32_t len,
                      struct error *err);

static int read_records(struct handoff *h, const char *p, size_t len, record_fn *each,
                        struct error *err)
{
    while (len > 0) {
        struct record r;

        if (len < sizeof(r))
            return broken(err, "half an entry");
        memcpy(&r, p, sizeof(r));
        p += sizeof(r);
        len -= sizeof(r);
        if (r.len > len)
            return broken(err, "an entry that is longer than the file");
        if (each(h, r.tag, p, r.len, err) < 0)
            return -1;
        p += r.len;
        len -= r.len;
    }
    return 0;
}

static int read_head(const void *data, size_t len, struct head *h, struct error *err)
{
    if (len < sizeof(*h) || len > HANDOFF_MAX)
        return broken(err, "its size");
    memcpy(h, data, sizeof(*h));
    if (memcmp(h->magic, HANDOFF_MAGIC, sizeof(h->magic)) != 0)
        return broken(err, "it does not begin as one");
    if (h->version != HANDOFF_VERSION) {
        error_fail(err, "the plugin speaks version %u of the hand-off, this is %u",
                   h->version, HANDOFF_VERSION);
        return error_hint(err, "install repx.so and repx-launch of one version");
    }
    if (h->phase < HANDOFF_NEW || h->phase > HANDOFF_FAILED)
        return broken(err, "its phase");
    if (h->request_len > len - sizeof(*h) ||
        (h->phase != HANDOFF_NEW && h->answer_len > len - sizeof(*h) - h->request_len))
        return broken(err, "its lengths");
    return 0;
}

static int check_complete(const struct handoff *h, struct error *err)
{
    const struct handoff_answer *a = &h->answer;

    if (!h->request.launcher || h->request.launcher[0] != '/' || !h->request.node)
        return broken(err, "it names no launcher or no node");
    if (h->phase == HANDOFF_FAILED && (!a->error || a->exit_code == 0))
        return broken(err, "a failure without its reason");
    if (h->phase == HANDOFF_READY && a->isolated &&
        (a->n_namespaces == 0 || (!a->cwd && !a->cwd_fallback)))
        return broken(err, "a sandbox without namespaces or without a directory");
    return 0;
}

int handoff_decode(const void *data, size_t len, struct handoff *out, struct error *err)
{
    const char *bytes = data;
    struct head head;
    int r;

    if (read_head(data, len, &head, err) < 0)
        return -1;
    out->phase = (enum handoff_phase)head.phase;
    out->answer_at = sizeof(head) + head.request_len;
    r = read_records(out, bytes + sizeof(head), head.request_len, request_record, err);
    if (r == 0 && out->phase != HANDOFF_NEW)
        r = read_records(out, bytes + out->answer_at, head.answer_len, answer_record,
                         err);
    if (r == 0)
        r = check_complete(out, err);
    if (r < 0)
        handoff_release(out);
    return r;
}
