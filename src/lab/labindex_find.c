/* Jobs of an index by number, id, prefix and name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "lab/labcodec.h"
#include "lab/labindex.h"
#include "lab/labpages.h"

/* Bytes in which nearly every id fits, with its length. */
#define ID_USUAL 160

static int read_at(struct labindex *ix, uint64_t offset, void *out, size_t len)
{
    struct error ignored = ERROR_INIT;

    return labpages_read(ix->pages, offset, out, len, &ignored);
}

/* Where a job's record is. */
static int find_record(struct labindex *ix, size_t job, uint64_t *offset, size_t *len)
{
    unsigned char room[LABINDEX_TABLE_ENTRY];
    struct error ignored = ERROR_INIT;
    const unsigned char *entry;

    if (job >= ix->n_jobs)
        return -1;
    entry = labpages_view(ix->pages, ix->table + job * sizeof(room), sizeof(room), room,
                          &ignored);
    if (!entry)
        return -1;
    *offset = labpages_get(entry, 8);
    *len = (size_t)labpages_get(entry + 8, 4);
    return *len > ix->size ? -1 : 0;
}

/* The first `most` bytes of a job's record, or all of it. */
static int read_record(struct labindex *ix, size_t job, size_t most,
                       const unsigned char **data, size_t *len)
{
    struct error ignored = ERROR_INIT;
    unsigned char *p;
    uint64_t offset;

    if (find_record(ix, job, &offset, len) < 0)
        return -1;
    *len = *len < most ? *len : most;
    if (*len >= ix->record_cap) {
        p = realloc(ix->record, *len + 1);
        if (!p)
            return -1;
        ix->record = p;
        ix->record_cap = *len + 1;
    }
    *data = labpages_view(ix->pages, offset, *len, ix->record, &ignored);
    return *data ? 0 : -1;
}

int labindex_record(struct labindex *ix, size_t job, const unsigned char **data,
                    size_t *len)
{
    return read_record(ix, job, SIZE_MAX, data, len);
}

static int read_id(struct labindex *ix, size_t job, size_t most, const char **id,
                   size_t *id_len)
{
    const unsigned char *data;
    struct labcodec c;
    size_t len;

    if (read_record(ix, job, most, &data, &len) < 0)
        return -1;
    c = labcodec_reader(data, len);
    return labcodec_view(&c, id, id_len) ? 0 : -1;
}

/* It comes first in the record, which is long for a job with many inputs. */
int labindex_job_id(struct labindex *ix, size_t job, const char **id, size_t *len)
{
    if (read_id(ix, job, ID_USUAL, id, len) == 0)
        return 0;
    return read_id(ix, job, SIZE_MAX, id, len);
}

int labindex_run_job(struct labindex *ix, size_t run, size_t i, size_t *job)
{
    unsigned char entry[LABINDEX_LIST_ENTRY];

    if (run >= ix->n_runs || i >= ix->lists[run].n ||
        read_at(ix, ix->lists[run].first + i * sizeof(entry), entry, sizeof(entry)) < 0)
        return -1;
    *job = (size_t)labpages_get(entry, sizeof(entry));
    return *job < ix->n_jobs ? 0 : -1;
}

/* As strcmp. */
static int compare(const char *id, size_t len, const char *name, size_t name_len)
{
    int order = memcmp(id, name, len < name_len ? len : name_len);

    return order ? order : (len > name_len) - (len < name_len);
}

int labindex_lower_bound(struct labindex *ix, const char *name, size_t *at, bool *found)
{
    size_t low = 0, high = ix->n_jobs, n = strlen(name);

    *found = false;
    while (low < high && !*found) {
        size_t mid = low + (high - low) / 2, len;
        const char *id;
        int order;

        if (labindex_job_id(ix, mid, &id, &len) < 0)
            return -1;
        order = compare(id, len, name, n);
        *found = order == 0;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *at = *found ? high : low;
    return 0;
}

uint64_t labindex_hash(const char *name)
{
    return labpages_checksum(name, strlen(name), 0);
}

static int name_entry(struct labindex *ix, size_t i, uint64_t *hash, size_t *job)
{
    unsigned char entry[LABINDEX_NAME_ENTRY];

    if (read_at(ix, ix->names + i * sizeof(entry), entry, sizeof(entry)) < 0)
        return -1;
    *hash = labpages_get(entry, 8);
    *job = (size_t)labpages_get(entry + 8, 4);
    return *job < ix->n_jobs ? 0 : -1;
}

/* All with the name's hash: whoever looks for the name in what was found compares. */
static int each_by_name(struct labindex *ix, const char *name, labindex_found found,
                        void *arg)
{
    uint64_t wanted = labindex_hash(name), hash;
    size_t low = 0, high = ix->n_names, job;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (name_entry(ix, mid, &hash, &job) < 0)
            return -1;
        if (hash < wanted)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < ix->n_names; low++) {
        if (name_entry(ix, low, &hash, &job) < 0)
            return -1;
        if (hash != wanted)
            break;
        if (found(arg, job) < 0)
            return -1;
    }
    return 0;
}

int labindex_each_named(struct labindex *ix, const char *name, labindex_found found,
                        void *arg)
{
    size_t n = strlen(name), at;
    bool any = false, exact;

    if (labindex_lower_bound(ix, name, &at, &exact) < 0)
        return -1;
    if (n > 0 && exact)
        return found(arg, at); /* the id itself counts, not those that it begins */
    for (; n > 0 && at < ix->n_jobs; at++) {
        const char *id;
        size_t len;

        if (labindex_job_id(ix, at, &id, &len) < 0)
            return -1;
        if (len < n || memcmp(id, name, n) != 0)
            break;
        any = true;
        if (found(arg, at) < 0)
            return -1;
    }
    return any ? 0 : each_by_name(ix, name, found, arg);
}
