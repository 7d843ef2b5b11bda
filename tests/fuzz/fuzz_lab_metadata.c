/* One text as run metadata, as root metadata and as manifest: each is accepted or
 * refused with a sentence, and what was accepted can be ordered, resolved and written
 * back. */
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "lab/inputs.h"
#include "lab/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const struct error *err)
{
    if ((r < 0) != (err->text[0] != '\0'))
        abort();
}

static void use_job(const struct lab *lab, const struct lab_job *job)
{
    struct inputs in = INPUTS_INIT, more = INPUTS_INIT;
    struct error err = ERROR_INIT;
    size_t *order = NULL, n = 0;

    if (inputs_resolve(lab, job, "/base", &in, &err) == 0)
        free(inputs_json(&in, &err));
    for (size_t i = 0; i < job->n_executables; i++)
        if (inputs_resolve_step(lab, job, &job->executables[i], 1, "/base", &in, &more,
                                &err) == 0)
            inputs_release(&more);
    if (job->scatter_gather) {
        inputs_step_order(job, &order, &n, &err);
        free(inputs_worker_outs(lab, job, "/base", 2, &err));
    }
    free(order);
    inputs_release(&in);
}

static void use_run(struct lab_metadata_run *m)
{
    struct lab_run run = {.metadata = (char[]){"revision/metadata-x.json"}};
    struct lab lab = {.fd = -1, .runs = &run, .n_runs = 1};
    struct error err = ERROR_INIT;
    size_t *order = NULL, n = 0;

    run.name = m->name;
    if (lab_link(&lab, m, &err) == 0) {
        for (size_t i = 0; i < lab.n_jobs; i++)
            use_job(&lab, &lab.jobs[i]);
        lab_order(&lab, run.jobs, run.n_jobs, &order, &n, &err);
    }
    free(order);
    for (size_t i = 0; i < lab.n_jobs; i++)
        lab_job_release(&lab.jobs[i]);
    free(lab.jobs);
    free(run.jobs);
    strv_release(&run.hard_deps);
    strv_release(&run.soft_deps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lab_metadata_run run = {0};
    struct lab_metadata_top top = {0};
    struct lab_manifest manifest = {0};
    struct error err = ERROR_INIT;
    int r = lab_metadata_parse_run((const char *)data, size, &run, &err);

    check(r, &err);
    if (r == 0)
        use_run(&run);
    lab_metadata_run_release(&run);
    error_clear(&err);
    check(lab_metadata_parse_top((const char *)data, size, &top, &err), &err);
    lab_metadata_top_release(&top);
    error_clear(&err);
    check(lab_metadata_parse_manifest((const char *)data, size, &manifest, &err), &err);
    lab_manifest_release(&manifest);
    return 0;
}
