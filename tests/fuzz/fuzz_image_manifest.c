/* The manifest readers on arbitrary JSON. The input is split at NUL bytes: oci-layout
 * or manifest.json first, then index.json, then what every other name gets, in turn. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *text;
static size_t text_len;
static unsigned reads;

/* The n-th part of the input. */
static void part(unsigned n, const char **start, size_t *len)
{
    const char *p = text, *end = text + text_len;

    for (;;) {
        const char *nul = p < end ? memchr(p, 0, (size_t)(end - p)) : NULL;

        if (n == 0 || !nul) {
            *start = p;
            *len = (size_t)((nul ? nul : end) - p);
            return;
        }
        p = nul + 1;
        n--;
    }
}

static int read_file(struct source *s, const char *name, struct buf *out,
                     struct error *err)
{
    const char *start;
    size_t len;

    if (strcmp(name, "manifest.json") == 0 || strcmp(name, "oci-layout") == 0)
        part(0, &start, &len);
    else if (strcmp(name, "index.json") == 0)
        part(1, &start, &len);
    else
        part(2 + reads++, &start, &len);
    buf_add(out, start, len);
    return buf_check(out, err);
}

static int stat_file(struct source *s, const char *name, struct source_stat *st,
                     struct error *err)
{
    st->size = 1024;
    st->compressed = false;
    return strlen(name) % 7 == 6;
}

static int open_file(struct source *s, const char *name, struct blob **out,
                     struct error *err)
{
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct source_ops ops = {read_file, stat_file, open_file};
    struct source src = {.ops = &ops, .fd = -1};
    struct image img = IMAGE_INIT;
    struct error err = ERROR_INIT;

    text = (const char *)data;
    text_len = size;
    reads = 0;
    manifest_docker_load(&img, &src, size % 2 ? "tag" : "", &err);
    image_release(&img);
    reads = 0;
    error_clear(&err);
    manifest_oci_load(&img, &src, size % 2 ? "tag" : "", &err);
    image_release(&img);
    error_clear(&err);
    image_config_parse(&img, text, text_len, &err);
    image_release(&img);
    return 0;
}
