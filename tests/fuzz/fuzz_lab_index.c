/* An index whose checksums are right and whose content is anything: it is used or not,
 * and nothing else happens. Two bytes (little-endian) give the length of the part that
 * is the body of KEY.lab; the rest is the data of KEY.jobs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "lab/inputs.h"
#include "lab/lab.h"
#include "lab/labindex.h"
#include "lab/labpages.h"
#include "lab/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct buf head_of(const uint8_t *body, size_t len)
{
    struct buf b = BUF_INIT;

    buf_adds(&b, "repx-lab");
    labpages_put(&b, labpages_checksum(body, len, 0), 8);
    buf_add(&b, body, len);
    return b;
}

static int jobs_of(const uint8_t *data, size_t len, uint64_t salt)
{
    const struct buf plain = {.data = (char *)(uintptr_t)data, .len = len};
    struct buf pages = BUF_INIT;
    int fd = memfd_create("jobs", MFD_CLOEXEC);

    labpages_write(&plain, salt, &pages);
    if (fd < 0 || (pages.len && write(fd, pages.data, pages.len) < 0))
        abort();
    buf_release(&pages);
    return fd;
}

static void use(const struct lab *lab)
{
    struct error err = ERROR_INIT;
    struct inputs in = INPUTS_INIT;
    size_t *all = calloc(lab->n_jobs + 1, sizeof(*all)), *order = NULL, n = 0;

    for (size_t i = 0; i < lab->n_jobs; i++) {
        all[i] = i;
        if (inputs_resolve(lab, &lab->jobs[i], "/base", &in, &err) == 0)
            inputs_release(&in);
        lab_find_job(lab, lab->jobs[i].id, &err);
    }
    lab_order(lab, all, lab->n_jobs, &order, &n, &err);
    free(order);
    free(all);
}

static void load(const uint8_t *data, size_t size, size_t head_len,
                 const struct strv *names)
{
    struct lab lab = {.path = strdup("/lab"), .fd = -1};
    const struct lab_options opts = {.names = names};
    struct buf head = head_of(data, head_len);
    struct labindex ix = LABINDEX_INIT;
    struct error err = ERROR_INIT;

    if (labindex_head_read(&ix, &lab, buf_str(&head), head.len) == 0) {
        ix.size = size - head_len;
        ix.fd = jobs_of(data + head_len, size - head_len, ix.salt);
        ix.pages = malloc(sizeof(*ix.pages));
        if (!ix.pages)
            abort();
        labpages_init(ix.pages, ix.fd, ix.size, ix.salt);
        /* more jobs than the table has room for are none: labindex_load asks for that
         */
        if (ix.n_jobs <= ix.size && labindex_select(&ix, &lab, &opts, &err) == 0)
            use(&lab);
    }
    labindex_release(&ix);
    buf_release(&head);
    lab_release(&lab);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"sim", "0", "none"};
    size_t head_len;

    if (size < 2)
        return 0;
    head_len = (size_t)data[0] | (size_t)data[1] << 8;
    if (head_len > size - 2)
        return 0;
    load(data + 2, size - 2, head_len, NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct strv v = STRV_INIT;

        strv_add(&v, names[i]);
        load(data + 2, size - 2, head_len, &v);
        strv_release(&v);
    }
    return 0;
}
