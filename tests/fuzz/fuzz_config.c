/* The configuration reader: any bytes are either a configuration or an error with a
 * text, never a crash, and what was read can be released. */
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config c = CONFIG_INIT;
    struct error err = ERROR_INIT;
    int rc;

    rc = config_parse(&c, (const char *)data, size, "fuzz", true, &err);
    if ((rc < 0) != (err.class != ERROR_NONE && err.text[0] != '\0'))
        abort();
    config_release(&c);
    return 0;
}
