/* nameset: which names one layer has had so far, and as what. Only hashes are kept, 8
 * bytes a name, so that a million entries cost little; two names with one hash count as
 * the same, which costs the reader a look at the disk and nothing else. The hashes are
 * seeded: an image cannot choose names that collide. */
#ifndef REPX_IMAGE_NAMESET_H
#define REPX_IMAGE_NAMESET_H

#include <stddef.h>
#include <stdint.h>

struct error;

enum nameset_kind { NAMESET_NONE, NAMESET_DIR, NAMESET_FILE, NAMESET_OTHER };

struct nameset {
    uint64_t *slots; /* hash with the kind in its lowest two bits; 0 is free */
    size_t n, size;  /* size is a power of two */
    uint64_t seed;
};

void nameset_init(struct nameset *s);
void nameset_release(struct nameset *s);

enum nameset_kind nameset_get(const struct nameset *s, const char *name, size_t len);
/* Adds or changes; *before: what it was. */
int nameset_put(struct nameset *s, const char *name, size_t len, enum nameset_kind kind,
                enum nameset_kind *before, struct error *err);

#endif
