#include "request/handoff.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "request/handoff_internal.h"

void handoff_request_release(struct handoff_request *r)
{
    free(r->launcher);
    free(r->config);
    free(r->node);
    free(r->batch_script);
    free(r->gpus);
    strv_release(&r->options);
    *r = (struct handoff_request)HANDOFF_REQUEST_INIT;
}

void handoff_answer_release(struct handoff_answer *a)
{
    strv_release(&a->env);
    strv_release(&a->pass);
    strv_release(&a->env_set);
    free(a->cwd);
    free(a->cwd_fallback);
    free(a->error);
    *a = (struct handoff_answer)HANDOFF_ANSWER_INIT;
}

void handoff_release(struct handoff *h)
{
    handoff_request_release(&h->request);
    handoff_answer_release(&h->answer);
    *h = (struct handoff)HANDOFF_INIT;
}

static void put(struct buf *out, enum tag tag, const void *data, size_t len)
{
    struct record r = {tag, (uint32_t)len};

    if (len > HANDOFF_MAX) {
        out->failed = true; /* told as "too large" by whoever checks */
        return;
    }
    buf_add(out, &r, sizeof(r));
    buf_add(out, data, len);
}

static void put_string(struct buf *out, enum tag tag, const char *s)
{
    if (s)
        put(out, tag, s, strlen(s) + 1);
}

static void put_list(struct buf *out, enum tag tag, const struct strv *v)
{
    for (size_t i = 0; i < v->count; i++)
        put_string(out, tag, v->items[i]);
}

static void put_number(struct buf *out, enum tag tag, uint32_t n)
{
    put(out, tag, &n, sizeof(n));
}

static struct head make_head(enum handoff_phase phase, size_t request, size_t answer)
{
    struct head h = {.version = HANDOFF_VERSION,
                     .phase = phase,
                     .request_len = (uint32_t)request,
                     .answer_len = (uint32_t)answer};

    memcpy(h.magic, HANDOFF_MAGIC, sizeof(h.magic));
    return h;
}

static int check_size(const struct buf *b, size_t before, struct error *err)
{
    if (b->len + before > HANDOFF_MAX)
        return error_fail(err,
                          "options and environment of the step are too large (%zu "
                          "bytes; %u are possible)",
                          b->len + before, HANDOFF_MAX);
    return 0;
}

int handoff_encode_request(const struct handoff_request *r, struct buf *out,
                           struct error *err)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct head h;

    if (!r->launcher || r->launcher[0] != '/' || !r->node)
        return error_fail(err, "the step's request names no launcher or no node");
    if (strv_check(&r->options, err) < 0)
        return -1;
    put_string(&b, TAG_LAUNCHER, r->launcher);
    put_string(&b, TAG_CONFIG, r->config);
    put_string(&b, TAG_NODE, r->node);
    put_string(&b, TAG_BATCH_SCRIPT, r->batch_script);
    put_string(&b, TAG_GPUS, r->gpus);
    put_list(&b, TAG_OPTION, &r->options);
    put_number(&b, TAG_JOB_ID, r->job_id);
    put_number(&b, TAG_STEP_ID, r->step_id);
    put_number(&b, TAG_NODE_ID, r->node_id);
    put_number(&b, TAG_N_NODES, r->n_nodes);
    put_number(&b, TAG_N_TASKS, r->n_tasks);
    put_number(&b, TAG_LOCAL_TASKS, r->local_tasks);
    if (buf_check(&b, err) < 0 || check_size(&b, HANDOFF_HEAD, err) < 0)
        return -1;
    h = make_head(HANDOFF_NEW, b.len, 0);
    buf_add(out, &h, sizeof(h));
    buf_add(out, b.data, b.len);
    return buf_check(out, err);
}

int handoff_encode_answer(const struct handoff *h, enum handoff_phase phase,
                          const struct handoff_answer *a, struct buf *answer,
                          unsigned char head[HANDOFF_HEAD], struct error *err)
{
    size_t before = answer->len;
    struct head raw;

    if (strv_check(&a->env, err) < 0 || strv_check(&a->pass, err) < 0 ||
        strv_check(&a->env_set, err) < 0)
        return -1;
    put_number(answer, TAG_ISOLATED, a->isolated);
    for (uint32_t i = 0; i < a->n_namespaces && i < HANDOFF_NAMESPACES; i++)
        put_number(answer, TAG_NAMESPACE, a->namespaces[i]);
    put_list(answer, TAG_ENV, &a->env);
    put_list(answer, TAG_PASS, &a->pass);
    put_list(answer, TAG_ENV_SET, &a->env_set);
    put_string(answer, TAG_CWD, a->cwd);
    put_string(answer, TAG_CWD_FALLBACK, a->cwd_fallback);
    put_number(answer, TAG_CWD_TELL, a->cwd_tell);
    put_string(answer, TAG_ERROR, a->error);
    put_number(answer, TAG_EXIT_CODE, a->exit_code);
    if (buf_check(answer, err) < 0 || check_size(answer, h->answer_at, err) < 0)
        return -1;
    raw = make_head(phase, h->answer_at - HANDOFF_HEAD, answer->len - before);
    memcpy(head, &raw, sizeof(raw));
    return 0;
}
