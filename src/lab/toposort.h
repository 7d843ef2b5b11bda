/* toposort: dependency order of numbered nodes, in time linear in nodes and edges
 * (times the logarithm of the nodes that are ready at once). Private to lab/.
 */
#ifndef REPX_LAB_TOPOSORT_H
#define REPX_LAB_TOPOSORT_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* Numbers; a failed allocation is remembered, as in buf. Zero-initialised. items is
 * never NULL after a successful toposort_list_check. */
struct toposort_list {
    size_t *items;
    size_t n, cap;
    bool failed;
};

void toposort_list_add(struct toposort_list *l, size_t value);
/* Orders the items from start on and drops repetitions. */
void toposort_list_unique(struct toposort_list *l, size_t start);
int toposort_list_check(struct toposort_list *l, struct error *err);
void toposort_list_release(struct toposort_list *l);
/* qsort's and bsearch's order of size_t. */
int toposort_compare(const void *a, const void *b);

/* What node waits for: edges.items[first[node]] to before last[node]. */
struct toposort {
    size_t n_nodes;
    bool *visited;
    size_t *first, *last;
    struct toposort_list edges;
};

/* 0, or -1 when out of memory. */
int toposort_init(struct toposort *g, size_t n_nodes);
void toposort_release(struct toposort *g);

/* Marks the node as part of the graph; false when it was already. */
bool toposort_visit(struct toposort *g, size_t node);
/* Between the two the node's edges are added to g->edges. */
void toposort_begin(struct toposort *g, size_t node);
void toposort_end(struct toposort *g, size_t node);

/* The visited nodes, each after what it waits for, the lowest number first among those
 * that are ready. When they form a cycle, *cycle has its nodes, each waiting for the
 * next one. */
int toposort_sort(const struct toposort *g, struct toposort_list *sorted,
                  struct toposort_list *cycle, struct error *err);

#endif
