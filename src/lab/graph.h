/* graph: dependency order of numbered nodes, in time linear in nodes and edges (times
 * the logarithm of the nodes that are ready at once). Private to lab/.
 */
#ifndef REPX_LAB_GRAPH_H
#define REPX_LAB_GRAPH_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* Numbers; a failed allocation is remembered, as in buf. Zero-initialised. items is
 * never NULL after a successful graph_list_check. */
struct graph_list {
    size_t *items;
    size_t n, cap;
    bool failed;
};

void graph_list_add(struct graph_list *l, size_t value);
/* Orders the items from start on and drops repetitions. */
void graph_list_unique(struct graph_list *l, size_t start);
int graph_list_check(struct graph_list *l, struct error *err);
void graph_list_release(struct graph_list *l);
/* qsort's and bsearch's order of size_t. */
int graph_compare(const void *a, const void *b);

/* What node waits for: edges.items[first[node]] to before last[node]. */
struct graph {
    size_t n_nodes;
    bool *visited;
    size_t *first, *last;
    struct graph_list edges;
};

/* 0, or -1 when out of memory. */
int graph_init(struct graph *g, size_t n_nodes);
void graph_release(struct graph *g);

/* Marks the node as part of the graph; false when it was already. */
bool graph_visit(struct graph *g, size_t node);
/* Between the two the node's edges are added to g->edges. */
void graph_begin(struct graph *g, size_t node);
void graph_end(struct graph *g, size_t node);

/* The visited nodes, each after what it waits for, the lowest number first among those
 * that are ready. When they form a cycle, *cycle has its nodes, each waiting for the
 * next one. */
int graph_sort(const struct graph *g, struct graph_list *sorted,
               struct graph_list *cycle, struct error *err);

#endif
