#include "launch/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "sys/trust.h"

/* config_load goes on without a site file; one that somebody named must be there. */
static int check_site_file(const char *path, struct error *err)
{
    if (access(path, F_OK) == 0)
        return 0;
    error_sys(err, errno, "cannot read the site's configuration file %s", path);
    return error_hint(err,
                      "ask the administrator to correct config= of plugstack.conf");
}

int session_init(struct session *s, const struct request *request, char *const *env,
                 struct error *err)
{
    return session_init_site(s, request, env, NULL, err);
}

int session_init_site(struct session *s, const struct request *request,
                      char *const *env, const char *site_file, struct error *err)
{
    *s = (struct session){.request = request, .env = env, .store = STORE_INIT};
    if (request_validate(request, err) < 0 ||
        (site_file && check_site_file(site_file, err) < 0))
        return -1;
    if (config_load(&s->config, site_file ? site_file : CONFIG_SITE_FILE, env,
                    request->config, err) < 0)
        return -1;
    if (resolve(&s->settled, request, &s->config, env, err) < 0)
        return -1;
    s->host = process_hostname();
    s->kernel = process_kernel_release();
    return process_user_init(&s->user, err);
}

void session_release(struct session *s)
{
    if (s->have_store)
        store_release(&s->store);
    runtime_tools_release(&s->tools);
    process_user_release(&s->user);
    settled_release(&s->settled);
    config_release(&s->config);
    free(s->host);
    free(s->kernel);
}

const char *session_store_root(const struct session *s)
{
    return s->settled.node_local_path ? s->settled.node_local_path
                                      : s->settled.base_path;
}

int session_open_store(struct session *s, struct error *err)
{
    struct error why = ERROR_INIT;

    if (s->have_store)
        return 0;
    if (store_open(&s->store, session_store_root(s), err) < 0)
        return -1;
    store_set_limits(&s->store, s->settled.cache_max_size, s->settled.cache_min_free);
    s->have_store = true;
    if (s->settled.shared_store &&
        store_attach_site(&s->store, s->settled.shared_store, &why) < 0)
        log_warn("%s", why.text);
    return 0;
}

int session_open_chosen_store(struct session *s, struct error *err)
{
    if (!s->request->shared)
        return session_open_store(s, err);
    if (!s->settled.shared_store)
        return error_usage(err, "--shared: the site has no shared store; set "
                                "shared_store in [policy] of " CONFIG_SITE_FILE);
    /* What root makes there is for everybody. */
    umask(022);
    if (store_open_shared(&s->store, s->settled.shared_store, err) < 0)
        return -1;
    s->have_store = true;
    return 0;
}

int session_find_tools(struct session *s, struct error *err)
{
    _cleanup_free_ char *state = NULL;
    _cleanup_close_ int fd = -1;

    if (s->have_tools)
        return 0;
    state = str_printf("%s/repx", session_store_root(s));
    if (!state)
        return error_oom(err);
    /* the probe cache is believed later: it must be the user's own */
    fd = trust_private_dir(state, err);
    if (fd < 0) {
        error_context(err, "the node-local store");
        return error_hint(err, "--node-local-path DIR puts it elsewhere");
    }
    if (runtime_tools_find(&s->tools, NULL, state, err) < 0)
        return -1;
    s->have_tools = true;
    return 0;
}

void session_find_staging(struct session *s, bool again)
{
    const char *configured = s->settled.staging;
    enum runtime_staging most = STAGING_OVERLAY;

    if (strcmp(configured, "off") == 0)
        most = STAGING_OFF;
    else if (strcmp(configured, "flat") == 0)
        most = STAGING_ON;
    runtime_find_staging(&s->tools, most, again);
}
