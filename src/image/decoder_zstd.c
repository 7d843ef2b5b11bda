/* zstd, RFC 8878: frames one behind the other, skippable ones among them. */
#include <stdlib.h>
#include <zstd.h>

#include "base/error.h"
#include "image/decoder.h"

struct zstd {
    struct decoder decoder;
    ZSTD_DStream *stream;
    bool inside; /* a frame has begun and not ended */
};

static int run(struct decoder *d, struct decoder_io *io, struct error *err)
{
    struct zstd *z = (struct zstd *)d;
    ZSTD_inBuffer in = {io->in, io->in_len, 0};
    ZSTD_outBuffer out = {io->out, io->out_len, 0};
    size_t rc = z->inside ? 1 : 0;

    /* Also without input: the decoder may hold back what had no room before. */
    while (out.pos < out.size && (in.pos < in.size || z->inside)) {
        size_t in_before = in.pos, out_before = out.pos;

        rc = ZSTD_decompressStream(z->stream, &out, &in);
        if (ZSTD_isError(rc))
            return error_fail(err, "cannot decompress it (zstd): %s",
                              ZSTD_getErrorName(rc));
        z->inside = rc != 0;
        if (in.pos == in_before && out.pos == out_before)
            break;
    }
    io->in += in.pos;
    io->in_len -= in.pos;
    io->out += out.pos;
    io->out_len -= out.pos;
    if (!io->in_end || io->in_len > 0 || (z->inside && io->out_len == 0))
        return 0;
    return z->inside ? error_fail(err, "cannot decompress it (zstd): it is cut short")
                     : 1;
}

static void release(struct decoder *d)
{
    struct zstd *z = (struct zstd *)d;

    ZSTD_freeDStream(z->stream);
    free(z);
}

struct decoder *decoder_zstd_new(struct error *err)
{
    struct zstd *z = calloc(1, sizeof(*z));

    if (!z) {
        error_oom(err);
        return NULL;
    }
    z->decoder = (struct decoder){run, release};
    z->stream = ZSTD_createDStream();
    /* The largest window the library accepts by itself, 128 MiB: within
     * DECODER_MEMORY_MAX. */
    if (!z->stream || ZSTD_isError(ZSTD_initDStream(z->stream))) {
        release(&z->decoder);
        error_oom(err);
        return NULL;
    }
    return &z->decoder;
}
