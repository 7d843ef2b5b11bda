/* session: what every command that launches something has at hand: the settled answer,
 * the user, the node, and (opened when first needed) the tools and the node-local
 * store. */
#ifndef REPX_LAUNCH_SESSION_H
#define REPX_LAUNCH_SESSION_H

#include <stdbool.h>

#include "config/config.h"
#include "image/store.h"
#include "request/request.h"
#include "resolve/resolve.h"
#include "runtime/runtime.h"
#include "sys/process.h"

struct error;
struct meter_watch;

struct session {
    const struct request *request;   /* borrowed */
    char *const *env;                /* the caller's, borrowed */
    const struct meter_watch *watch; /* of long work, borrowed; NULL */
    struct config config;
    struct settled settled;
    struct process_user user;
    char *host, *kernel;
    struct runtime_tools tools;
    bool have_tools;
    struct store store;
    bool have_store;
};

/* Reads the configuration and settles it. */
int session_init(struct session *s, const struct request *request, char *const *env,
                 struct error *err);
/* The same with another site file, which then has to exist. NULL: CONFIG_SITE_FILE. */
int session_init_site(struct session *s, const struct request *request,
                      char *const *env, const char *site_file, struct error *err);
void session_release(struct session *s);

/* Where images are extracted: node_local_path, else base_path. Borrowed. */
const char *session_store_root(const struct session *s);

/* Opens the user's store, and the site's to look into first; the second call does
 * nothing. */
int session_open_store(struct session *s, struct error *err);
/* The same, but with --shared the site's store, for root to change. */
int session_open_chosen_store(struct session *s, struct error *err);

/* Finds bwrap and the sandbox's init; the second call does nothing. */
int session_find_tools(struct session *s, struct error *err);

/* What of the staging works here, and is configured; after session_find_tools. again:
 * by new trials. */
void session_find_staging(struct session *s, bool again);

#endif
