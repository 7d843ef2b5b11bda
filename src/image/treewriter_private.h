/* treewriter_private: the writer's own parts among themselves. */
#ifndef REPX_IMAGE_TREEWRITER_PRIVATE_H
#define REPX_IMAGE_TREEWRITER_PRIVATE_H

#include "image/treewriter.h"

#define DIR_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
#define IMPLIED_MODE 0755

struct treewriter_dir {
    char *name;
    mode_t mode;
    struct timespec mtime;
    size_t order;
};

/* Opens the entry's parent directory; *last is the name's last component. Borrowed
 * until the next call. */
struct treedir *treewriter_parent(struct treewriter *w, const char *name,
                                  const char **last, struct error *err);
void treewriter_forget_parent(struct treewriter *w);
/* Waits for the files that are under way. */
int treewriter_settle(struct treewriter *w, struct error *err);

#endif
