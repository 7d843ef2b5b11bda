/* identity: /etc/passwd and /etc/group of the sandbox. The image's own text, with the
 * calling user and group in front, so that the name is found by uid also where the
 * image uses the number for somebody else (CONTRACT section 3, identity). */
#ifndef REPX_LAUNCH_IDENTITY_H
#define REPX_LAUNCH_IDENTITY_H

#include "sys/process.h"

struct error;

/* image_text is the image's file, "" when it has none. Owned by the caller; NULL: err.
 */
char *identity_passwd(const char *image_text, const struct process_user *user,
                      const char *home, struct error *err);
char *identity_group(const char *image_text, const struct process_user *user,
                     struct error *err);

#endif
