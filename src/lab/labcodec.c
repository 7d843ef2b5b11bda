#include "lab/labcodec.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/parse.h"
#include "lab/labstamp.h"

#define DIGEST_BYTES 32

static size_t left(const struct labcodec *c)
{
    return (size_t)(c->end - c->data);
}

static void write_u64(struct labcodec *c, uint64_t v)
{
    char bytes[10];
    size_t n = 0;

    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (char)(unsigned char)(v | 0x80);
    bytes[n++] = (char)v;
    buf_add(c->out, bytes, n);
}

static uint64_t read_u64(struct labcodec *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64 && !c->failed; shift += 7) {
        unsigned char byte;

        if (left(c) == 0)
            break;
        byte = *c->data++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    c->failed = true;
    return 0;
}

void labcodec_u64(struct labcodec *c, uint64_t *v)
{
    if (c->out)
        write_u64(c, *v);
    else
        *v = read_u64(c);
}

void labcodec_size(struct labcodec *c, size_t *v)
{
    uint64_t wide = *v;

    labcodec_u64(c, &wide);
    *v = (size_t)wide;
}

void labcodec_bool(struct labcodec *c, bool *v)
{
    uint64_t wide = *v;

    labcodec_u64(c, &wide);
    c->failed |= wide > 1;
    *v = wide == 1;
}

void labcodec_count(struct labcodec *c, size_t *n, size_t element_min)
{
    labcodec_size(c, n);
    if (!c->out && (c->failed || *n > left(c) / element_min)) {
        c->failed = true;
        *n = 0;
    }
}

bool labcodec_view(struct labcodec *c, const char **s, size_t *len)
{
    size_t n = (size_t)read_u64(c);

    if (c->failed || n == 0)
        return false;
    if (n - 1 > left(c) || memchr(c->data, '\0', n - 1)) {
        c->failed = true;
        return false;
    }
    *s = (const char *)c->data;
    *len = n - 1;
    c->data += n - 1;
    return true;
}

void labcodec_string(struct labcodec *c, char **s)
{
    const char *text;
    size_t n;

    if (c->out) {
        n = *s ? strlen(*s) + 1 : 0;
        write_u64(c, n);
        if (n > 1)
            buf_add(c->out, *s, n - 1);
        return;
    }
    if (!labcodec_view(c, &text, &n))
        return;
    *s = strndup(text, n);
    c->failed = !*s;
}

void labcodec_text(struct labcodec *c, char **s)
{
    labcodec_string(c, s);
    if (!*s)
        c->failed = true;
}

static unsigned nibble(char hex)
{
    return (unsigned)(hex <= '9' ? hex - '0' : hex - 'a' + 10);
}

static void write_digest(struct labcodec *c, const char *hex)
{
    char raw[DIGEST_BYTES];

    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] =
            (char)(unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    buf_add(c->out, raw, sizeof(raw));
}

void labcodec_digest(struct labcodec *c, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    bool there = c->out && is_lower_hex(hex, 2 * DIGEST_BYTES);

    labcodec_bool(c, &there);
    if (c->out) {
        if (there)
            write_digest(c, hex);
        return;
    }
    hex[0] = '\0';
    if (c->failed || !there)
        return;
    if (left(c) < DIGEST_BYTES) {
        c->failed = true;
        return;
    }
    for (size_t i = 0; i < DIGEST_BYTES; i++, c->data++) {
        hex[2 * i] = digits[*c->data >> 4];
        hex[2 * i + 1] = digits[*c->data & 15];
    }
    hex[2 * DIGEST_BYTES] = '\0';
}

void labcodec_strv(struct labcodec *c, struct strv *v)
{
    size_t n = v->count;

    labcodec_count(c, &n, 1);
    for (size_t i = 0; i < n && !c->failed; i++) {
        char *s = c->out ? v->items[i] : NULL;

        labcodec_text(c, &s);
        if (!c->out && s)
            strv_take(v, s);
    }
    c->failed |= v->failed;
}

/* Room for n elements; when writing it is there. */
static void *elements(struct labcodec *c, void *have, size_t n, size_t size)
{
    void *p;

    if (c->out || n == 0 || c->failed)
        return have;
    p = calloc(n, size);
    c->failed = !p;
    return p;
}

static void code_mapping(struct labcodec *c, struct lab_mapping *m)
{
    labcodec_string(c, &m->type);
    labcodec_string(c, &m->job_id);
    labcodec_string(c, &m->source_output);
    labcodec_string(c, &m->target_input);
    labcodec_string(c, &m->source_run);
    labcodec_string(c, &m->source);
    labcodec_string(c, &m->source_key);
    labcodec_string(c, &m->dependency_type);
}

static void code_executable(struct labcodec *c, struct lab_executable *exe)
{
    size_t n = exe->n_inputs;

    labcodec_text(c, &exe->name);
    labcodec_text(c, &exe->path);
    labcodec_count(c, &n, 8); /* a mapping: eight strings */
    exe->inputs = elements(c, exe->inputs, n, sizeof(*exe->inputs));
    for (size_t i = 0; i < n && !c->failed; i++) {
        exe->n_inputs = c->out ? n : i + 1;
        code_mapping(c, &exe->inputs[i]);
    }
    n = exe->n_outputs;
    labcodec_count(c, &n, 2);
    exe->outputs = elements(c, exe->outputs, n, sizeof(*exe->outputs));
    for (size_t i = 0; i < n && !c->failed; i++) {
        exe->n_outputs = c->out ? n : i + 1;
        labcodec_text(c, &exe->outputs[i].name);
        labcodec_string(c, &exe->outputs[i].template);
    }
    labcodec_strv(c, &exe->deps);
}

void labcodec_job_head(struct labcodec *c, struct lab_job *job)
{
    labcodec_text(c, &job->id);
    labcodec_text(c, &job->name);
    labcodec_bool(c, &job->scatter_gather);
}

void labcodec_job_body(struct labcodec *c, struct lab_job *job)
{
    size_t n = job->n_executables;

    labcodec_text(c, &job->params_json);
    labcodec_count(c, &n, 5);
    job->executables = elements(c, job->executables, n, sizeof(*job->executables));
    for (size_t i = 0; i < n && !c->failed; i++) {
        job->n_executables = c->out ? n : i + 1;
        code_executable(c, &job->executables[i]);
    }
    labcodec_string(c, &job->hints.mem);
    labcodec_string(c, &job->hints.time);
    labcodec_string(c, &job->hints.partition);
    labcodec_string(c, &job->hints.sbatch_opts);
    labcodec_string(c, &job->hints.cpus);
}

void labcodec_run(struct labcodec *c, struct lab_run *run)
{
    labcodec_text(c, &run->name);
    labcodec_text(c, &run->metadata);
    labcodec_string(c, &run->image);
    labcodec_strv(c, &run->hard_deps);
    labcodec_strv(c, &run->soft_deps);
}

void labcodec_stamps(struct labcodec *c, struct lab_stamps *s)
{
    size_t n = s->n;

    labcodec_count(c, &n, 6);
    for (size_t i = 0; i < n && !c->failed; i++) {
        struct lab_stamp stamp = {0};

        if (c->out)
            stamp = s->items[i];
        labcodec_text(c, &stamp.path);
        labcodec_u64(c, &stamp.ino);
        labcodec_u64(c, &stamp.size);
        labcodec_u64(c, &stamp.mtime_ns);
        labcodec_u64(c, &stamp.ctime_ns);
        labcodec_digest(c, stamp.sha256);
        if (c->out)
            continue;
        if (!c->failed)
            lab_stamps_add(s, stamp.path, &stamp);
        free(stamp.path);
    }
    c->failed |= s->failed;
}
