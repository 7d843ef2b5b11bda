/* request_internal: what the files of request/ share about the option table. */
#ifndef REPX_REQUEST_INTERNAL_H
#define REPX_REQUEST_INTERNAL_H

#include "request/request.h"

/* The option's field, of the type that its REQUEST_ type says. */
const void *request_field(const struct request *r, const struct request_option *o);
enum request_origin request_origin_of(const struct request *r,
                                      const struct request_option *o);
/* Does a command of this set of FOR_* bits take the option? */
bool request_applies(const struct request_option *o, unsigned commands);

#endif
