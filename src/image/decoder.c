#include "image/decoder.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static const struct {
    const char *magic;
    size_t len;
    struct decoder *(*make)(struct error *err);
} kinds[] = {
    [DECODER_NONE] = {NULL, 0, NULL},
    [DECODER_GZIP] = {"\x1f\x8b", 2, decoder_gzip_new},
    [DECODER_ZSTD] = {"\x28\xb5\x2f\xfd", 4, decoder_zstd_new},
    [DECODER_XZ] = {"\xfd\x37zXZ", 6, decoder_xz_new},
};

enum decoder_kind decoder_kind_of(const void *magic, size_t len)
{
    size_t i;

    for (i = DECODER_NONE + 1; i < array_size(kinds); i++)
        if (len >= kinds[i].len && memcmp(magic, kinds[i].magic, kinds[i].len) == 0)
            return (enum decoder_kind)i;
    return DECODER_NONE;
}

struct decoder *decoder_new(enum decoder_kind kind, struct error *err)
{
    return kinds[kind].make(err);
}

int decoder_run(struct decoder *d, struct decoder_io *io, struct error *err)
{
    size_t in = io->in_len, out = io->out_len;
    int rc = d->run(d, io, err);

    if (rc == 0 && io->in_end && io->in_len == in && io->out_len == out && out > 0)
        return error_fail(err, "cannot decompress it: it is cut short");
    return rc;
}

void decoder_free(struct decoder **d)
{
    if (*d)
        (*d)->free(*d);
    *d = NULL;
}
