/* decoder: decompresses a stream piece by piece: gzip (several members), zstd (several
 * frames, skippable ones), xz (several streams). The owner of the decompressors'
 * headers. A decoder has bounded memory whatever the stream says (DECODER_MEMORY_MAX).
 *
 * What may stand behind the end: behind a gzip member anything that is no gzip header,
 * as gzip(1) and libarchive have it; behind zstd and xz nothing. */
#ifndef REPX_IMAGE_DECODER_H
#define REPX_IMAGE_DECODER_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* What one decoder may take; xz -9 needs 65 MiB, zstd --long=27 needs 128 MiB. */
#define DECODER_MEMORY_MAX ((size_t)192 * 1024 * 1024)

enum decoder_kind { DECODER_NONE, DECODER_GZIP, DECODER_ZSTD, DECODER_XZ };

#define DECODER_MAGIC_LEN 6

/* What these first bytes of a stream announce. */
enum decoder_kind decoder_kind_of(const void *magic, size_t len);

struct decoder_io {
    const unsigned char *in; /* moved on as far as it was taken */
    size_t in_len;
    bool in_end; /* nothing comes behind in */
    unsigned char *out;
    size_t out_len; /* room */
};

struct decoder;

/* 0: more input or more room is needed; 1: the stream is complete, and what is left of
 * the input does not belong to it; -1 with err (damaged, cut short, needs too much
 * memory). */
struct decoder {
    int (*run)(struct decoder *d, struct decoder_io *io, struct error *err);
    void (*free)(struct decoder *d);
};

/* NULL with err; not for DECODER_NONE. */
struct decoder *decoder_new(enum decoder_kind kind, struct error *err);
int decoder_run(struct decoder *d, struct decoder_io *io, struct error *err);
void decoder_free(struct decoder **d);

/* decoder_gzip.c, decoder_zstd.c, decoder_xz.c */
struct decoder *decoder_gzip_new(struct error *err);
struct decoder *decoder_zstd_new(struct error *err);
struct decoder *decoder_xz_new(struct error *err);

#endif
