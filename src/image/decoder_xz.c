/* xz: streams one behind the other, with padding between them. */
#include <lzma.h>
#include <stdlib.h>

#include "base/error.h"
#include "image/decoder.h"

struct xz {
    struct decoder decoder;
    lzma_stream stream;
};

static const char *reason(lzma_ret rc)
{
    switch (rc) {
    case LZMA_MEMLIMIT_ERROR:
        return "it needs more memory than is given to one layer";
    case LZMA_FORMAT_ERROR:
        return "it is no xz stream";
    case LZMA_OPTIONS_ERROR:
        return "it uses an option that this liblzma does not know";
    case LZMA_BUF_ERROR:
        return "it is cut short";
    case LZMA_MEM_ERROR:
        return "out of memory";
    default:
        return "damaged data";
    }
}

static int run(struct decoder *d, struct decoder_io *io, struct error *err)
{
    lzma_stream *s = &((struct xz *)d)->stream;
    lzma_ret rc;

    s->next_in = io->in;
    s->avail_in = io->in_len;
    s->next_out = io->out;
    s->avail_out = io->out_len;
    rc = lzma_code(s, io->in_end ? LZMA_FINISH : LZMA_RUN);
    io->in = s->next_in;
    io->in_len = s->avail_in;
    io->out = s->next_out;
    io->out_len = s->avail_out;
    if (rc == LZMA_STREAM_END)
        return 1;
    /* No progress is an error only when there is nothing left that could bring some. */
    if (rc == LZMA_OK || (rc == LZMA_BUF_ERROR && (!io->in_end || io->out_len == 0)))
        return 0;
    return error_fail(err, "cannot decompress it (xz): %s", reason(rc));
}

static void release(struct decoder *d)
{
    struct xz *x = (struct xz *)d;

    lzma_end(&x->stream);
    free(x);
}

struct decoder *decoder_xz_new(struct error *err)
{
    struct xz *x = calloc(1, sizeof(*x));

    if (!x) {
        error_oom(err);
        return NULL;
    }
    x->decoder = (struct decoder){run, release};
    x->stream = (lzma_stream)LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&x->stream, DECODER_MEMORY_MAX, LZMA_CONCATENATED) !=
        LZMA_OK) {
        release(&x->decoder);
        error_oom(err);
        return NULL;
    }
    return &x->decoder;
}
