/* record: launch.json, the provenance of a launch (CONTRACT section 6). */
#ifndef REPX_OUTCOME_RECORD_H
#define REPX_OUTCOME_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "plan/plan.h"
#include "runtime/supervise.h"

struct error;

struct record {
    const char *job;  /* NULL for exec */
    const char *unit; /* "simple", ... */
    const char *lab_path, *lab_id;
    const struct image *image;         /* NULL: none */
    const struct image_rootfs *rootfs; /* NULL: none */
    const struct plan *plan;
    const char *runtime_version;
    const char *staging; /* who made the mounts: "off", "on", "overlay"; NULL: none */
    const char *kernel, *host, *user;
    char *const *env; /* of the launcher: SLURM_* ids are taken from it */
    const char *started_at, *ended_at; /* UTC */
    uint64_t wait_ns, extract_ns, setup_ns, run_ns;
    const struct supervise_result *result; /* NULL: did not start */
    int exit_code;
    const char *error; /* one line, NULL none */
};

/* JSON text, owned by the caller. */
char *record_json(const struct record *r, struct error *err);

#endif
