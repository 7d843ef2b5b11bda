/* labopen: the lab of a request: a directory, or a tar of one, which is put into the
 * node-local store like an image. */
#ifndef REPX_LAUNCH_LABOPEN_H
#define REPX_LAUNCH_LABOPEN_H

#include "image/image.h"
#include "lab/lab.h"
#include "launch/session.h"

struct error;

struct opened_lab {
    struct lab lab;
    struct image tar; /* of a packed lab */
    struct image_rootfs tree;
};

#define OPENED_LAB_INIT                                                                \
    {                                                                                  \
        .lab = LAB_INIT, .tar = IMAGE_INIT, .tree = IMAGE_ROOTFS_INIT                  \
    }

/* --lab, REPX_LAB, else ./result; all of its jobs. An index of the lab is used when the
 * node-local store has one. */
int opened_lab_init(struct opened_lab *o, struct session *s, struct error *err);

/* The same for these runs and jobs and what they need (lab_options.names); the lab is
 * indexed when it is not yet. */
int opened_lab_init_for(struct opened_lab *o, struct session *s,
                        const struct strv *names, struct error *err);
void opened_lab_release(struct opened_lab *o);

#endif
