#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/gpus.h"

/* Four GPUs, which the driver counts in another order than their device files; the
 * files are ordinary ones, and those in `hidden` nobody but root may open. */
struct node {
    char dir[64];
    struct cdi cdi;
};

static int set_up(void **state)
{
    static const int order[] = {1, 0, 3, 2};
    struct node *n = calloc(1, sizeof(*n));
    struct cdi_spec *spec;

    snprintf(n->dir, sizeof(n->dir), "/tmp/repx-gpus-XXXXXX");
    assert_non_null(mkdtemp(n->dir));
    assert_int_equal(chmod(n->dir, 0755), 0);
    n->cdi.n = 1;
    n->cdi.specs = spec = calloc(1, sizeof(*spec));
    spec->kind = strdup("nvidia.com/gpu");
    spec->n_devices = 5;
    spec->devices = calloc(5, sizeof(*spec->devices));
    spec->devices[4].name = strdup("all");
    spec->devices[4].edits.nodes = calloc(4, sizeof(struct cdi_node));
    for (int i = 0; i < 4; i++) {
        struct cdi_device *d = &spec->devices[i];
        char *host = str_printf("%s/%d", n->dir, order[i]);
        int fd = open(host, O_WRONLY | O_CREAT, 0666);

        assert_true(fd >= 0);
        assert_int_equal(fchmod(fd, 0666), 0);
        close(fd);
        d->name = str_printf("%d", i);
        d->edits.nodes = calloc(2, sizeof(struct cdi_node));
        d->edits.n_nodes = 2;
        d->edits.nodes[0] =
            (struct cdi_node){str_printf("/dev/nvidia%d", order[i]), host};
        d->edits.nodes[1] =
            (struct cdi_node){strdup("/dev/nvidia-caps"), strdup("/dev/null")};
        spec->devices[4].edits.nodes[spec->devices[4].edits.n_nodes++] =
            (struct cdi_node){str_printf("/dev/nvidia%d", order[i]), strdup(host)};
    }
    *state = n;
    return 0;
}

static int tear_down(void **state)
{
    struct node *n = *state;

    for (int i = 0; i < 4; i++) {
        char *path = str_printf("%s/%d", n->dir, i);

        unlink(path);
        free(path);
    }
    rmdir(n->dir);
    cdi_release(&n->cdi);
    free(n);
    return 0;
}

static void hide(const struct node *n, const char *files)
{
    for (; *files; files++) {
        char *path = str_printf("%s/%c", n->dir, *files);

        assert_int_equal(chmod(path, 0600), 0);
        free(path);
    }
}

/* What "auto" says with these variables, as "name name"; the error's text when it says
 * that. */
static void assert_auto(const struct node *n, bool joined, const char *step,
                        const char *view, const char *want)
{
    struct strv env = STRV_INIT, names = STRV_INIT;
    struct gpus_context c = {.joined = joined};
    struct error err = ERROR_INIT;
    struct buf have = BUF_INIT;

    strv_add(&env, "A=1");
    if (step)
        strv_addf(&env, "SLURM_STEP_GPUS=%s", step);
    if (view)
        strv_addf(&env, "CUDA_VISIBLE_DEVICES=%s", view);
    c.env = strv_argv(&env);
    if (gpus_auto(&n->cdi, &c, &names, &err) < 0)
        buf_adds(&have, err.text);
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.items[i], *equals = strchr(name, '=');

        buf_addf(&have, "%s%s", i ? " " : "", equals ? equals + 1 : name);
    }
    if (strcmp(buf_str(&have), want) != 0)
        fail_msg("step %s, view %s: '%s' instead of '%s'", step ? step : "-",
                 view ? view : "-", buf_str(&have), want);
    buf_release(&have);
    strv_release(&env);
    strv_release(&names);
}

/* Device file N is the driver's number order[N]. */
static void test_numbers_are_those_of_device_files(void **state)
{
    assert_auto(*state, false, "0,3", NULL, "1 2");
    assert_auto(*state, false, NULL, "2", "3");
    assert_auto(*state, false, NULL, "9", "9"); /* cdi_find says that there is none */
}

static void test_nothing(void **state)
{
    assert_auto(*state, false, NULL, NULL, "");
    assert_auto(*state, false, "", NULL, "");
    assert_auto(*state, false, "0,1", "", "");
    assert_auto(*state, false, "0,1", "NoDevFiles", "");
}

static void test_uuids(void **state)
{
    assert_auto(*state, false, "0,1", "GPU-1-2,MIG-3", "GPU-1-2 MIG-3");
}

/* The task's list means device files, or is counted within the step. */
static void test_unambiguous_views(void **state)
{
    assert_auto(*state, false, "2,3", "3", "2");
    assert_auto(*state, false, "2,3", "1", "2");
    assert_auto(*state, false, "2,3", "0,1", "3 2");
    assert_auto(*state, false, "0,1,2,3", "2", "3");
    assert_auto(*state, false, "2,3", "7",
                "GPU 7 of CUDA_VISIBLE_DEVICES is none of the step's; give --gpus with "
                "the names");
}

static void test_ambiguous_view_without_constraint(void **state)
{
    assert_auto(*state, false, "1,2", "1", "0");
}

/* A device of others cannot be opened: then the numbers are counted within the step.
 * access(2) says the same of an ordinary file's mode and of a device cgroup; root may
 * open everything, so a user asks. */
static void test_ambiguous_view_with_constraint(void **state)
{
    hide(*state, "03");
    if (geteuid() == 0)
        assert_int_equal(setresuid(61001, 61001, 0), 0);
    assert_auto(*state, false, "1,2", "1", "3");
    /* what the step itself may not open says nothing */
    assert_auto(*state, false, "0,2,3", "2", "3");
    if (getuid() == 61001)
        assert_int_equal(setresuid(0, 0, 0), 0);
}

static void test_joined_takes_what_the_step_has(void **state)
{
    assert_auto(*state, true, "2,3", "1", "3 2");
    assert_auto(*state, true, NULL, "1", "0");
}

static void assert_numbers(const struct node *n, char *names, const char *want)
{
    struct strv list = STRV_INIT;
    struct error err = ERROR_INIT;
    struct buf have = BUF_INIT;
    char *word;

    while ((word = strsep(&names, " ")))
        strv_addf(&list, "nvidia.com/gpu=%s", word);
    if (gpus_step_numbers(&n->cdi, &list, &have, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(buf_str(&have), want);
    buf_release(&have);
    strv_release(&list);
}

/* Inside they are counted as the driver does, so device 2 (file 3) comes first. */
static void test_numbers_for_the_tasks_of_a_step(void **state)
{
    assert_numbers(*state, (char[]){"3 2"}, "3,2");
    assert_numbers(*state, (char[]){"0"}, "1");
    assert_numbers(*state, (char[]){"1"}, ""); /* is file 0 */
    assert_numbers(*state, (char[]){"all"}, "");
}

static void test_numbers_with_constraint(void **state)
{
    hide(*state, "0");
    if (geteuid() == 0)
        assert_int_equal(setresuid(61001, 61001, 0), 0);
    assert_numbers(*state, (char[]){"3 2"}, "");
    if (getuid() == 61001)
        assert_int_equal(setresuid(0, 0, 0), 0);
}

static void test_rocm(void **state)
{
    const struct node *n = *state;
    char *env[] = {(char[]){"ROCR_VISIBLE_DEVICES=1"}, NULL};
    const struct gpus_context c = {.env = env};
    struct strv names = STRV_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(gpus_auto(&n->cdi, &c, &names, &err), 0);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.items[0], "nvidia.com/gpu=0");
    strv_release(&names);
}

int main(void)
{
#define AUTO_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        AUTO_TEST(test_numbers_are_those_of_device_files),
        AUTO_TEST(test_nothing),
        AUTO_TEST(test_uuids),
        AUTO_TEST(test_unambiguous_views),
        AUTO_TEST(test_ambiguous_view_without_constraint),
        AUTO_TEST(test_ambiguous_view_with_constraint),
        AUTO_TEST(test_joined_takes_what_the_step_has),
        AUTO_TEST(test_numbers_for_the_tasks_of_a_step),
        AUTO_TEST(test_numbers_with_constraint),
        AUTO_TEST(test_rocm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
