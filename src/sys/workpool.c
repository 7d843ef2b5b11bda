#include "sys/workpool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/error.h"

struct queue {
    struct task *head, **tail;
    unsigned length;
};

struct workpool {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* for the pool's threads */
    pthread_cond_t outside; /* for workpool_watch */
    struct queue short_tasks, long_tasks;
    unsigned waiting; /* in pthread_cond_wait */
    bool ending;
    unsigned threads;
    pthread_t thread[];
};

static void queue_add(struct queue *q, struct task *t)
{
    t->next = NULL;
    *q->tail = t;
    q->tail = &t->next;
    q->length++;
}

static struct task *queue_take(struct queue *q)
{
    struct task *t = q->head;

    if (!t)
        return NULL;
    q->head = t->next;
    if (!q->head)
        q->tail = &q->head;
    q->length--;
    return t;
}

/* All of them: they wait for different things. Nearly always there is nobody. */
static void wake(struct workpool *p)
{
    if (p->waiting > 0)
        pthread_cond_broadcast(&p->changed);
}

static void rest(struct workpool *p)
{
    p->waiting++;
    pthread_cond_wait(&p->changed, &p->mutex);
    p->waiting--;
}

static void run_unlocked(struct workpool *p, struct task *t)
{
    pthread_mutex_unlock(&p->mutex);
    t->run(t);
    pthread_mutex_lock(&p->mutex);
    wake(p);
}

static void *work(void *arg)
{
    struct workpool *p = arg;
    struct task *t;

    /* A umask belongs to the process unless the thread leaves what is shared. */
    if (unshare(CLONE_FS) == 0)
        umask(0);
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        t = queue_take(&p->long_tasks);
        if (!t)
            t = queue_take(&p->short_tasks);
        if (t)
            run_unlocked(p, t);
        else if (p->ending)
            break;
        else
            rest(p);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static int start(struct workpool *p, unsigned threads, struct error *err)
{
    sigset_t all, old;
    int rc = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (rc == 0 && p->threads < threads) {
        rc = pthread_create(&p->thread[p->threads], NULL, work, p);
        if (rc == 0)
            p->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    /* A limit on processes leaves fewer; one is needed. */
    return p->threads > 0 ? 0 : error_sys(err, rc, "cannot start a thread");
}

struct workpool *workpool_new(unsigned threads, struct error *err)
{
    struct workpool *p = calloc(1, sizeof(*p) + threads * sizeof(p->thread[0]));
    pthread_condattr_t attr;

    if (!p) {
        error_oom(err);
        return NULL;
    }
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->outside, &attr);
    pthread_condattr_destroy(&attr);
    p->short_tasks.tail = &p->short_tasks.head;
    p->long_tasks.tail = &p->long_tasks.head;
    if (start(p, threads, err) < 0)
        workpool_free(&p);
    return p;
}

void workpool_free(struct workpool **pool)
{
    struct workpool *p = *pool;
    unsigned i;

    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    p->ending = true;
    wake(p);
    pthread_mutex_unlock(&p->mutex);
    for (i = 0; i < p->threads; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->changed);
    pthread_cond_destroy(&p->outside);
    pthread_mutex_destroy(&p->mutex);
    free(p);
    *pool = NULL;
}

unsigned workpool_threads(const struct workpool *p)
{
    return p->threads;
}

static void push(struct workpool *p, struct queue *q, struct task *t)
{
    pthread_mutex_lock(&p->mutex);
    queue_add(q, t);
    wake(p);
    pthread_mutex_unlock(&p->mutex);
}

void workpool_push(struct workpool *p, struct task *t)
{
    push(p, &p->short_tasks, t);
}

void workpool_push_long(struct workpool *p, struct task *t)
{
    push(p, &p->long_tasks, t);
}

void workpool_wait(struct workpool *p, bool (*ready)(void *arg), void *arg)
{
    struct task *t;

    pthread_mutex_lock(&p->mutex);
    while (!ready(arg)) {
        t = queue_take(&p->short_tasks);
        if (t)
            run_unlocked(p, t);
        else
            rest(p);
    }
    pthread_mutex_unlock(&p->mutex);
}

void workpool_keep_below(struct workpool *p, unsigned most)
{
    struct task *t;

    pthread_mutex_lock(&p->mutex);
    while (p->short_tasks.length > most && (t = queue_take(&p->short_tasks)))
        run_unlocked(p, t);
    pthread_mutex_unlock(&p->mutex);
}

bool workpool_watch(struct workpool *p, bool (*ready)(void *arg), void *arg,
                    unsigned ms)
{
    struct timespec until;
    bool yes;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&p->mutex);
    while (!(yes = ready(arg)) &&
           pthread_cond_timedwait(&p->outside, &p->mutex, &until) == 0)
        continue;
    pthread_mutex_unlock(&p->mutex);
    return yes;
}

void workpool_change(struct workpool *p, void (*change)(void *arg), void *arg)
{
    pthread_mutex_lock(&p->mutex);
    change(arg);
    wake(p);
    pthread_cond_broadcast(&p->outside);
    pthread_mutex_unlock(&p->mutex);
}

static struct strand_item *strand_take(struct strand *s)
{
    struct workpool *p = s->pool;
    struct strand_item *item;

    pthread_mutex_lock(&p->mutex);
    item = s->head;
    if (item) {
        s->head = item->next;
        if (!s->head)
            s->tail = &s->head;
    } else {
        /* From here on the strand may be gone: its owner sees that it is done. */
        s->scheduled = false;
    }
    pthread_mutex_unlock(&p->mutex);
    return item;
}

static void strand_run(struct task *t)
{
    struct strand *s = (struct strand *)t;
    struct strand_item *item;

    while ((item = strand_take(s)) && s->run(s, item))
        continue;
}

void strand_init(struct strand *s, struct workpool *pool,
                 bool (*run)(struct strand *s, struct strand_item *item))
{
    *s = (struct strand){.task = {NULL, strand_run}, .pool = pool, .run = run};
    s->tail = &s->head;
}

void strand_push(struct strand *s, struct strand_item *item)
{
    item->next = NULL;
    if (!s->pool) {
        s->run(s, item);
        return;
    }
    pthread_mutex_lock(&s->pool->mutex);
    *s->tail = item;
    s->tail = &item->next;
    if (!s->scheduled) {
        s->scheduled = true;
        queue_add(&s->pool->short_tasks, &s->task);
        wake(s->pool);
    }
    pthread_mutex_unlock(&s->pool->mutex);
}

static bool strand_idle(void *arg)
{
    const struct strand *s = arg;

    return !s->scheduled;
}

void strand_drain(struct strand *s)
{
    if (s->pool)
        workpool_wait(s->pool, strand_idle, s);
}
