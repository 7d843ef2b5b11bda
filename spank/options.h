/* options: the --repx-NAME options of a step as Slurm hands them over, one text each,
 * and the request they make. Pure: base/ and request/, nothing of Slurm.
 *
 * Slurm tells an option several times (twice on a node, once for each level at
 * submission), has NULL, "" and "(null)" for an option without a value, and keeps the
 * last text only. So each row remembers its last text, and the request is made from
 * scratch when all are known.
 */
#ifndef REPX_SPANK_OPTIONS_H
#define REPX_SPANK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "request/request.h"

struct error;

/* Rows of options.def; a compile-time check keeps it large enough. */
#define OPTIONS_MAX 64

/* What a row's variables are called in the environments that Slurm makes of options. */
#define OPTIONS_OWN "_SLURM_SPANK_OPTION_repx_"                   /* of this step */
#define OPTIONS_INHERITED "SLURM_SPANK__SLURM_SPANK_OPTION_repx_" /* of the job */

/* Zero it before use. */
struct options {
    char *text[OPTIONS_MAX]; /* owned; NULL: not given; "": given without a value */
    bool any;
};

void options_release(struct options *o);

/* "repx-mount-path" for a row; owned by the caller, NULL when out of memory. */
char *options_name(const struct request_option *row);

/* Remembers what Slurm tells about a row. -1: out of memory. */
int options_take(struct options *o, size_t row, const char *text, struct error *err);

/* Is text, alone, a value of the row? -1: a sentence that names the option. */
int options_check(size_t row, const char *text, struct error *err);

/* Was the row given before, with another text? Only the last one counts for Slurm. */
bool options_differs(const struct options *o, size_t row, const char *text);

/* Takes the rows that env has as PREFIX<name> and that are not known yet. */
int options_from_env(struct options *o, const char *prefix, char *const *env,
                     struct error *err);

/* Does env have an option that asks for a sandbox? */
bool options_in_env(const char *prefix, char *const *env);

/* The checked request; an empty text, and "none" for image and job, take an inherited
 * value away. r is empty before. */
int options_request(const struct options *o, struct request *r, struct error *err);

/* Is there any option that is not taken away? */
bool options_in_force(const struct options *o);

/* Was an inherited image taken away? */
bool options_without_image(const struct options *o);

/* Do the tasks enter a sandbox, or are the options defaults for launchers in the step?
 */
bool options_sandbox(const struct request *r);

#endif
