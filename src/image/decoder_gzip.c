/* gzip, RFC 1952: members one behind the other. The inflate loop is ISA-L's, which is
 * about three times as fast as zlib's. It is loaded when the first gzip stream is read,
 * because every other launch would pay for a library that it does not use; where it is
 * missing, zlib does the work. */
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/error.h"
#include "image/decoder.h"

#ifdef REPX_HAVE_ISAL
#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#endif

#define HEADER_LOOK 4 /* bytes that tell a header from garbage */

struct gzip {
    struct decoder decoder;
    bool inside;    /* a member has begun and not ended */
    bool had_first; /* one member was there */
    /* 0: needs more input or room; 1: the member has ended and its checksum is right;
     * -1. Both count in 32 bits; callers' buffers are far smaller. */
    int (*inflate)(struct gzip *g, struct decoder_io *io);
    void *state; /* ISA-L's, else NULL */
    z_stream stream;
};

static int zlib_inflate(struct gzip *g, struct decoder_io *io)
{
    z_stream *s = &g->stream;
    int rc;

    s->next_in = (Bytef *)(uintptr_t)io->in; /* it only reads */
    s->avail_in = (uInt)io->in_len;
    s->next_out = io->out;
    s->avail_out = (uInt)io->out_len;
    rc = inflate(s, Z_NO_FLUSH);
    io->in = s->next_in;
    io->in_len = s->avail_in;
    io->out = s->next_out;
    io->out_len = s->avail_out;
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
        return -1;
    return rc == Z_STREAM_END;
}

#ifdef REPX_HAVE_ISAL
static __typeof__(isal_inflate_init) *load_init;
static __typeof__(isal_inflate) *load_inflate;

static void load(void)
{
    void *lib = dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);

    if (!lib)
        return;
    load_init = (__typeof__(load_init))dlsym(lib, "isal_inflate_init");
    load_inflate = (__typeof__(load_inflate))dlsym(lib, "isal_inflate");
}

static int isal_run(struct gzip *g, struct decoder_io *io)
{
    struct inflate_state *s = g->state;
    int rc;

    s->next_in = (uint8_t *)(uintptr_t)io->in; /* it only reads */
    s->avail_in = (uint32_t)io->in_len;
    s->next_out = io->out;
    s->avail_out = (uint32_t)io->out_len;
    rc = load_inflate(s);
    io->in = s->next_in;
    io->in_len = s->avail_in;
    io->out = s->next_out;
    io->out_len = s->avail_out;
    if (rc != ISAL_DECOMP_OK && rc != ISAL_END_INPUT && rc != ISAL_OUT_OVERFLOW)
        return -1;
    return s->block_state == ISAL_BLOCK_FINISH;
}

static void isal_begin(struct gzip *g)
{
    load_init(g->state);
    ((struct inflate_state *)g->state)->crc_flag = ISAL_GZIP;
}

static void choose(struct gzip *g)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (load_init && load_inflate)
        g->state = malloc(sizeof(struct inflate_state));
    if (g->state)
        g->inflate = isal_run;
}
#else
static void isal_begin(struct gzip *g)
{
}

static void choose(struct gzip *g)
{
}
#endif

static int begin_member(struct gzip *g, struct error *err)
{
    if (g->state)
        isal_begin(g);
    else if (inflateReset(&g->stream) != Z_OK)
        return error_oom(err);
    g->inside = g->had_first = true;
    return 0;
}

/* 0: another member follows, 1: the stream ends here, 2: not enough to tell, -1. */
static int look(const struct gzip *g, const struct decoder_io *io, struct error *err)
{
    const unsigned char *h = io->in;

    if (io->in_len < HEADER_LOOK && !io->in_end)
        return 2;
    /* method deflate, no reserved flag (RFC 1952, 2.3.1) */
    if (io->in_len >= HEADER_LOOK && h[0] == 0x1f && h[1] == 0x8b && h[2] == 8 &&
        (h[3] & 0xe0) == 0)
        return 0;
    return g->had_first ? 1 : error_fail(err, "it does not begin with a gzip header");
}

static int run(struct decoder *d, struct decoder_io *io, struct error *err)
{
    struct gzip *g = (struct gzip *)d;
    int rc;

    while (io->out_len > 0) {
        size_t in = io->in_len, out = io->out_len;

        if (!g->inside) {
            rc = look(g, io, err);
            if (rc != 0)
                return rc == 2 ? 0 : rc;
            if (begin_member(g, err) < 0)
                return -1;
        }
        rc = g->inflate(g, io);
        if (rc < 0)
            return error_fail(err, "cannot decompress it (gzip): damaged data");
        if (rc == 1)
            g->inside = false;
        else if (io->in_len == in && io->out_len == out)
            break;
    }
    if (g->inside && io->in_end && io->in_len == 0 && io->out_len > 0)
        return error_fail(err, "cannot decompress it (gzip): it is cut short");
    return 0;
}

static void release(struct decoder *d)
{
    struct gzip *g = (struct gzip *)d;

    inflateEnd(&g->stream);
    free(g->state);
    free(g);
}

struct decoder *decoder_gzip_new(struct error *err)
{
    struct gzip *g = calloc(1, sizeof(*g));

    /* 15: any window; + 16: with gzip's header and trailer */
    if (!g || inflateInit2(&g->stream, 15 + 16) != Z_OK) {
        free(g);
        error_oom(err);
        return NULL;
    }
    g->decoder = (struct decoder){run, release};
    g->inflate = zlib_inflate;
    choose(g);
    return &g->decoder;
}
