#include "base/nearest.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Longer words are not compared: the rows live on the stack. */
enum { NEAREST_MAX = 64 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Optimal string alignment: insert, delete, replace and swap of neighbours cost 1. */
static unsigned edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    unsigned rows[3][NEAREST_MAX + 1];

    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3];
        const unsigned *before = rows[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            now[j] =
                min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[na % 3][nb];
}

void nearest_offer(struct nearest *n, const char *word, const char *candidate)
{
    size_t na = strlen(word), nb = strlen(candidate);
    unsigned limit, distance;

    if (na == 0 || na > NEAREST_MAX || nb > NEAREST_MAX)
        return;
    limit = (unsigned)(na / 3);
    limit = limit < 1 ? 1 : limit > 4 ? 4 : limit;
    distance = edit_distance(word, na, candidate, nb);
    if (distance <= limit && (!n->word || distance < n->distance)) {
        n->word = candidate;
        n->distance = distance;
    }
}
