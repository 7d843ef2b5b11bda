/* cdi: Container Device Interface specifications (CDI 0.3 to 1.0), with which vendors
 * describe what a container needs to use a device: nodes, libraries, variables. They
 * are the site's: files of root in directories of root; whatever else is there is an
 * error, not left out. Hooks are programs for container runtimes with root's rights,
 * and none is run: those that are known become data (links, a library path), the others
 * a warning. JSON, and YAML without anchors, aliases and tags.
 */
#ifndef REPX_LAUNCH_CDI_H
#define REPX_LAUNCH_CDI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"

struct error;
struct json_t;

struct cdi_node {
    char *path, *host_path; /* absolute; the same when the file does not say */
};

struct cdi_mount {
    char *host_path, *path; /* absolute, outside and inside */
    bool writable;
};

struct cdi_link {
    char *target, *path; /* its text, where it is */
};

/* containerEdits */
struct cdi_edits {
    struct strv env; /* NAME=VALUE */
    struct cdi_node *nodes;
    size_t n_nodes;
    struct cdi_mount *mounts;
    size_t n_mounts;
    struct cdi_link *links; /* of hooks */
    size_t n_links;
    struct strv ignored; /* what cannot be done here, in words */
};

struct cdi_device {
    char *name;
    struct cdi_edits edits;
};

struct cdi_spec {
    char *file;
    char *kind;             /* vendor/class */
    struct cdi_edits edits; /* for each of its devices */
    struct cdi_device *devices;
    size_t n_devices;
    size_t rank; /* of its directory: the higher one counts */
};

struct cdi {
    struct cdi_spec *specs;
    size_t n;
};

/* Reads every *.json, *.yaml and *.yml of the directories; of a device that two of them
 * describe the later directory counts. A directory that is not there is empty. *out is
 * to be released also on failure. */
int cdi_load(struct cdi *out, const struct strv *dirs, struct error *err);
void cdi_release(struct cdi *c);

struct cdi_choice {
    const struct cdi_spec *spec; /* borrowed */
    const struct cdi_device *device;
};

/* VENDOR/CLASS=NAME, or NAME of a device whose class is "gpu". Unknown and ambiguous
 * names are errors that say which there are. */
int cdi_find(const struct cdi *c, const char *name, struct cdi_choice *out,
             struct error *err);
/* "VENDOR/CLASS=NAME". Owned by the caller; NULL when out of memory. */
char *cdi_name(const struct cdi_choice *choice);
bool cdi_is_gpu(const struct cdi_spec *spec);

/* --- between the files of this module --- */

enum { CDI_TEXT_MAX = 4 << 20 };

/* The text as a JSON value, owned by the caller; NULL with err. */
struct json_t *cdi_yaml_load(const char *text, size_t len, struct error *err);
/* Fills an empty spec (file and rank are the caller's part). */
int cdi_spec_parse(const struct json_t *doc, struct cdi_spec *out, struct error *err);
int cdi_edits_parse(const struct json_t *json, struct cdi_edits *out,
                    struct error *err);
void cdi_edits_release(struct cdi_edits *e);

#endif
