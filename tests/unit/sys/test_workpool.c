/* Threads that share work, and how many of them. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "sys/cpus.h"
#include "sys/pathfd.h"
#include "sys/workpool.h"

#define ITEMS 2000

static struct error err;

struct counted {
    struct task task;
    atomic_uint *count;
};

static void count_one(struct task *t)
{
    struct counted *c = (struct counted *)t;

    atomic_fetch_add(c->count, 1);
}

struct item {
    struct strand_item item;
    unsigned number;
};

struct ordered {
    struct strand strand;
    unsigned next;
    bool wrong;
};

static bool in_order(struct strand *s, struct strand_item *item)
{
    struct ordered *o = (struct ordered *)s;

    if (((struct item *)item)->number != o->next++)
        o->wrong = true;
    return true;
}

/* A long task that makes short ones and a strand's items, and waits for all. */
struct maker {
    struct task task;
    struct workpool *pool;
    struct counted counted[ITEMS];
    struct item items[ITEMS];
    struct ordered ordered;
    atomic_uint count;
    bool done;
};

static bool all_counted(void *arg)
{
    struct maker *m = arg;

    return atomic_load(&m->count) == ITEMS;
}

static void set_done(void *arg)
{
    ((struct maker *)arg)->done = true;
}

static bool is_done(void *arg)
{
    return ((struct maker *)arg)->done;
}

static void make(struct task *t)
{
    struct maker *m = (struct maker *)t;
    unsigned i;

    for (i = 0; i < ITEMS; i++) {
        m->counted[i] = (struct counted){{NULL, count_one}, &m->count};
        workpool_push(m->pool, &m->counted[i].task);
        m->items[i].number = i;
        strand_push(&m->ordered.strand, &m->items[i].item);
        workpool_keep_below(m->pool, 10);
    }
    workpool_wait(m->pool, all_counted, m);
    strand_drain(&m->ordered.strand);
    workpool_change(m->pool, set_done, m);
}

static struct maker *new_maker(struct workpool *p)
{
    struct maker *m = calloc(1, sizeof(*m));

    assert_non_null(m);
    m->task.run = make;
    m->pool = p;
    strand_init(&m->ordered.strand, p, in_order);
    return m;
}

static void work_is_done_whatever_the_threads(void **state)
{
    static const unsigned threads[] = {1, 2, 7};
    struct maker *makers[3];
    size_t i, k;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct workpool *p = workpool_new(threads[i], &err);

        assert_non_null(p);
        assert_int_equal(workpool_threads(p), threads[i]);
        for (k = 0; k < 3; k++) {
            makers[k] = new_maker(p);
            workpool_push_long(p, &makers[k]->task);
        }
        for (k = 0; k < 3; k++) {
            while (!workpool_watch(p, is_done, makers[k], 1000))
                continue;
            assert_int_equal(atomic_load(&makers[k]->count), ITEMS);
            assert_int_equal(makers[k]->ordered.next, ITEMS);
            assert_false(makers[k]->ordered.wrong);
        }
        workpool_free(&p);
        assert_null(p);
        for (k = 0; k < 3; k++)
            free(makers[k]);
    }
}

static void what_was_pushed_is_run_before_the_end(void **state)
{
    struct workpool *p = workpool_new(2, &err);
    struct maker *m = new_maker(p);

    (void)state;
    workpool_push_long(p, &m->task);
    workpool_free(&p);
    assert_true(m->done);
    free(m);
}

static void a_strand_without_a_pool_runs_at_once(void **state)
{
    struct ordered o = {.next = 5};
    struct item item = {.number = 5};

    (void)state;
    strand_init(&o.strand, NULL, in_order);
    strand_push(&o.strand, &item.item);
    assert_int_equal(o.next, 6);
    assert_false(o.wrong);
    strand_drain(&o.strand);
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

static void watching_ends(void **state)
{
    struct workpool *p = workpool_new(1, &err);

    (void)state;
    assert_false(workpool_watch(p, never, NULL, 1));
    workpool_free(&p);
}

struct look {
    struct task task;
    sigset_t blocked;
    mode_t mask;
};

static void look_around(struct task *t)
{
    struct look *l = (struct look *)t;

    sigprocmask(SIG_BLOCK, NULL, &l->blocked);
    l->mask = umask(022);
}

static void threads_leave_signals_and_umask_alone(void **state)
{
    struct workpool *p = workpool_new(1, &err);
    struct look l = {.task = {NULL, look_around}};
    mode_t old = umask(077);
    sigset_t ours;

    (void)state;
    workpool_push(p, &l.task);
    workpool_free(&p);
    assert_true(sigismember(&l.blocked, SIGTERM));
    assert_true(sigismember(&l.blocked, SIGCHLD));
    sigprocmask(SIG_BLOCK, NULL, &ours);
    assert_false(sigismember(&ours, SIGTERM));
    /* 0 where the thread could leave the process's, and ours is as it was then */
    assert_int_equal(umask(old), l.mask == 0 ? 077 : 022);
}

static void put(int dir, const char *path, const char *text)
{
    char parent[256];
    int fd;

    snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
    fd = pathfd_make_dirs(dir, parent, 0755, &err);
    assert_true(fd >= 0);
    close(fd);
    fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void quotas_of_control_groups(void **state)
{
    char path[] = "/tmp/repx-cpus-XXXXXX";
    int dir;

    (void)state;
    assert_non_null(mkdtemp(path));
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 0);
    put(dir, "a/b/cpu.max", "max 100000\n");
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 0);
    put(dir, "a/b/cpu.max", "150000 100000\n");
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 2);
    put(dir, "a/b/cpu.max", "1000 100000\n");
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 1);
    put(dir, "a/b/cpu.max", "800000 100000\n");
    put(dir, "a/cpu.max", "300000 100000\n"); /* the group above counts too */
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 3);
    put(dir, "a/b/cpu.max", "rubbish\n");
    assert_int_equal(cpus_of_cgroups(dir, "0::/a/b\n"), 3);
    put(dir, "cpu,cpuacct/j/cpu.cfs_quota_us", "400000\n");
    put(dir, "cpu,cpuacct/j/cpu.cfs_period_us", "100000\n");
    assert_int_equal(
        cpus_of_cgroups(dir, "9:memory:/j\n4:cpu,cpuacct:/j\n1:name=systemd:/j\n"), 4);
    put(dir, "cpu,cpuacct/j/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cpus_of_cgroups(dir, "4:cpu,cpuacct:/j\n"), 0);
    put(dir, "unified/u/cpu.max", "200000 100000\n");
    assert_int_equal(cpus_of_cgroups(dir, "0::/u\n"), 2);
    assert_int_equal(cpus_of_cgroups(dir, "0\n0:\n:::\n0::relative\n"), 0);
    assert_true(cpus_usable() >= 1);
    assert_int_equal(pathfd_empty_dir(dir, &err), 0);
    close(dir);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_is_done_whatever_the_threads),
        cmocka_unit_test(what_was_pushed_is_run_before_the_end),
        cmocka_unit_test(a_strand_without_a_pool_runs_at_once),
        cmocka_unit_test(watching_ends),
        cmocka_unit_test(threads_leave_signals_and_umask_alone),
        cmocka_unit_test(quotas_of_control_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
