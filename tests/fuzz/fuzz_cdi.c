/* One text as YAML and as JSON: each is refused with a sentence, or is a specification
 * whose devices can be found. Then as a library: it has a name or none. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "launch/cdi.h"
#include "launch/elf_soname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(json_t *doc)
{
    struct cdi cdi = {.specs = calloc(1, sizeof(struct cdi_spec)), .n = 1};
    struct error err = ERROR_INIT;
    struct cdi_choice choice;
    int r;

    if (!cdi.specs)
        abort();
    r = cdi_spec_parse(doc, cdi.specs, &err);
    if ((r < 0) != (err.text[0] != '\0'))
        abort();
    cdi.specs->file = strdup("/etc/cdi/x");
    for (size_t i = 0; r == 0 && i < cdi.specs->n_devices; i++) {
        error_clear(&err);
        cdi_find(&cdi, cdi.specs->devices[i].name, &choice, &err);
    }
    cdi_release(&cdi);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = ERROR_INIT;
    json_t *doc = cdi_yaml_load((const char *)data, size, &err);
    int fd;

    if ((doc == NULL) != (err.text[0] != '\0'))
        abort();
    if (doc)
        use(doc);
    json_decref(doc);
    doc = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (doc)
        use(doc);
    json_decref(doc);
    fd = memfd_create("library", MFD_CLOEXEC);
    if (fd >= 0 && size && write(fd, data, size) == (ssize_t)size)
        free(elf_soname(fd));
    close(fd);
    return 0;
}
