/* repx-podman-hook: the "precreate" hook (oci-hooks(5)) of our podman containers. It
 * gets the OCI configuration that podman has made on standard input, puts exactly the
 * plan's mounts into it, and prints it.
 *
 * Podman adds mounts of its own (/run/.containerenv, /etc/hostname, secrets of the
 * distribution, in each version others), and crun makes their mount points by writing,
 * also through a mount that will be read-only: into the image in the store. A job is
 * also to see the same in every sandbox.
 *
 * Its one argument is a file of NUL-terminated items: "seal" or "open" (the engine's
 * masks of /proc stay or go), a directory that is to live in memory or "" (memtree.h),
 * then TYPE SOURCE DESTINATION OPTIONS for each mount.
 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "hook/memtree.h"

#define HEAD 2 /* items before the mounts */

static int fail(const char *what)
{
    fprintf(stderr, "repx-podman-hook: %s\n", what);
    return 1;
}

static int fail_errno(const char *what)
{
    fprintf(stderr, "repx-podman-hook: %s: %s\n", what, strerror(errno));
    return 1;
}

static bool read_items(const char *path, struct strv *items)
{
    FILE *f = fopen(path, "re");
    char *item = NULL;
    size_t size = 0;
    bool good;

    if (!f)
        return false;
    while (getdelim(&item, &size, '\0', f) >= 0)
        strv_add(items, item);
    good = !ferror(f) && !items->failed;
    free(item);
    fclose(f);
    return good;
}

/* "ro,nosuid": a list without commas in its parts. */
static json_t *options_of(const char *text)
{
    json_t *list = json_array();

    while (*text) {
        size_t n = strcspn(text, ",");

        json_array_append_new(list, json_stringn(text, n));
        text += n + (text[n] == ',');
    }
    return list;
}

static json_t *mounts_of(const struct strv *items)
{
    json_t *mounts = json_array();

    for (size_t i = HEAD; i + 4 <= items->count; i += 4) {
        json_t *m = json_pack("{s:s, s:s, s:s, s:o}", "type", items->items[i], "source",
                              items->items[i + 1], "destination", items->items[i + 2],
                              "options", options_of(items->items[i + 3]));

        /* NULL: a path that is not UTF-8 */
        if (json_array_append_new(mounts, m) < 0) {
            json_decref(mounts);
            return NULL;
        }
    }
    return mounts;
}

/* Limits, umask and host name stay the launcher's, as in bwrap. */
static bool edit(json_t *spec, const struct strv *items)
{
    json_t *process = json_object_get(spec, "process");
    json_t *linux_part = json_object_get(spec, "linux");
    json_t *mounts = mounts_of(items);

    if (!json_is_object(process) || !json_is_object(linux_part) || !mounts) {
        json_decref(mounts);
        return false;
    }
    json_object_del(process, "rlimits");
    json_object_del(spec, "hostname");
    json_object_del(linux_part, "sysctl");
    if (strcmp(items->items[0], "open") == 0) {
        json_object_del(linux_part, "maskedPaths");
        json_object_del(linux_part, "readonlyPaths");
    }
    return json_object_set_new(spec, "mounts", mounts) == 0;
}

int main(int argc, char **argv)
{
    struct strv items = STRV_INIT;
    json_error_t where;
    json_t *spec;
    int r;

    if (argc != 2 || !read_items(argv[1], &items) || items.count % 4 != HEAD)
        return fail("cannot read the list of mounts");
    if (items.items[1][0] && memtree_mount(items.items[1]) < 0)
        return fail_errno("cannot keep the sandbox's root in memory");
    spec = json_loadf(stdin, 0, &where);
    if (!spec || !edit(spec, &items))
        return fail("podman's configuration is not as expected; this version of podman "
                    "may be too new or too old");
    r = json_dumpf(spec, stdout, JSON_COMPACT) < 0 || fflush(stdout) != 0
            ? fail("cannot write the configuration")
            : 0;
    json_decref(spec);
    strv_release(&items);
    return r;
}
