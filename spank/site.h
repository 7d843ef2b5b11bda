/* site: the arguments of repx.so in plugstack.conf, and whether the programs they name
 * can be trusted. The administrator writes them; no user has a say. */
#ifndef REPX_SPANK_SITE_H
#define REPX_SPANK_SITE_H

struct error;

struct site {
    const char *config;   /* config=: the site's file; NULL: the built-in place */
    const char *launcher; /* launcher=: repx-launch, absolute */
    const char *join;     /* join=: repx-step-join, absolute */
};

/* Reads config=, launcher= and join=; what is not there gets the installed place. The
 * texts stay with argv. -1: an unknown argument or a path that is not absolute. */
int site_parse(struct site *s, int argc, char *const argv[], struct error *err);

/* Are launcher and join files that only root can change, and is the configuration file
 * there? To be asked on a node, before a step relies on them. */
int site_check(const struct site *s, struct error *err);

/* Is path a file that root owns and others cannot write, below directories of which the
 * same is true (a sticky one like /tmp counts)? Links on the way are root's as well and
 * lead to such places. */
int site_trust(const char *path, struct error *err);

#endif
