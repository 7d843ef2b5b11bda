#include "cmd/json_text.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

int json_text(json_t *value, struct buf *out, struct error *err)
{
    _cleanup_free_ char *text =
        json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

    json_decref(value);
    if (!text)
        return error_oom(err);
    buf_addf(out, "%s\n", text);
    return buf_check(out, err);
}
