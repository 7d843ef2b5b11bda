/* stage_internal: a stage under construction, shared by stage*.c. */
#ifndef REPX_RUNTIME_STAGE_INTERNAL_H
#define REPX_RUNTIME_STAGE_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "runtime/stage.h"

/* The way to mount points below a root. Inputs lie in the same directory, or in
 * directories of one: what two mount points that follow each other have in common is
 * kept open, and the next ones are looked for from there. */
struct stage_way {
    int root;   /* borrowed */
    char *dir;  /* the directory that is kept; NULL: the root */
    int dirfd;  /* of dir */
    char *last; /* the directory that the mount point before is in; NULL: unknown */
};

#define STAGE_WAY_INIT(fd)                                                             \
    {                                                                                  \
        .root = (fd), .dirfd = -1                                                      \
    }

void stage_way_release(struct stage_way *w);
/* Something was mounted at dest: what lies there is another directory now. */
void stage_way_mounted(struct stage_way *w, const char *dest);

struct assembly {
    const struct plan *plan;
    int base;             /* our tmpfs, attached at the stage's directory */
    int root;             /* the root of the sandbox, attached below base */
    int *sources;         /* a detached mount for each bind of the plan, else -1 */
    bool *on_root;        /* stage_on_root's answers */
    struct stage_way way; /* below root */
    const char *apart;    /* struct stage's; NULL: none */
    int apart_mount;      /* the directory bound on itself, once it is */
};

/* ---- stage_point: mount points below a root ---- */
enum stage_point { STAGE_POINT_FILE, STAGE_POINT_DIR };

/* An O_PATH descriptor of dest below root. What is missing is made: directories with
 * 0755, at the end an empty file or directory. */
int stage_point(struct stage_way *w, const char *dest, enum stage_point type,
                struct error *err);
/* Makes it in a root of our own, where it may be already. Nobody else may be able to
 * write there: what was just made is taken for what is there a moment later. */
int stage_make_point(struct stage_way *w, const char *dest, enum stage_point type,
                     struct error *err);
/* A link at dest; its parents are made. */
int stage_symlink(struct stage_way *w, const char *target, const char *dest,
                  struct error *err);

/* For each mount: must its mount point be in the root itself? False: it lies on an
 * earlier mount. */
int stage_on_root(const struct plan *plan, bool *out, struct error *err);

/* What mount i needs as its mount point. */
enum stage_point stage_point_of(const struct assembly *a, size_t i);

/* ---- stage_gap ---- */
/* The directory that the image lacks and that has the most places in the root below it,
 * at least so many; owned by the caller, NULL: there is none. */
int stage_find_gap(const struct plan *plan, const bool *on_root, size_t least,
                   char **out, struct error *err);
/* Binds it from the layer with the mount points, read-only, over what overlay shows. */
int stage_show_gap(const struct assembly *a, int skeleton, const char *gap,
                   struct error *err);

/* ---- stage_apart ---- */
/* Binds the directory on itself: what is mounted below it from now on is the bind's. */
int stage_begin_apart(struct assembly *a, struct error *err);
/* Takes the bind with all below it out of the stage, into descriptor slot. */
int stage_end_apart(struct assembly *a, int slot, struct error *err);

/* ---- stage_root ---- */
/* Makes root/ below base the sandbox's root and fills a->root. */
int stage_make_root(struct assembly *a, struct error *err);

/* ---- stage_dev ---- */
/* A minimal /dev, as bwrap has it, attached at the descriptor. */
int stage_make_dev(int target, struct error *err);

#endif
