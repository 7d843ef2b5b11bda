/* work_items.json, written by a job: each item comes out as JSON that reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "lab/inputs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(const char *item)
{
    struct strv again = STRV_INIT;
    struct error err = ERROR_INIT;
    char *text = str_printf("[%s]", item);

    if (!text || inputs_work_items(text, strlen(text), &again, &err) < 0 ||
        again.count != 1 || strcmp(again.items[0], item) != 0)
        abort();
    free(text);
    strv_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strv items = STRV_INIT;
    struct error err = ERROR_INIT;

    if (inputs_work_items((const char *)data, size, &items, &err) == 0)
        for (size_t i = 0; i < items.count; i++)
            read_back(items.items[i]);
    else if (err.text[0] == '\0')
        abort();
    strv_release(&items);
    return 0;
}
