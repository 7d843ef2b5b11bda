#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/quote.h"
#include "cmd/command.h"
#include "launch/cdi.h"
#include "launch/session.h"
#include "sys/pathfd.h"

enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_FAIL };

/* One row per check. The node is fit when no row fails. */
struct report {
    json_t *rows;
    struct buf text;
    bool failed;
};

static void add_row(struct report *r, enum verdict v, const char *check,
                    const char *text)
{
    static const char *const names[] = {"ok", "note", "fail"};
    _cleanup_buf_ struct buf printable = BUF_INIT;
    json_t *o = json_object();

    quote_printable(&printable, text);
    json_object_set_new(o, "check", json_string(check));
    json_object_set_new(o, "result", json_string(names[v]));
    json_object_set_new(o, "text", json_string(buf_str(&printable)));
    json_array_append_new(r->rows, o);
    buf_addf(&r->text, "%-4s  %-13s  %s\n", names[v], check, buf_str(&printable));
    r->failed |= v == VERDICT_FAIL;
}

/* openat2, pidfds and close_range are needed: CONTRACT section 10. */
static void check_kernel(struct report *r, const struct session *s)
{
    unsigned major = 0, minor = 0;
    bool parsed = sscanf(s->kernel, "%u.%u", &major, &minor) == 2;
    bool new_enough = parsed && (major > 5 || (major == 5 && minor >= 14));
    _cleanup_free_ char *text =
        str_printf("Linux %s%s", s->kernel,
                   new_enough ? "" : "; 5.14 or newer is needed: update the node");

    add_row(r, new_enough ? VERDICT_OK : VERDICT_FAIL, "kernel", text ? text : "");
}

/* A runtime that nobody asked for may be missing; one of the candidates has to work. */
static bool check_runtime(struct report *r, const struct session *s,
                          const struct runtime_backend *b)
{
    bool wanted = strv_contains(&s->settled.runtimes, b->name);
    _cleanup_free_ char *version = NULL;
    _cleanup_free_ char *text = NULL;
    struct error why = ERROR_INIT;

    if (!b->isolated) {
        add_row(r, VERDICT_OK, b->name,
                wanted ? "allowed: jobs can run without isolation"
                       : "works, but is used only when it is listed or asked for");
        return wanted;
    }
    if (b->probe(&s->tools, &why) != 0) {
        add_row(r, VERDICT_NOTE, b->name, why.text);
        return false;
    }
    version = b->version ? b->version(&s->tools) : NULL;
    text = str_printf("works (%s)%s", version ? version : "version unknown",
                      wanted ? "" : ", but is not in execution_types");
    add_row(r, VERDICT_OK, b->name, text ? text : "works");
    return wanted;
}

/* Slower ways are no fault of the node's. */
static void check_staging(struct report *r, struct session *s)
{
    static const char *const texts[] = {
        [STAGING_OFF] = "bwrap makes each mount: a job with many inputs starts slowly",
        [STAGING_ON] = "own namespace; images are composed once more from their layers",
        [STAGING_OVERLAY] = "own namespace; images are their layers, merged by overlay",
    };
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error denied = ERROR_INIT;
    bool attach;

    session_find_staging(s, true);
    attach = s->tools.staging == STAGING_OFF || runtime_ask_attach(&s->tools, &denied);
    buf_adds(&text, texts[s->tools.staging]);
    if (s->tools.staging_why)
        buf_addf(&text, " (%s)", s->tools.staging_why);
    if (!attach)
        buf_addf(&text,
                 "; bwrap makes many mounts: a job with many inputs starts "
                 "slowly (%s)",
                 denied.text);
    add_row(r,
            s->tools.staging == STAGING_OVERLAY && attach ? VERDICT_OK : VERDICT_NOTE,
            "staging", buf_str(&text));
}

static void add_finding(void *arg, const char *check, bool good, const char *text)
{
    add_row(arg, good ? VERDICT_OK : VERDICT_NOTE, check, text);
}

static void check_runtimes(struct report *r, struct session *s)
{
    const struct runtime_backend *const *all;
    _cleanup_buf_ struct buf wanted = BUF_INIT;
    size_t n, usable = 0;

    all = runtime_all(&n);
    for (size_t i = 0; i < n; i++) {
        usable += check_runtime(r, s, all[i]);
        if (all[i]->diagnose)
            all[i]->diagnose(&s->tools, add_finding, r);
    }
    if (strv_contains(&s->settled.runtimes, "bwrap"))
        check_staging(r, s);
    for (size_t i = 0; i < s->settled.runtimes.count; i++)
        buf_addf(&wanted, "%s%s", i ? ", " : "", s->settled.runtimes.items[i]);
    if (usable == 0) {
        buf_adds(&wanted, ": none of them works on this node; install bubblewrap, or "
                          "list one that works in execution_types");
        add_row(r, VERDICT_FAIL, "runtimes", buf_str(&wanted));
    } else {
        add_row(r, VERDICT_OK, "runtimes", buf_str(&wanted));
    }
}

static bool check_store(struct report *r, struct session *s)
{
    _cleanup_free_ char *text = NULL;
    struct error err = ERROR_INIT;
    struct statvfs vfs;

    if (session_open_store(s, &err) < 0) {
        add_row(r, VERDICT_FAIL, "store", err.text);
        return false;
    }
    if (fstatvfs(s->store.fd, &vfs) < 0) {
        add_row(r, VERDICT_FAIL, "store", "cannot ask for its free space");
        return false;
    }
    text = str_printf("%s, %.1f GB free%s%s%s", s->store.path,
                      (double)vfs.f_bavail * (double)vfs.f_frsize / 1e9,
                      s->settled.node_local_path
                          ? ""
                          : "; node_local_path is not set, so images are extracted "
                            "below base_path",
                      s->store.network ? "; each node extracts for itself there, set "
                                         "node_local_path to a local disk: it is on "
                                       : "",
                      s->store.network ? s->store.network : "");
    add_row(r, s->store.network ? VERDICT_NOTE : VERDICT_OK, "store", text ? text : "");
    return true;
}

/* The site's store: only where the site has one. */
static void check_shared_store(struct report *r, const struct session *s)
{
    const char *root = s->settled.shared_store;
    struct store scratch = STORE_INIT;
    _cleanup_free_ char *text = NULL;
    struct error why = ERROR_INIT;
    int rc;

    if (!root)
        return;
    rc = store_attach_site(&scratch, root, &why);
    if (rc == 0)
        text = str_printf("%s, read-only", scratch.site->path);
    else if (rc == 1)
        text = str_printf("%s has no images yet: as root, run "
                          "'repx-launch image prepare --shared IMAGE'",
                          root);
    add_row(r, rc == 0 ? VERDICT_OK : VERDICT_NOTE, "shared",
            rc < 0 ? why.text
            : text ? text
                   : "");
    store_release(&scratch);
}

/* Only where the node has GPUs, or somebody wants them. */
static void check_gpus(struct report *r, const struct session *s)
{
    _cleanup_buf_ struct buf names = BUF_INIT;
    struct error why = ERROR_INIT;
    struct cdi cdi = {0};
    bool wanted = strcmp(s->settled.gpus, "none") != 0 ||
                  access("/dev/nvidiactl", F_OK) == 0 || access("/dev/kfd", F_OK) == 0;

    if (cdi_load(&cdi, &s->settled.cdi_dirs, &why) < 0) {
        add_row(r, VERDICT_NOTE, "gpus", why.text);
    } else if (cdi.n > 0) {
        for (size_t i = 0; i < cdi.n; i++)
            for (size_t k = 0; k < cdi.specs[i].n_devices; k++)
                buf_addf(&names, "%s%s=%s", names.len ? ", " : "", cdi.specs[i].kind,
                         cdi.specs[i].devices[k].name);
        add_row(r, VERDICT_OK, "gpus", buf_str(&names));
    } else if (wanted) {
        add_row(r, VERDICT_NOTE, "gpus",
                "no CDI specification, so jobs get no GPUs; as root: nvidia-ctk cdi "
                "generate --output=/etc/cdi/nvidia.yaml");
    }
    cdi_release(&cdi);
}

static void check_base(struct report *r, const struct session *s)
{
    struct error err = ERROR_INIT;
    _cleanup_close_ int fd = pathfd_make_dirs_user(s->settled.base_path, 0755, &err);

    if (fd < 0) {
        add_row(r, VERDICT_FAIL, "base_path", err.text);
        return;
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0) {
        error_sys(&err, errno, "%s cannot be written", s->settled.base_path);
        add_row(r, VERDICT_FAIL, "base_path", err.text);
        return;
    }
    add_row(r, VERDICT_OK, "base_path", s->settled.base_path);
}

static int print_report(const struct report *r, bool json, struct error *err)
{
    _cleanup_free_ char *text = NULL;

    if (!json)
        return buf_check(&r->text, err) < 0 ? -1 : print_text(buf_str(&r->text), err);
    text = json_dumps(r->rows, JSON_INDENT(2));
    if (!text)
        return error_oom(err);
    return print_text(text, err) < 0 ? -1 : print_text("\n", err);
}

static int doctor_main(const struct request *req, char *const *env, int *exit_code,
                       struct error *err)
{
    struct report report = {.rows = json_array(), .text = BUF_INIT};
    struct error why = ERROR_INIT;
    struct session s;
    int r = session_init(&s, req, env, err);

    if (r == 0)
        r = no_arguments(req, "doctor", err);
    if (r == 0) {
        check_kernel(&report, &s);
        check_base(&report, &s);
        check_shared_store(&report, &s);
        check_gpus(&report, &s);
        if (!check_store(&report, &s))
            add_row(&report, VERDICT_NOTE, "runtimes",
                    "not checked: their answers are kept beside the store");
        else if (session_find_tools(&s, &why) < 0)
            add_row(&report, VERDICT_FAIL, "tools", why.text);
        else
            check_runtimes(&report, &s);
        r = print_report(&report, req->json, err);
    }
    *exit_code = report.failed ? 1 : 0;
    json_decref(report.rows);
    buf_release(&report.text);
    session_release(&s);
    return r;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .options = FOR_LAUNCH | FOR_CONFIG | FOR_JSON,
    .synopsis = "[--json] [OPTION...]",
    .summary = "Can this node do it? Each check with its remedy",
    .details =
        "The checks are made for the target in force and with this user's rights.\n"
        "The exit code is 0 when jobs can run here, else 1.\n",
    .main = doctor_main,
};
