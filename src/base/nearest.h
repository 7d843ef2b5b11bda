/* nearest: "did you mean ...?" for misspelt words of a known set (options,
 * configuration keys, targets). */
#ifndef REPX_BASE_NEAREST_H
#define REPX_BASE_NEAREST_H

/* The best match so far; start from NEAREST_INIT and offer every candidate. */
struct nearest {
    const char *word; /* borrowed; NULL: nothing is close enough */
    unsigned distance;
};

#define NEAREST_INIT                                                                   \
    {                                                                                  \
        (const char *)0, 0                                                             \
    }

/* Keeps candidate when it is nearer to word than what was offered before. Farther than
 * a third of the word's length (at least 1, at most 4 edits) is not near. */
void nearest_offer(struct nearest *n, const char *word, const char *candidate);

#endif
