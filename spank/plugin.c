/* repx.so: the symbols that Slurm calls. In every context the options are registered;
 * then srun, sbatch and salloc go to local.c, slurmstepd goes to remote.c. */
#include "spank/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/quote.h"

#define EXPORT __attribute__((visibility("default")))

#pragma GCC visibility push(default)
SPANK_PLUGIN(repx, 1)
#pragma GCC visibility pop

struct plugin plugin;

/* Slurm keeps pointers to these until the process ends. */
static struct spank_option registered[OPTIONS_MAX];

bool plugin_step_is_script(uint32_t step)
{
    return step == STEP_BATCH || step == STEP_INTERACTIVE;
}

uint32_t plugin_number(spank_t sp, spank_item_t item, uint32_t otherwise)
{
    uint32_t n = 0;

    return spank_get_item(sp, item, &n) == ESPANK_SUCCESS ? n : otherwise;
}

void plugin_report(const struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;

    quote_printable(&text, err->text);
    slurm_error("repx: %s", text.failed ? "out of memory" : buf_str(&text));
}

char *plugin_slurm_copy(const char *s)
{
    char *(*copy)(const char *) = NULL;
    void *symbol = dlsym(RTLD_DEFAULT, "slurm_xstrdup");

    if (!symbol)
        return strdup(s);
    memcpy(&copy, &symbol, sizeof(copy));
    return copy(s);
}

static int take(int row, const char *text, int remote)
{
    if (!remote)
        return local_take((size_t)row, text);
    remote_take((size_t)row, text);
    return 0;
}

/* A row as Slurm wants it; the texts are never freed, as Slurm does not copy them. */
static int describe(struct spank_option *o, const struct request_option *row, int val,
                    struct error *err)
{
    const char *more = row->type == REQUEST_LIST ? ",..." : "";

    o->name = options_name(row);
    o->arginfo = str_printf("%s%s", row->arg ? row->arg : "yes|no", more);
    o->usage = strdup(row->help);
    o->has_arg = row->arg ? 1 : 2; /* as getopt: needed, possible */
    o->val = val;
    o->cb = take;
    return o->name && o->arginfo && o->usage ? 0 : error_oom(err);
}

static int register_options(spank_t sp, struct error *err)
{
    const struct request_option *rows;
    size_t n;

    rows = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        spank_err_t rc;

        if (!rows[i].spank)
            continue;
        if (!registered[i].name && describe(&registered[i], &rows[i], (int)i, err) < 0)
            return -1;
        rc = spank_option_register(sp, &registered[i]);
        if (rc != ESPANK_SUCCESS)
            return error_fail(err, "Slurm does not take the option --%s: %s",
                              registered[i].name, spank_strerror(rc));
    }
    return 0;
}

EXPORT int slurm_spank_init(spank_t sp, int argc, char *argv[])
{
    spank_context_t context = spank_context();
    struct error err = ERROR_INIT;

    if (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR && context != S_CTX_REMOTE)
        return 0;
    site_parse(&plugin.site, argc, argv, &plugin.site_error);
    if (register_options(sp, &err) == 0)
        return 0;
    if (context == S_CTX_REMOTE) {
        remote_init_failed(&err);
        return 0;
    }
    plugin_report(&err);
    return -1;
}

EXPORT int slurm_spank_init_post_opt(spank_t sp, int argc, char *argv[])
{
    spank_context_t context = spank_context();

    (void)argc;
    (void)argv;
    if (context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR)
        return local_settle(context);
    if (context == S_CTX_REMOTE)
        remote_prepare(sp);
    return 0;
}

EXPORT int slurm_spank_local_user_init(spank_t sp, int argc, char *argv[])
{
    (void)argc;
    (void)argv;
    return local_mark(sp);
}

EXPORT int slurm_spank_task_post_fork(spank_t sp, int argc, char *argv[])
{
    (void)sp;
    (void)argc;
    (void)argv;
    remote_forked();
    return 0;
}

EXPORT int slurm_spank_task_init(spank_t sp, int argc, char *argv[])
{
    (void)argc;
    (void)argv;
    remote_task(sp);
    return 0;
}

EXPORT int slurm_spank_exit(spank_t sp, int argc, char *argv[])
{
    (void)sp;
    (void)argc;
    (void)argv;
    remote_end();
    options_release(&plugin.options);
    request_release(&plugin.request);
    return 0;
}
