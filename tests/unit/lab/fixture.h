/* fixture: small labs for the tests of lab/, on disk in a temporary directory or only
 * in memory. */
#ifndef REPX_TESTS_UNIT_LAB_FIXTURE_H
#define REPX_TESTS_UNIT_LAB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "lab/lab.h"
#include "lab/metadata.h"

#define UNUSED __attribute__((unused))

/* One executable and one job, as they stand in run metadata. */
#define EXE(job, name, inputs, outputs)                                                \
    "\"" name "\":{\"path\":\"jobs/" job "/bin/" name "\",\"inputs\":[" inputs         \
    "],\"outputs\":{" outputs "}}"
#define SIMPLE(job, inputs, outputs)                                                   \
    "\"" job "\":{\"name\":\"" job "\",\"stage_type\":\"simple\",\"params\":{},"       \
    "\"executables\":{" EXE(job, "main", inputs, outputs) "}}"
#define FROM(job, output, input)                                                       \
    "{\"type\":\"intra-pipeline\",\"job_id\":\"" job "\",\"source_output\":\"" output  \
    "\",\"target_input\":\"" input "\"}"
#define RUN(name, deps, jobs)                                                          \
    "{\"type\":\"run\",\"name\":\"" name "\",\"dependencies\":{" deps                  \
    "},\"jobs\":{" jobs "}}"
#define DATA "\"data\":\"$out/numbers.txt\""

#define assert_error(err, part)                                                        \
    do {                                                                               \
        if (!strstr((err)->text, (part)))                                              \
            fail_msg("'%s' is not in the error: %s", (part), (err)->text);             \
    } while (0)

/* A lab in memory, made from run metadata texts, NULL at the end; file names are
 * metadata-<index>.json, "revision/..." in dependencies. */
static UNUSED int memory_lab(struct lab *lab, const char *const *texts,
                             struct error *err)
{
    struct lab_metadata_run runs[8] = {{0}};
    int r = 0;

    *lab = (struct lab)LAB_INIT;
    lab->runs = calloc(8, sizeof(*lab->runs));
    assert_non_null(lab->runs);
    for (size_t i = 0; texts[i] && r == 0; i++) {
        lab->n_runs++;
        lab->runs[i].metadata = str_printf("revision/metadata-%zu.json", i);
        r = lab_metadata_parse_run(texts[i], strlen(texts[i]), &runs[i], err);
        lab->runs[i].name = runs[i].name;
        runs[i].name = NULL;
        if (r == 0)
            strv_addf(&lab->revisions, "metadata-%s.json", lab->runs[i].name);
    }
    if (r == 0)
        r = lab_link(lab, runs, err);
    strv_sort(&lab->revisions);
    for (size_t i = 0; i < 8; i++)
        lab_metadata_run_release(&runs[i]);
    if (r < 0)
        lab_release(lab);
    return r;
}

static UNUSED void memory_lab_ok(struct lab *lab, const char *const *texts)
{
    struct error err = ERROR_INIT;

    if (memory_lab(lab, texts, &err) < 0)
        fail_msg("%s", err.text);
}

static UNUSED size_t job_index(const struct lab *lab, const char *id)
{
    const struct lab_job *job = lab_job_by_id(lab, id);

    assert_non_null(job);
    return (size_t)(job - lab->jobs);
}

/* Files below a temporary directory. */
static UNUSED char *make_temp(void)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = str_printf("%s/repx-lab-XXXXXX", tmp ? tmp : "/tmp"), *canonical;

    assert_non_null(mkdtemp(dir));
    canonical = realpath(dir, NULL);
    assert_non_null(canonical);
    free(dir);
    return canonical;
}

static UNUSED int remove_entry(const char *path, const struct stat *st, int type,
                               struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static UNUSED void remove_tree(const char *dir)
{
    assert_int_equal(nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static UNUSED void make_parents(const char *dir, const char *rel)
{
    for (const char *p = strchr(rel, '/'); p; p = strchr(p + 1, '/')) {
        char *path = str_printf("%s/%.*s", dir, (int)(p - rel), rel);

        if (mkdir(path, 0755) < 0)
            assert_int_equal(errno, EEXIST);
        free(path);
    }
}

static UNUSED void put(const char *dir, const char *rel, const char *text)
{
    char *path = str_printf("%s/%s", dir, rel);
    FILE *f;

    make_parents(dir, rel);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    free(path);
}

static UNUSED void put_link(const char *dir, const char *rel, const char *target)
{
    char *path = str_printf("%s/%s", dir, rel);

    make_parents(dir, rel);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

static UNUSED void drop(const char *dir, const char *rel)
{
    char *path = str_printf("%s/%s", dir, rel);

    remove_tree(path);
    free(path);
}

#endif
