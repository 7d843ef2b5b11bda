/* imagearg: what an IMAGE argument means: a path, or the name of an image of the lab.
 */
#ifndef REPX_LAUNCH_IMAGEARG_H
#define REPX_LAUNCH_IMAGEARG_H

#include "launch/session.h"

struct error;

/* Owned by the caller. A name without '/' that is no file here is searched in the lab,
 * then in base_path (CONTRACT section 4). */
int image_argument(const struct session *s, const char *text, char **path,
                   struct error *err);

#endif
