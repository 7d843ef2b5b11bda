#include "launch/prepare.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/quote.h"
#include "image/rootscan.h"
#include "launch/gpus.h"
#include "launch/identity.h"
#include "launch/meter.h"
#include "plan/build.h"
#include "sys/fdio.h"
#include "sys/pathfd.h"

void launch_release(struct launch *l)
{
    if (l->farm.fd >= 0)
        store_tmp_discard(&l->session->store, &l->farm);
    plan_release(&l->plan);
    rootview_release(&l->view);
    image_rootfs_release(&l->rootfs);
    image_release(&l->image);
    free(l->runtime_version);
    *l = (struct launch)LAUNCH_INIT;
}

static int add_user_mounts(struct session *s, const struct bindlist *from,
                           struct bindlist *all, struct error *err);

/* Mistakes in mounts are found before anything of the job is touched. */
static int check_user_mounts(struct session *s, struct error *err)
{
    const struct bindlist none = BINDLIST_INIT;
    struct bindlist all = BINDLIST_INIT;
    int r = add_user_mounts(s, &none, &all, err);

    bindlist_release(&all);
    return r;
}

/* Without an image only native can run the job; that has to be allowed by name. */
static int choose_without_image(struct launch *l, struct session *s, const char *what,
                                struct error *err)
{
    if (!strv_contains(&s->settled.runtimes, "native")) {
        error_fail(err,
                   "%s has no image, so it can only run natively, without isolation",
                   what);
        return error_hint(err, "add \"native\" to execution_types or give --native");
    }
    l->backend = runtime_find("native");
    return 0;
}

int launch_choose(struct launch *l, struct session *s, const char *image_path,
                  const char *what, struct error *err)
{
    return launch_choose_staged(l, s, image_path, NULL, what, err);
}

/* The image is called as the user called it, whatever copy it is read from. */
static int open_image(struct launch *l, struct session *s, const char *image_path,
                      const char *staged, struct error *err)
{
    if (image_open_cached(&l->image, staged ? staged : image_path, &s->store, err) < 0)
        return -1;
    l->has_image = true;
    if (staged) {
        free(l->image.reference);
        l->image.reference = strdup(image_path);
        if (!l->image.reference)
            return error_oom(err);
    }
    return resolve_image_allowed(&s->config, staged ? NULL : l->image.path,
                                 l->image.id.hex, err);
}

int launch_choose_staged(struct launch *l, struct session *s, const char *image_path,
                         const char *staged, const char *what, struct error *err)
{
    if (session_find_tools(s, err) < 0)
        return -1;
    if (!image_path)
        return choose_without_image(l, s, what, err);
    if (session_open_store(s, err) < 0 || open_image(l, s, image_path, staged, err) < 0)
        return -1;
    /* a tree that is used in place is a mount of that path */
    if (l->image.kind == IMAGE_ROOTFS_DIR &&
        resolve_tree_allowed(&s->config, s->env, l->image.path, err) < 0)
        return -1;
    if (runtime_select(&s->settled.runtimes, &s->tools, &l->backend, err) < 0)
        return -1;
    if (l->backend->isolated)
        return check_user_mounts(s, err);
    log_warn("%s runs natively: no isolation, the image is not used", what);
    return 0;
}

int launch_check_node(struct session *s, struct error *err)
{
    const struct runtime_backend *backend;

    if (session_find_tools(s, err) < 0 || session_open_store(s, err) < 0)
        return -1;
    return runtime_select(&s->settled.runtimes, &s->tools, &backend, err);
}

void launch_choose_form(struct session *s, const char *runtime)
{
    bool can = strcmp(runtime, "bwrap") == 0 && !s->settled.mount_host_paths;

    /* (a host's root has the image's store bound into it path by path) */
    if (can)
        session_find_staging(s, false);
    store_set_overlay(&s->store, can && s->tools.staging == STAGING_OVERLAY);
}

int launch_fetch(struct launch *l, struct session *s, struct error *err)
{
    struct meter meter;
    int r;

    if (l->backend->version)
        l->runtime_version = l->backend->version(&s->tools);
    if (!l->has_image || !l->backend->isolated)
        return 0;
    launch_choose_form(s, l->backend->name);
    meter_init(&meter, l->image.reference, s->watch);
    r = image_prepare(&l->image, &s->store, &meter.hooks, &l->rootfs, err);
    meter_finish(&meter);
    return r;
}

/* Texts for files that the sandbox gets beside its image. */
struct system_files {
    char *passwd, *group, *resolv_conf, *hosts, *hostname;
};

static void system_files_release(struct system_files *f)
{
    free(f->passwd);
    free(f->group);
    free(f->resolv_conf);
    free(f->hosts);
    free(f->hostname);
}

/* A small file of the host, NULL when it cannot be read. */
static char *host_text(const char *path)
{
    struct error ignored = ERROR_INIT;
    struct buf b = BUF_INIT;
    _cleanup_close_ int fd = pathfd_open_user(path, O_RDONLY, &ignored);

    if (fd < 0 || pathfd_read_all(fd, 1 << 16, &b, &ignored) < 0) {
        buf_release(&b);
        return NULL;
    }
    return buf_steal(&b);
}

/* Where the engine would otherwise put its own, the job sees the image's; an empty file
 * where the image has none. */
static int read_image_etc(struct launch *l, struct system_files *f, struct error *err)
{
    const struct {
        const char *path;
        char **text;
    } files[] = {{"/etc/resolv.conf", &f->resolv_conf},
                 {"/etc/hosts", &f->hosts},
                 {"/etc/hostname", &f->hostname}};

    for (size_t i = 0; i < array_size(files); i++) {
        _cleanup_buf_ struct buf text = BUF_INIT;

        if (*files[i].text)
            continue;
        if (rootscan_read(&l->rootfs.tree, files[i].path, &text, err) < 0)
            return -1;
        *files[i].text = strdup(buf_str(&text));
        if (!*files[i].text)
            return error_oom(err);
    }
    return 0;
}

static int read_system_files(struct launch *l, struct session *s,
                             struct system_files *f, struct error *err)
{
    _cleanup_buf_ struct buf passwd = BUF_INIT, group = BUF_INIT;

    if (rootscan_read(&l->rootfs.tree, "/etc/passwd", &passwd, err) < 0 ||
        rootscan_read(&l->rootfs.tree, "/etc/group", &group, err) < 0)
        return -1;
    f->passwd = identity_passwd(buf_str(&passwd), &s->user, "/tmp", err);
    f->group = identity_group(buf_str(&group), &s->user, err);
    if (!f->passwd || !f->group)
        return -1;
    if (s->settled.network_host) {
        f->resolv_conf = host_text("/etc/resolv.conf");
        f->hosts = host_text("/etc/hosts");
    }
    return l->backend->etc ? read_image_etc(l, f, err) : 0;
}

/* Looks at the image for the mount points that this plan needs. */
static int scan_root(struct launch *l, const struct plan_input *in, const bool *is_file,
                     struct error *err)
{
    _cleanup_free_ const char **dests = NULL;
    _cleanup_free_ bool *files = NULL;
    _cleanup_free_ struct rootscan_want *wants = NULL;
    size_t n = 0;

    if (plan_wanted_points(in, is_file, &dests, &files, &n, err) < 0)
        return -1;
    wants = calloc(n + 1, sizeof(*wants));
    if (!wants)
        return error_oom(err);
    for (size_t i = 0; i < n; i++)
        wants[i] = (struct rootscan_want){.dest = dests[i], .is_file = files[i]};
    return rootscan(&l->rootfs.tree, wants, n, &l->view, err);
}

/* What the site forces cannot be covered by a mount of the user. */
static int check_not_covered(const struct bindlist *user, const struct bindlist *forced,
                             struct error *err)
{
    for (size_t i = 0; i < user->n; i++) {
        for (size_t k = 0; k < forced->n; k++) {
            const char *a = user->items[i].dest, *b = forced->items[k].dest;

            if (path_is_within(a, b) || path_is_within(b, a)) {
                error_fail(err, "mount %s would cover %s, which the site mounts", a, b);
                return error_hint(err, "choose another place for it");
            }
        }
    }
    return 0;
}

/* Two mounts at one place would silently be one. */
static int append_all(struct bindlist *to, const struct bindlist *from, bool unique,
                      struct error *err)
{
    for (size_t i = 0; i < from->n; i++) {
        if (unique && bindlist_has(to, from->items[i].dest)) {
            error_fail(err, "there is something else at %s in the sandbox already",
                       from->items[i].dest);
            return error_hint(err, "mount %s at another place", from->items[i].source);
        }
        if (bindlist_add(to, from->items[i].kind, from->items[i].role,
                         from->items[i].source, from->items[i].dest, from->is_file[i],
                         err) < 0)
            return -1;
    }
    return 0;
}

static int add_texts(struct bindlist *to, const struct strv *texts, struct error *err)
{
    for (size_t i = 0; i < texts->count; i++) {
        size_t before = to->n;

        if (bindlist_add_mount(to, texts->items[i], err) < 0)
            return -1;
        if (to->n == before) {
            error_fail(err, "mount %s: another mount has the same place",
                       texts->items[i]);
            return error_hint(err, "leave one of them out");
        }
    }
    return 0;
}

static int add_user_mounts(struct session *s, const struct bindlist *from,
                           struct bindlist *all, struct error *err)
{
    struct bindlist user = BINDLIST_INIT, forced = BINDLIST_INIT;
    int r = add_texts(&user, &s->settled.mount_paths, err);

    if (r == 0)
        r = add_texts(&forced, &s->settled.forced_mounts, err);
    if (r == 0)
        r = check_not_covered(&user, &forced, err);
    if (r == 0)
        r = append_all(all, from, false, err);
    if (r == 0)
        r = append_all(all, &user, true, err);
    if (r == 0)
        r = append_all(all, &forced, true, err);
    bindlist_release(&user);
    bindlist_release(&forced);
    return r;
}

/* Everything that plan_build borrows while it works. */
struct plan_parts {
    struct bindlist binds, root;
    struct gpus gpus;
    struct system_files files;
    struct strv passed_env;
    struct strv lowers;
};

static void plan_parts_release(struct plan_parts *p)
{
    bindlist_release(&p->binds);
    bindlist_release(&p->root);
    gpus_release(&p->gpus);
    system_files_release(&p->files);
    strv_release(&p->passed_env);
    strv_release(&p->lowers);
}

/* The GPUs that were asked for, behind everything else. */
static int add_gpus(struct session *s, const struct launch_spec *spec,
                    struct plan_parts *parts, struct plan_input *in, struct error *err)
{
    const struct gpus_context c = {.settled = &s->settled,
                                   .env = s->env,
                                   .joined = spec->joined,
                                   .host_root = s->settled.mount_host_paths};

    if (gpus_settle(&parts->gpus, &c, err) < 0 ||
        append_all(&parts->binds, &parts->gpus.binds, true, err) < 0)
        return -1;
    in->gpus = &parts->gpus.names;
    in->device_env = &parts->gpus.env;
    in->library_path = parts->gpus.has_libraries ? GPUS_LIBRARY_DIR : NULL;
    return 0;
}

static int isolated_input(struct launch *l, struct session *s, struct plan_parts *parts,
                          struct plan_input *in, struct error *err)
{
    in->host_root = s->settled.mount_host_paths;
    if (in->host_root) {
        l->session = s;
        if (bindlist_add_host_root(&parts->root, l->rootfs.path, &s->store, &l->farm,
                                   err) < 0)
            return -1;
        in->root_binds = parts->root.items;
        in->n_root_binds = parts->root.n;
        return 0;
    }
    in->rootfs = l->rootfs.path;
    for (size_t i = 0; l->rootfs.tree.merged && i < l->rootfs.tree.n_layers; i++)
        strv_add(&parts->lowers, l->rootfs.tree.layers[i].path);
    if (strv_check(&parts->lowers, err) < 0)
        return -1;
    in->lowers = l->rootfs.tree.merged ? &parts->lowers : NULL;
    in->view = &l->view;
    if (read_system_files(l, s, &parts->files, err) < 0)
        return -1;
    in->passwd = parts->files.passwd;
    in->group = parts->files.group;
    in->resolv_conf = parts->files.resolv_conf;
    in->hosts = parts->files.hosts;
    in->hostname = parts->files.hostname;
    return scan_root(l, in, parts->binds.is_file, err);
}

static const char *choose_cwd(const struct launch *l, const struct session *s,
                              const struct launch_spec *spec)
{
    if (s->request->workdir)
        return s->request->workdir;
    if (spec->cwd)
        return spec->cwd;
    if (l->has_image && l->backend->isolated && l->image.workdir)
        return l->image.workdir;
    return l->backend->isolated ? "/" : NULL;
}

static int build(struct launch *l, struct session *s, const struct launch_spec *spec,
                 struct plan_parts *parts, struct error *err)
{
    bool isolated = l->backend->isolated;
    struct plan_input in = {
        .runtime = l->backend->name,
        .image_ref = l->image.id.hex[0] ? l->image.id.hex : NULL,
        .isolated = isolated,
        .open_root = l->backend->engine,
        .image_env = &l->image.env,
        .passed_env = &parts->passed_env,
        .env_set = spec->joined ? NULL : &s->settled.env_set,
        .host_env = s->env,
        .path_prefix = spec->path_prefix,
        .cwd = choose_cwd(l, s, spec),
        .argv = spec->argv,
        .network_host = s->settled.network_host,
        .caller_is_root = s->user.uid == 0,
        .impure = isolated &&
                  (s->settled.mount_host_paths || s->settled.mount_paths.count > 0),
        .interactive = spec->interactive,
        .joined = spec->joined,
    };

    if (!spec->joined)
        resolve_env_pass(&s->settled, s->env, &parts->passed_env);
    if (strv_check(&parts->passed_env, err) < 0)
        return -1;
    if (!isolated && strcmp(s->settled.gpus, "none") != 0 &&
        strcmp(s->settled.gpus, "auto") != 0)
        log_warn("--gpus %s is not applied: a native job sees what the node shows it",
                 s->settled.gpus);
    if (isolated && (add_user_mounts(s, spec->binds, &parts->binds, err) < 0 ||
                     add_gpus(s, spec, parts, &in, err) < 0 ||
                     bindlist_check_nested(&parts->binds, err) < 0))
        return -1;
    in.binds = parts->binds.items;
    in.n_binds = parts->binds.n;
    if (isolated && isolated_input(l, s, parts, &in, err) < 0)
        return -1;
    if (in.impure)
        log_warn("impure: the job sees %s; use this for development only",
                 in.host_root ? "the host's file system" : "paths of the host");
    return plan_build(&l->plan, &in, err);
}

int launch_plan(struct launch *l, struct session *s, const struct launch_spec *spec,
                struct error *err)
{
    struct plan_parts parts = {.binds = BINDLIST_INIT,
                               .root = BINDLIST_INIT,
                               .gpus = GPUS_INIT,
                               .passed_env = STRV_INIT,
                               .lowers = STRV_INIT};
    uint64_t start = fdio_monotonic_ns();
    int r = build(l, s, spec, &parts, err);

    plan_parts_release(&parts);
    l->setup_ns = fdio_monotonic_ns() - start;
    return r;
}

const char *launch_staging(const struct launch *l, const struct session *s)
{
    if (!l->backend || strcmp(l->backend->name, "bwrap") != 0)
        return NULL;
    return runtime_staging_name(s->tools.staging);
}

int launch_command_text(struct launch *l, struct session *s, struct buf *out,
                        struct error *err)
{
    _cleanup_strv_ struct strv argv = STRV_INIT;

    if (!l->backend->describe)
        strv_extend(&argv, strv_argv(&l->plan.argv));
    else if (l->backend->describe(&l->plan, &s->tools, &argv, err) < 0)
        return -1;
    quote_shell_argv(out, strv_argv(&argv));
    return strv_check(&argv, err);
}

int launch_run(struct launch *l, struct session *s,
               const struct supervise_options *opts, struct supervise_result *result,
               struct error *err)
{
    struct runtime_command cmd = RUNTIME_COMMAND_INIT;
    uint64_t start = fdio_monotonic_ns();
    int r = l->backend->command(&l->plan, &s->tools, &cmd, err);

    if (r == 0)
        r = supervise_run(&cmd, opts, result, err);
    if (result->started && result->start_ns > start)
        l->setup_ns += result->start_ns - start;
    runtime_command_release(&cmd);
    return r;
}
