/* progress: how long work tells its caller how far it is, and asks whether to go on. */
#ifndef REPX_IMAGE_PROGRESS_H
#define REPX_IMAGE_PROGRESS_H

#include <stdint.h>

struct error;

struct image_progress {
    /* phase: "wait" (somebody else extracts), "extract" (bytes of the image as stored),
     * "compose" (layers), "confirm" (bytes of files that another boot extracted),
     * "verify" (entries of the store). May be NULL. total 0: not known. Called often;
     * the callee throttles. */
    void (*update)(void *arg, const char *phase, uint64_t done, uint64_t total);
    /* Not zero: stop, clean up and return an error with errnum ECANCELED. May be NULL.
     */
    int (*cancelled)(void *arg);
    void *arg;
};

/* Both accept NULL. progress_check returns 0, or -1 with ECANCELED. */
void progress_update(const struct image_progress *p, const char *phase, uint64_t done,
                     uint64_t total);
int progress_check(const struct image_progress *p, struct error *err);
/* Fills err as progress_check does; returns -1. */
int progress_cancelled(struct error *err);

#endif
