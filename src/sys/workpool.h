/* workpool: threads that share work within one process. Two kinds of tasks:
 *
 *   short  runs to its end without waiting for anything
 *   long   makes short tasks and may wait for them (workpool_wait), which runs short
 *          ones in the meantime, so that no thread idles while there is work
 *
 * Long tasks go first: one for each thread, so that there are always short ones of
 * different makers, which are worked off by the makers that wait. A strand runs its
 * items one after the other, in order, on whatever thread is free.
 *
 * The threads block every signal, so that signals stay with the thread that made the
 * pool, and have a umask of their own, 0 where the kernel lets them. Everything must
 * be joined (workpool_free) before the process forks: sys/spawn forks processes with
 * one thread.
 */
#ifndef REPX_SYS_WORKPOOL_H
#define REPX_SYS_WORKPOOL_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct workpool;

/* Part of what it works on; owned by that. run may free it. */
struct task {
    struct task *next;
    void (*run)(struct task *t);
};

/* Threads are at least 1. NULL with err. */
struct workpool *workpool_new(unsigned threads, struct error *err);
/* Runs what was pushed, then joins the threads. */
void workpool_free(struct workpool **p);

unsigned workpool_threads(const struct workpool *p);

void workpool_push(struct workpool *p, struct task *t);
void workpool_push_long(struct workpool *p, struct task *t);

/* In a long task: runs short tasks until ready(arg), which is asked with the pool
 * locked and must only look. */
void workpool_wait(struct workpool *p, bool (*ready)(void *arg), void *arg);

/* In a long task: runs short tasks while more than `most` of them wait, so that they
 * are worked off while their data is still in the cache. */
void workpool_keep_below(struct workpool *p, unsigned most);

/* From outside of the pool: waits until ready(arg) or for about `ms` milliseconds.
 * Returns what ready said, which is asked again after each workpool_change. */
bool workpool_watch(struct workpool *p, bool (*ready)(void *arg), void *arg,
                    unsigned ms);

/* Runs change(arg) with the pool locked and wakes whoever waits. */
void workpool_change(struct workpool *p, void (*change)(void *arg), void *arg);

struct strand_item {
    struct strand_item *next;
};

struct strand {
    struct task task;
    struct workpool *pool; /* NULL: items run at once, in the caller's thread */
    bool (*run)(struct strand *s, struct strand_item *item);
    struct strand_item *head, **tail;
    bool scheduled;
};

/* run takes the item over. It returns false when it was the last one ever: the strand
 * may be gone then. */
void strand_init(struct strand *s, struct workpool *pool,
                 bool (*run)(struct strand *s, struct strand_item *item));
void strand_push(struct strand *s, struct strand_item *item);
/* Waits, in a long task, until every item was run. */
void strand_drain(struct strand *s);

#endif
