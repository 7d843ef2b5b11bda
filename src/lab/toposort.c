#include "lab/toposort.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static bool list_grow(struct toposort_list *l)
{
    size_t cap = l->cap ? l->cap * 2 : 16;
    size_t *p;

    if (l->failed)
        return false;
    if (l->n < l->cap)
        return true;
    p = reallocarray(l->items, cap, sizeof(*p));
    if (!p) {
        l->failed = true;
        return false;
    }
    l->items = p;
    l->cap = cap;
    return true;
}

void toposort_list_add(struct toposort_list *l, size_t value)
{
    if (list_grow(l))
        l->items[l->n++] = value;
}

int toposort_compare(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

void toposort_list_unique(struct toposort_list *l, size_t start)
{
    size_t kept = start;

    if (l->failed || l->n <= start)
        return;
    qsort(l->items + start, l->n - start, sizeof(*l->items), toposort_compare);
    for (size_t i = start; i < l->n; i++)
        if (kept == start || l->items[kept - 1] != l->items[i])
            l->items[kept++] = l->items[i];
    l->n = kept;
}

int toposort_list_check(struct toposort_list *l, struct error *err)
{
    return list_grow(l) ? 0 : error_oom(err);
}

void toposort_list_release(struct toposort_list *l)
{
    free(l->items);
    *l = (struct toposort_list){0};
}

int toposort_init(struct toposort *g, size_t n_nodes)
{
    g->n_nodes = n_nodes;
    g->visited = calloc(n_nodes + 1, sizeof(*g->visited));
    g->first = calloc(n_nodes + 1, sizeof(*g->first));
    g->last = calloc(n_nodes + 1, sizeof(*g->last));
    return g->visited && g->first && g->last ? 0 : -1;
}

void toposort_release(struct toposort *g)
{
    free(g->visited);
    free(g->first);
    free(g->last);
    toposort_list_release(&g->edges);
    *g = (struct toposort){0};
}

bool toposort_visit(struct toposort *g, size_t node)
{
    if (g->visited[node])
        return false;
    g->visited[node] = true;
    return true;
}

void toposort_begin(struct toposort *g, size_t node)
{
    g->first[node] = g->edges.n;
}

void toposort_end(struct toposort *g, size_t node)
{
    g->last[node] = g->edges.n;
}

/* The state of a sort: who waits for a node (the edges reversed), for how many nodes
 * each still waits, and a heap of the nodes that wait for none. */
struct sorting {
    size_t *start; /* of a node's waiters in waiters; n_nodes + 1 entries */
    size_t *waiters;
    size_t *waits;
    struct toposort_list heap; /* the lowest number on top */
};

static void sorting_release(struct sorting *s)
{
    free(s->start);
    free(s->waiters);
    free(s->waits);
    toposort_list_release(&s->heap);
}

static void heap_push(struct toposort_list *h, size_t value)
{
    size_t i = h->n, up;

    toposort_list_add(h, value);
    if (h->failed)
        return;
    for (; i > 0; i = up) {
        up = (i - 1) / 2;
        if (h->items[up] <= value)
            break;
        h->items[i] = h->items[up];
    }
    h->items[i] = value;
}

static size_t heap_pop(struct toposort_list *h)
{
    size_t top = h->items[0], value = h->items[--h->n], i = 0, child;

    for (; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && h->items[child + 1] < h->items[child])
            child++;
        if (h->items[child] >= value)
            break;
        h->items[i] = h->items[child];
    }
    h->items[i] = value;
    return top;
}

/* Reverses the edges by counting and fills the heap. */
static int prepare(const struct toposort *g, struct sorting *s)
{
    _cleanup_free_ size_t *next = calloc(g->n_nodes + 1, sizeof(*next));

    s->start = calloc(g->n_nodes + 2, sizeof(*s->start));
    s->waits = calloc(g->n_nodes + 1, sizeof(*s->waits));
    s->waiters = calloc(g->edges.n + 1, sizeof(*s->waiters));
    if (!next || !s->start || !s->waits || !s->waiters)
        return -1;
    for (size_t i = 0; i < g->edges.n; i++)
        s->start[g->edges.items[i] + 1]++;
    for (size_t v = 0; v < g->n_nodes; v++) {
        s->start[v + 1] += s->start[v];
        next[v] = s->start[v];
    }
    for (size_t v = 0; v < g->n_nodes; v++) {
        s->waits[v] = g->last[v] - g->first[v];
        for (size_t i = g->first[v]; i < g->last[v]; i++)
            s->waiters[next[g->edges.items[i]]++] = v;
        if (g->visited[v] && s->waits[v] == 0)
            heap_push(&s->heap, v);
    }
    return s->heap.failed ? -1 : 0;
}

/* Every node that still waits has one to wait for among those, so a walk along them
 * comes back to where it was: that is the cycle. */
static void find_cycle(const struct toposort *g, const struct sorting *s,
                       struct toposort_list *cycle)
{
    _cleanup_free_ size_t *seen = calloc(g->n_nodes + 1, sizeof(*seen));
    size_t v = 0, at;

    if (!seen) {
        cycle->failed = true;
        return;
    }
    while (v < g->n_nodes && s->waits[v] == 0)
        v++;
    while (v < g->n_nodes && seen[v] == 0) {
        toposort_list_add(cycle, v);
        seen[v] = cycle->n;
        for (at = g->first[v]; at < g->last[v]; at++)
            if (s->waits[g->edges.items[at]] > 0)
                break;
        v = at < g->last[v] ? g->edges.items[at] : g->n_nodes;
    }
    if (cycle->failed || v >= g->n_nodes)
        return;
    at = seen[v] - 1;
    memmove(cycle->items, cycle->items + at, (cycle->n - at) * sizeof(*cycle->items));
    cycle->n -= at;
}

int toposort_sort(const struct toposort *g, struct toposort_list *sorted,
                  struct toposort_list *cycle, struct error *err)
{
    _cleanup_(sorting_release) struct sorting s = {0};
    size_t visited = 0;

    if (prepare(g, &s) < 0)
        return error_oom(err);
    for (size_t v = 0; v < g->n_nodes; v++)
        visited += g->visited[v];
    while (s.heap.n > 0 && !s.heap.failed) {
        size_t v = heap_pop(&s.heap);

        toposort_list_add(sorted, v);
        for (size_t i = s.start[v]; i < s.start[v + 1]; i++)
            if (--s.waits[s.waiters[i]] == 0)
                heap_push(&s.heap, s.waiters[i]);
    }
    if (s.heap.failed || toposort_list_check(sorted, err) < 0)
        return error_oom(err);
    if (sorted->n < visited)
        find_cycle(g, &s, cycle);
    return toposort_list_check(cycle, err);
}
