/* The choice of a runtime: the first on the list that works here. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "runtime/runtime_internal.h"
#include "sys/lockfile.h"

/* Trial sandboxes cost something; native has none. */
static bool is_cached(const struct runtime_backend *b)
{
    return b->isolated;
}

static bool is_known(const struct runtime_backend *b, const struct runtime_tools *tools)
{
    struct error ignored = ERROR_INIT;

    return probe_cache_yes(tools, b->name, NULL) &&
           (!b->alive || b->alive(tools, &ignored) == 0);
}

static int probe(const struct runtime_backend *b, const struct runtime_tools *tools,
                 struct error *why)
{
    _cleanup_(lockfile_release) struct lockfile lock = LOCKFILE_INIT;
    _cleanup_free_ char *version = NULL;
    int r;

    if (is_cached(b) &&
        (is_known(b, tools) ||
         (probe_cache_await(tools, b->name, &lock) && is_known(b, tools))))
        return 0;
    r = b->probe(tools, why);
    if (r == 0 && is_cached(b)) {
        version = b->version(tools);
        probe_cache_store(tools, b->name, version);
    }
    return r;
}

static void add_reason(struct buf *reasons, const char *name, const char *reason)
{
    buf_addf(reasons, "%s%s: %s", reasons->len ? "; " : "", name, reason);
}

int runtime_select(const struct strv *candidates, const struct runtime_tools *tools,
                   const struct runtime_backend **out, struct error *err)
{
    _cleanup_buf_ struct buf reasons = BUF_INIT;

    for (size_t i = 0; i < candidates->count; i++) {
        const char *name = candidates->items[i];
        const struct runtime_backend *b = runtime_find(name);
        struct error why = ERROR_INIT;
        int r;

        if (!b)
            return error_usage(err,
                               "unknown runtime '%s'; use bwrap, podman, docker or "
                               "native",
                               name);
        r = probe(b, tools, &why);
        if (r < 0) {
            *err = why;
            return error_context(err, "cannot find out whether %s works here", name);
        }
        if (r == 0) {
            *out = b;
            return 0;
        }
        log_debug("runtime %s is not available: %s", name, why.text);
        add_reason(&reasons, name, why.text);
    }
    if (candidates->count == 0)
        return error_fail(err, "no runtime is allowed; give --runtime or set "
                               "execution_types");
    return error_fail(err, "no runtime of the list works on this node: %s",
                      buf_str(&reasons));
}
