/* The nodes of jobs: one for a simple job; scatter, steps of each branch and gather for
 * a scatter-gather job. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/graph.h"
#include "launch/job.h"
#include "outcome/markers.h"
#include "sys/atomicfile.h"
#include "sys/pathfd.h"

struct graph_node *graph_new_node(struct graph *g, size_t job, enum unit_kind kind,
                                  struct error *err)
{
    struct graph_node *node;

    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 64;
        struct graph_node *p = reallocarray(g->nodes, cap, sizeof(*p));

        if (!p) {
            error_oom(err);
            return NULL;
        }
        g->nodes = p;
        g->cap = cap;
    }
    node = &g->nodes[g->n++];
    *node = (struct graph_node){.job = job, .kind = kind, .pidfd = -1};
    return node;
}

int graph_add_dep(struct graph *g, size_t node, size_t dep, struct error *err)
{
    struct graph_node *n = &g->nodes[node];
    size_t *p = reallocarray(n->deps, n->n_deps + 1, sizeof(*p));

    if (!p)
        return error_oom(err);
    n->deps = p;
    n->deps[n->n_deps++] = dep;
    return 0;
}

static enum marker_state unit_state(const struct graph *g, const struct graph_node *n)
{
    const struct unit u = {.kind = n->kind, .branch = n->branch, .step = n->step};
    _cleanup_free_ char *dir =
        layout_repx_dir(g->s->settled.base_path, g->lab->jobs[n->job].id, &u);

    return dir ? markers_of_dir(dir) : MARKER_NONE;
}

static void mark_done(struct graph_node *n)
{
    n->state = NODE_DONE;
    n->skipped = true;
}

static int add_job_deps(struct graph *g, size_t node, size_t job, struct error *err)
{
    _cleanup_free_ size_t *deps = NULL;
    size_t n = 0;

    if (lab_job_deps(g->lab, &g->lab->jobs[job], &deps, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (g->job_node[deps[i]] != SIZE_MAX &&
            graph_add_dep(g, node, g->job_node[deps[i]], err) < 0)
            return -1;
    return 0;
}

/* scatter and gather; the steps come when the scatter phase has said how many. */
static int add_composite(struct graph *g, size_t job, bool rerun, struct error *err)
{
    _cleanup_strv_ struct strv items = STRV_INIT;
    struct error ignored = ERROR_INIT;
    size_t scatter = g->n, gather = g->n + 1;

    if (!graph_new_node(g, job, UNIT_SCATTER, err) ||
        !graph_new_node(g, job, UNIT_GATHER, err))
        return -1;
    g->job_node[job] = gather;
    if (add_job_deps(g, scatter, job, err) < 0 ||
        graph_add_dep(g, gather, scatter, err) < 0)
        return -1;
    if (rerun || unit_state(g, &g->nodes[scatter]) != MARKER_SUCCESS ||
        job_work_items(g->s->settled.base_path, &g->lab->jobs[job], &items, &ignored) <
            0)
        return 0;
    mark_done(&g->nodes[scatter]);
    return graph_expand(g, scatter, rerun, err);
}

int graph_add_job(struct graph *g, size_t job, bool rerun, struct error *err)
{
    const struct lab_job *j = &g->lab->jobs[job];
    bool done =
        !rerun && markers_of_job(g->s->settled.base_path, j->id) == MARKER_SUCCESS;
    struct graph_node *node;

    if (j->scatter_gather && !done)
        return add_composite(g, job, rerun, err);
    g->job_node[job] = g->n;
    node = graph_new_node(g, job, j->scatter_gather ? UNIT_GATHER : UNIT_SIMPLE, err);
    if (!node)
        return -1;
    if (done) {
        mark_done(node);
        return 0;
    }
    return add_job_deps(g, g->job_node[job], job, err);
}

static char *branch_dir(const struct graph *g, size_t job, size_t branch)
{
    return str_printf("%s/outputs/%s/branch-%zu", g->s->settled.base_path,
                      g->lab->jobs[job].id, branch);
}

/* Writes branch-<i>/repx/work_item.json. 1: the branch had another item before, so what
 * it has done does not count. */
static int write_work_item(struct graph *g, size_t job, size_t branch, const char *item,
                           struct error *err)
{
    _cleanup_free_ char *dir = branch_dir(g, job, branch);
    _cleanup_free_ char *path = dir ? str_printf("%s/repx", dir) : NULL;
    _cleanup_buf_ struct buf old = BUF_INIT;
    struct error ignored = ERROR_INIT;
    _cleanup_close_ int fd = -1, file = -1;

    if (!path)
        return error_oom(err);
    fd = job_make_dirs(g->s->settled.base_path, path, err);
    if (fd < 0)
        return -1;
    file = pathfd_open_nofollow(fd, "work_item.json", O_RDONLY, 0, &ignored);
    if (file >= 0 && pathfd_read_all(file, 64u << 20, &old, &ignored) == 0 &&
        strcmp(buf_str(&old), item) == 0)
        return 0;
    if (atomicfile_write(fd, "work_item.json", item, strlen(item), 0644, false, err) <
        0)
        return -1;
    return 1;
}

/* The steps of one branch. before[i] is the node of the step order[i]. */
static int add_branch(struct graph *g, size_t scatter, size_t branch,
                      const size_t *order, size_t n, bool fresh, struct error *err)
{
    size_t job = g->nodes[scatter].job, first = g->n;
    const struct lab_job *j = &g->lab->jobs[job];

    for (size_t i = 0; i < n; i++) {
        const struct lab_executable *exe = &j->executables[order[i]];
        struct graph_node *node = graph_new_node(g, job, UNIT_STEP, err);
        bool redo = fresh;

        if (!node)
            return -1;
        node->branch = branch;
        node->step = exe->name + strlen("step-");
        if (graph_add_dep(g, first + i, scatter, err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++) {
            if (!strv_contains(&exe->deps, g->nodes[first + k].step))
                continue;
            if (graph_add_dep(g, first + i, first + k, err) < 0)
                return -1;
            redo |= g->nodes[first + k].state != NODE_DONE;
        }
        if (!redo && unit_state(g, &g->nodes[first + i]) == MARKER_SUCCESS)
            mark_done(&g->nodes[first + i]);
    }
    return graph_add_dep(g, g->job_node[job], g->n - 1, err);
}

int graph_expand(struct graph *g, size_t scatter, bool rerun, struct error *err)
{
    size_t job = g->nodes[scatter].job, n = 0;
    const struct lab_job *j = &g->lab->jobs[job];
    bool fresh_scatter = !g->nodes[scatter].skipped;
    _cleanup_strv_ struct strv items = STRV_INIT;
    _cleanup_free_ size_t *order = NULL;

    if (job_work_items(g->s->settled.base_path, j, &items, err) < 0 ||
        inputs_step_order(j, &order, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < items.count; i++) {
        int changed = write_work_item(g, job, i, items.items[i], err);

        if (changed < 0 || add_branch(g, scatter, i, order, n,
                                      rerun || fresh_scatter || changed == 1, err) < 0)
            return -1;
    }
    g->nodes[g->job_node[job]].expanded = true;
    return 0;
}

int graph_fail_composite(struct graph *g, size_t job, struct error *err)
{
    const struct unit whole = {.kind = UNIT_SIMPLE};
    const char *id = g->lab->jobs[job].id;
    _cleanup_free_ char *dir = layout_repx_dir(g->s->settled.base_path, id, &whole);
    _cleanup_close_ int fd = -1;

    if (!dir)
        return error_oom(err);
    fd = job_make_dirs(g->s->settled.base_path, dir, err);
    if (fd < 0 || markers_write(fd, false, err) < 0)
        return -1;
    return completions_append(g->s->settled.base_path, id, false, err);
}
