/* The hand-off file of a step, which the user's processes may have written to: read or
 * refused with a sentence; what is read can be written and is the same again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "request/handoff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct handoff *h)
{
    struct handoff again = HANDOFF_INIT, fresh = HANDOFF_INIT;
    unsigned char head[HANDOFF_HEAD];
    struct error err = ERROR_INIT;
    struct buf file = BUF_INIT;

    if (handoff_encode_request(&h->request, &file, &err) < 0 ||
        handoff_decode(file.data, file.len, &fresh, &err) < 0 ||
        fresh.request.options.count != h->request.options.count)
        abort();
    if (h->phase != HANDOFF_NEW) {
        if (handoff_encode_answer(&fresh, h->phase, &h->answer, &file, head, &err) < 0)
            abort();
        memcpy(file.data, head, sizeof(head));
        if (handoff_decode(file.data, file.len, &again, &err) < 0 ||
            again.answer.env.count != h->answer.env.count ||
            again.answer.n_namespaces != h->answer.n_namespaces)
            abort();
    }
    handoff_release(&fresh);
    handoff_release(&again);
    buf_release(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handoff h = HANDOFF_INIT;
    struct error err = ERROR_INIT;

    if (handoff_decode(data, size, &h, &err) == 0)
        write_again(&h);
    else if (err.text[0] == '\0' || h.request.launcher)
        abort();
    handoff_release(&h);
    return 0;
}
