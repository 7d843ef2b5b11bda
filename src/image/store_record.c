/* record.json: what makes a directory of the store an entry. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "image/jsonutil.h"
#include "image/source.h"
#include "image/store_catalog.h"
#include "image/store_private.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"
#include "sys/process.h"

/* 5: with checksums of the tree, contents summed by XXH3, notes that tell of whiteouts,
 * and a digest of the notes. An entry of another version does not count and is made
 * again. */
#define RECORD_VERSION 5

/* Not durable by itself: what that means is store_boot's. */
static int write_record(int dirfd, json_t *record, struct error *err)
{
    _cleanup_free_ char *text = NULL;

    if (!record)
        return error_oom(err);
    text = json_dumps(record, JSON_INDENT(2));
    if (!text)
        return error_oom(err);
    return atomicfile_write(dirfd, STORE_RECORD, text, strlen(text), 0644, false, err);
}

/* A name for people; JSON takes only UTF-8. */
static json_t *json_of_name(const char *name)
{
    json_t *j = json_string(name);

    return j ? j : json_string("(a name that is not UTF-8)");
}

int store_record_write_layer(int dirfd, const struct digest *id, const char *image,
                             const struct store_layer_record *r, struct error *err)
{
    _cleanup_json_ json_t *record = NULL;

    record = json_pack("{s:i, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "version",
                       RECORD_VERSION, "diff_id", id->hex, "image", json_of_name(image),
                       "bytes", (json_int_t)r->bytes, "stored", (json_int_t)r->stored,
                       "entries", (json_int_t)r->entries, "skipped",
                       (json_int_t)r->skipped, "created", (json_int_t)time(NULL),
                       "sums", r->sums.hex, "notes", r->notes.hex);
    return write_record(dirfd, record, err);
}

/* The record below dirfd; NULL without err when there is none that can be used. */
static json_t *read_record(int dirfd)
{
    struct error ignored = ERROR_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    _cleanup_json_ json_t *record = NULL;
    _cleanup_close_ int fd = -1;

    /* O_NONBLOCK, here and wherever a file of the store is opened: what is a FIFO by
     * now is no record, and must not stop us. */
    fd = openat(dirfd, STORE_RECORD, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || pathfd_read_all(fd, SOURCE_JSON_MAX, &text, &ignored) < 0)
        return NULL;
    record = jsonutil_parse(text.data, text.len, STORE_RECORD, &ignored);
    if (json_integer_value(json_object_get(record, "version")) != RECORD_VERSION)
        return NULL;
    return steal_ptr(record);
}

static void read_digest(const json_t *record, const char *key, struct digest *out)
{
    const char *hex = json_string_value(json_object_get(record, key));

    *out = (struct digest){""};
    if (hex && is_lower_hex(hex, DIGEST_HEX_LEN))
        memcpy(out->hex, hex, DIGEST_HEX_LEN + 1);
}

/* 0; 1 when there is none for this layer; 2 when another boot made it. */
static int read_layer(int dirfd, const struct digest *id, struct store_layer_record *r)
{
    _cleanup_json_ json_t *record = read_record(dirfd);
    const char *text = json_string_value(json_object_get(record, "diff_id"));

    if (!text || strcmp(text, id->hex) != 0)
        return 1;
    r->bytes = (uint64_t)json_integer_value(json_object_get(record, "bytes"));
    r->stored = (uint64_t)json_integer_value(json_object_get(record, "stored"));
    r->entries = (uint64_t)json_integer_value(json_object_get(record, "entries"));
    r->skipped = (uint64_t)json_integer_value(json_object_get(record, "skipped"));
    read_digest(record, "sums", &r->sums);
    read_digest(record, "notes", &r->notes);
    return store_boot_counts(dirfd) ? 0 : 2;
}

int store_record_read_layer(int dirfd, const struct digest *id,
                            struct store_layer_record *r)
{
    return read_layer(dirfd, id, r) == 1;
}

int store_record_check_layer(struct store *s, const struct digest *id,
                             struct store_layer_record *r, struct error *err)
{
    _cleanup_close_ int fd = -1;

    fd = openat(s->layers_fd, id->hex, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        return error_sys(err, errno, "cannot open \"%s/layers/%s\"", s->path, id->hex);
    return fd < 0 ? 1 : read_layer(fd, id, r);
}

bool store_has(struct store *s, const struct digest *id)
{
    char name[DIGEST_HEX_LEN + sizeof("/" STORE_RECORD)];

    snprintf(name, sizeof(name), "%s/" STORE_RECORD, id->hex);
    return id->hex[0] && faccessat(s->rootfs_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int store_record_names_layer(struct store *s, const char *hex, struct error *err)
{
    return store_record_names_layer_but(s, hex, NULL, NULL, err);
}

int store_record_names_layer_but(struct store *s, const char *hex,
                                 bool (*skip)(void *arg, const char *rootfs), void *arg,
                                 struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    size_t i;

    if (store_catalog_names(s, s->rootfs_fd, &names, err) < 0)
        return -1;
    for (i = 0; i < names.count; i++) {
        _cleanup_strv_ struct strv layers = STRV_INIT;
        _cleanup_close_ int fd = -1;

        if (skip && skip(arg, names.items[i]))
            continue;
        fd = openat(s->rootfs_fd, names.items[i],
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && store_record_layers(fd, &layers, err) < 0)
            return -1;
        if (strv_contains(&layers, hex))
            return 1;
    }
    return 0;
}

int store_record_write_rootfs(int dirfd, const struct image *img, uint64_t bytes,
                              const struct digest *sums, struct error *err)
{
    _cleanup_free_ char *host = process_hostname();
    _cleanup_json_ json_t *record = NULL;
    json_t *layers = json_array();
    size_t i;

    for (i = 0; i < img->n_layers; i++)
        json_array_append_new(layers, json_string(img->layers[i].diff_id.hex));
    record = json_pack(
        "{s:i, s:s, s:s, s:o, s:s, s:o, s:I, s:I, s:s, s:o}", "version", RECORD_VERSION,
        "id", img->id.hex, "mode", sums ? "flat" : "overlay", "image",
        json_of_name(img->reference), "config", img->has_config ? img->config.hex : "",
        "layers", layers, "bytes", (json_int_t)bytes, "created", (json_int_t)time(NULL),
        "sums", sums ? sums->hex : "", "host", json_of_name(host ? host : ""));
    return write_record(dirfd, record, err);
}

int store_record_read_rootfs(int dirfd, struct store_entry *e, struct error *err)
{
    _cleanup_json_ json_t *record = read_record(dirfd);
    const char *id = json_string_value(json_object_get(record, "id"));
    const char *name = json_string_value(json_object_get(record, "image"));

    if (!id || !name || strcmp(id, e->id.hex) != 0)
        return 1;
    e->name = strdup(name);
    if (!e->name)
        return error_oom(err);
    e->bytes = (uint64_t)json_integer_value(json_object_get(record, "bytes"));
    e->layers = json_array_size(json_object_get(record, "layers"));
    e->created = json_integer_value(json_object_get(record, "created"));
    return 0;
}

int store_record_layers(int dirfd, struct strv *out, struct error *err)
{
    _cleanup_json_ json_t *record = read_record(dirfd);
    const json_t *layers = json_object_get(record, "layers");
    size_t i;

    for (i = 0; i < json_array_size(layers); i++) {
        const char *hex = json_string_value(json_array_get(layers, i));

        if (hex && is_lower_hex(hex, DIGEST_HEX_LEN))
            strv_add(out, hex);
    }
    return strv_check(out, err);
}

bool store_record_sums(int dirfd, struct digest *out)
{
    _cleanup_json_ json_t *record = read_record(dirfd);
    const char *mode = json_string_value(json_object_get(record, "mode"));

    read_digest(record, "sums", out);
    return mode && strcmp(mode, "overlay") == 0;
}
