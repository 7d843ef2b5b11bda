#include "image/rootview.h"

#include <stdlib.h>

void rootview_release(struct rootview *v)
{
    size_t i, j;

    for (i = 0; i < v->n_dirs; i++) {
        for (j = 0; j < v->dirs[i].n_entries; j++) {
            free(v->dirs[i].entries[j].name);
            free(v->dirs[i].entries[j].target);
        }
        free(v->dirs[i].entries);
        free(v->dirs[i].path);
    }
    for (i = 0; i < v->n_dests; i++) {
        free(v->dests[i].wanted);
        free(v->dests[i].resolved);
    }
    for (i = 0; i < v->n_attrs; i++)
        free(v->attrs[i].path);
    free(v->attrs);
    free(v->dirs);
    free(v->dests);
    *v = (struct rootview)ROOTVIEW_INIT;
}
