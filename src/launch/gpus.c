#include "launch/gpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "launch/elf_soname.h"
#include "request/handoff.h"
#include "resolve/resolve.h"
#include "sys/pathfd.h"

#define STALE_HINT                                                                     \
    "the driver has changed since the CDI specification was made: the administrator "  \
    "has to make it again"

void gpus_release(struct gpus *g)
{
    strv_release(&g->names);
    strv_release(&g->env);
    bindlist_release(&g->binds);
    *g = (struct gpus)GPUS_INIT;
}

static int add_nodes(struct gpus *g, const struct cdi_edits *e, struct error *err)
{
    for (size_t i = 0; i < e->n_nodes; i++) {
        const struct cdi_node *n = &e->nodes[i];
        struct stat st;

        if (stat(n->host_path, &st) < 0) {
            error_sys(err, errno, "this node has no device file %s", n->host_path);
            return error_hint(err, STALE_HINT);
        }
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
            return error_fail(err, "%s is no device file; " STALE_HINT, n->host_path);
        if (bindlist_add(&g->binds, PLAN_MOUNT_BIND_DEV, PLAN_ROLE_GPU, n->host_path,
                         n->path, true, err) < 0)
            return -1;
    }
    return 0;
}

static int add_link(struct gpus *g, const char *target, const char *path,
                    struct error *err)
{
    return bindlist_add(&g->binds, PLAN_MOUNT_SYMLINK, PLAN_ROLE_GPU, target, path,
                        true, err);
}

/* Libraries also get a directory of their own, with nothing else in it, so that a
 * search path with it changes nothing but them. */
static int add_driver_link(struct gpus *g, const char *target, const char *name,
                           struct error *err)
{
    _cleanup_free_ char *path = str_printf(GPUS_LIBRARY_DIR "/%s", name);

    if (!path)
        return error_oom(err);
    g->has_libraries = true;
    return add_link(g, target, path, err);
}

/* As ldconfig would: the name by which programs ask for the library. */
static int add_soname(struct gpus *g, const struct cdi_mount *m, int fd,
                      struct error *err)
{
    const char *base = strrchr(m->path, '/') + 1;
    _cleanup_free_ char *soname = elf_soname(fd), *path = NULL;

    if (!soname)
        return 0;
    if (strcmp(soname, base) != 0) {
        path = str_printf("%.*s%s", (int)(base - m->path), m->path, soname);
        if (!path)
            return error_oom(err);
        if (add_link(g, base, path, err) < 0)
            return -1;
    }
    return add_driver_link(g, m->path, soname, err);
}

static int add_mount(struct gpus *g, const struct cdi_mount *m, struct error *err)
{
    _cleanup_close_ int fd =
        pathfd_open_user(m->host_path, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
    struct stat st;

    /* a socket cannot be opened, and may be mounted */
    if (fd < 0 && err->errnum == ENXIO) {
        error_clear(err);
        fd = pathfd_open_user(m->host_path, O_PATH, err);
    }
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_hint(err, STALE_HINT);
    if (bindlist_add(&g->binds, m->writable ? PLAN_MOUNT_BIND_RW : PLAN_MOUNT_BIND_RO,
                     PLAN_ROLE_GPU, m->host_path, m->path, !S_ISDIR(st.st_mode),
                     err) < 0)
        return -1;
    return S_ISREG(st.st_mode) ? add_soname(g, m, fd, err) : 0;
}

static int add_links(struct gpus *g, const struct cdi_edits *e, struct error *err)
{
    for (size_t i = 0; i < e->n_links; i++) {
        const struct cdi_link *l = &e->links[i];
        const char *name = strrchr(l->path, '/') + 1;

        if (add_link(g, l->target, l->path, err) < 0)
            return -1;
        if (strncmp(name, "lib", 3) == 0 && strstr(name, ".so") &&
            !strchr(l->target, '/') && add_driver_link(g, l->target, name, err) < 0)
            return -1;
    }
    return 0;
}

static int add_edits(struct gpus *g, const struct cdi_edits *e,
                     const struct gpus_context *c, const char *file, struct error *err)
{
    for (size_t i = 0; i < e->env.count; i++)
        strv_add(&g->env, e->env.items[i]);
    for (size_t i = 0; i < e->ignored.count; i++)
        log_warn("CDI specification %s: %s is left out; the device may work without it",
                 file, e->ignored.items[i]);
    if (add_nodes(g, e, err) < 0)
        return -1;
    if (c->host_root)
        return strv_check(&g->env, err);
    for (size_t i = 0; i < e->n_mounts; i++)
        if (add_mount(g, &e->mounts[i], err) < 0)
            return -1;
    if (add_links(g, e, err) < 0)
        return -1;
    return strv_check(&g->env, err);
}

/* Once a specification, however many of its devices are chosen. */
static int add_common(struct gpus *g, const struct cdi_spec *spec,
                      const struct cdi_spec **seen, size_t n_seen,
                      const struct gpus_context *c, struct error *err)
{
    for (size_t i = 0; i < n_seen; i++)
        if (seen[i] == spec)
            return 0;
    return add_edits(g, &spec->edits, c, spec->file, err);
}

static int add_devices(struct gpus *g, const struct cdi *cdi, const struct strv *names,
                       const struct gpus_context *c, struct error *err)
{
    _cleanup_free_ const struct cdi_spec **seen =
        calloc(names->count + 1, sizeof(*seen));

    if (!seen)
        return error_oom(err);
    for (size_t i = 0; i < names->count; i++) {
        _cleanup_free_ char *full = NULL;
        struct cdi_choice choice;

        if (cdi_find(cdi, names->items[i], &choice, err) < 0)
            return -1;
        full = cdi_name(&choice);
        if (!full)
            return error_oom(err);
        if (strv_contains(&g->names, full))
            continue;
        strv_add(&g->names, full);
        if (add_edits(g, &choice.device->edits, c, choice.spec->file, err) < 0 ||
            add_common(g, choice.spec, seen, i, c, err) < 0)
            return error_context(err, "GPU %s", full);
        seen[i] = choice.spec;
    }
    return strv_check(&g->names, err);
}

static bool is_all(const char *name)
{
    return strcmp(strrchr(name, '=') + 1, "all") == 0;
}

/* Numbers in the caller's variables count devices that the sandbox does not have; its
 * own are counted from 0. UUIDs stay right. */
static int renumber(struct gpus *g, const struct gpus_context *c, struct error *err)
{
    static const char *const names[] = {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
                                        "HIP_VISIBLE_DEVICES"};
    _cleanup_buf_ struct buf numbers = BUF_INIT;

    for (size_t i = 0; i < g->names.count; i++) {
        if (is_all(g->names.items[i]))
            return 0;
        buf_addf(&numbers, "%s%zu", i ? "," : "", i);
    }
    for (size_t i = 0; i < array_size(names); i++) {
        const char *value = strv_env_get(c->env, names[i]);

        if (value && strspn(value, "0123456789,") == strlen(value))
            strv_addf(&g->env, "%s=%s", names[i], buf_str(&numbers));
    }
    return buf_check(&numbers, err) < 0 ? -1 : strv_check(&g->env, err);
}

static int tell_tasks(struct gpus *g, const struct cdi *cdi, struct error *err)
{
    _cleanup_buf_ struct buf numbers = BUF_INIT;

    if (gpus_step_numbers(cdi, &g->names, &numbers, err) < 0)
        return -1;
    if (numbers.len > 0)
        strv_addf(&g->env, HANDOFF_GPUS_VARIABLE "=%s", buf_str(&numbers));
    return strv_check(&g->env, err);
}

static int chosen_names(const struct cdi *cdi, const struct gpus_context *c,
                        struct strv *names, struct error *err)
{
    const char *text = c->settled->gpus;

    if (strcmp(text, "auto") == 0)
        return gpus_auto(cdi, c, names, err);
    for (const char *p = text; p; p = strchr(p, ',')) {
        p += *p == ',';
        strv_take(names, strndup(p, strcspn(p, ",")));
    }
    return strv_check(names, err);
}

static int no_specification(const struct gpus_context *c, struct error *err)
{
    _cleanup_buf_ struct buf dirs = BUF_INIT;

    for (size_t i = 0; i < c->settled->cdi_dirs.count; i++)
        buf_addf(&dirs, "%s%s", i ? " and " : "", c->settled->cdi_dirs.items[i]);
    error_fail(err, "GPUs are asked for, and this node has no CDI specification in %s",
               buf_str(&dirs));
    return error_hint(err, "the administrator makes one with: nvidia-ctk cdi generate "
                           "--output=/etc/cdi/nvidia.yaml");
}

int gpus_settle(struct gpus *out, const struct gpus_context *c, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    struct cdi cdi = {0};
    int r;

    if (strcmp(c->settled->gpus, "none") == 0)
        return 0;
    r = cdi_load(&cdi, &c->settled->cdi_dirs, err);
    if (r == 0)
        r = chosen_names(&cdi, c, &names, err);
    if (r == 0 && names.count > 0 && cdi.n == 0)
        r = no_specification(c, err);
    if (r == 0)
        r = add_devices(out, &cdi, &names, c, err);
    if (r == 0 && names.count > 0)
        r = c->joined ? tell_tasks(out, &cdi, err) : renumber(out, c, err);
    cdi_release(&cdi);
    if (r == 0)
        for (size_t i = 0; i < out->names.count; i++)
            log_debug("GPU %s", out->names.items[i]);
    return r;
}
