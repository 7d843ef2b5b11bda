/* A step in the sandbox of a lab's job (srun --repx-lab=L --repx-job=J): as debug-run
 * has it, the job's own files and nothing of its outcome: logs, markers and launch.json
 * are written by `repx-launch run --srun`, which sees how all tasks ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/step_internal.h"
#include "outcome/markers.h"
#include "runtime/job_protocol.h"
#include "sys/lockfile.h"

static int find_job(struct step *st, const struct lab_job **job, struct unit *unit,
                    struct error *err)
{
    const struct lab *lab = &st->lab.lab;
    const char *name = st->request.step_job;

    *job = lab_find_job(lab, name, err);
    if (!*job && lab_find_run(lab, name))
        return error_hint(err, "%s is a run: name one of its jobs", name);
    if (!*job)
        return -1;
    *unit = (struct unit){.kind = (*job)->scatter_gather ? UNIT_SCATTER : UNIT_SIMPLE};
    if (!st->request.unit)
        return 0;
    st->unit_text = strdup(st->request.unit);
    return st->unit_text ? unit_parse(st->unit_text, unit, err) : error_oom(err);
}

int step_open_job(struct step *st, struct error *err)
{
    const struct lab_job *job;
    struct unit unit;

    if (!st->request.step_job)
        return 0;
    if (opened_lab_init(&st->lab, &st->session, err) < 0 ||
        find_job(st, &job, &unit, err) < 0)
        return -1;
    st->has_job = true;
    if (job_unit_init(&st->job, &st->session, &st->lab.lab, job, &unit, err) < 0)
        return -1;
    return job_unit_check_inputs(&st->job, err);
}

/* For all nodes by the first one; the lock lives with the step. What an earlier run has
 * left says nothing about an out that is being written again. */
static int claim(struct step *st, int repx_fd, struct error *err)
{
    const struct handoff_request *r = &st->handoff.request;
    _cleanup_free_ char *note =
        str_printf("Slurm step %u.%u on %s", r->job_id, r->step_id, r->node);

    if (!note)
        return error_oom(err);
    if (job_unit_claim(&st->job, repx_fd, note, &st->claim, err) < 0)
        return -1;
    if (markers_clear(repx_fd, err) < 0)
        return error_context(err, "%s", st->job.repx);
    if (unlinkat(repx_fd, "launch.json", 0) < 0 && errno != ENOENT)
        return error_sys(err, errno, "cannot remove the old %s/launch.json",
                         st->job.repx);
    return 0;
}

int step_prepare_job(struct step *st, struct error *err)
{
    _cleanup_close_ int repx = -1;

    if (!st->has_job)
        return 0;
    repx = job_unit_make_dirs(&st->job, err);
    if (repx < 0)
        return -1;
    if (st->handoff.request.node_id == 0 &&
        !strv_env_get(st->env, JOB_CLAIMED_VARIABLE) && claim(st, repx, err) < 0)
        return -1;
    /* The same bytes on every node, each put in place at once. */
    return job_unit_write(&st->job, err);
}

int step_add_job_binds(struct step *st, struct error *err)
{
    static const char inside[] = JOB_PROGRAM_DIR "/" JOB_PROGRAM;

    if (!st->has_job)
        return 0;
    if (!st->session.tools.job) {
        error_fail(err, "the program " JOB_PROGRAM " is missing on this node");
        return error_hint(err, "install repx-launch completely");
    }
    if (job_unit_binds(&st->job, &st->binds, err) < 0)
        return -1;
    return bindlist_add(&st->binds, PLAN_MOUNT_BIND_RO, PLAN_ROLE_LAB,
                        st->session.tools.job, inside, true, err);
}

char *step_path_prefix(const struct step *st, struct error *err)
{
    _cleanup_free_ char *dir = NULL;
    char *prefix;

    if (!st->has_job)
        return NULL;
    dir = strdup(JOB_PROGRAM_DIR "/" JOB_PROGRAM);
    if (!st->launch.backend->isolated && st->session.tools.job) {
        free(dir);
        dir = strdup(st->session.tools.job);
    }
    if (dir)
        *strrchr(dir, '/') = '\0';
    prefix = dir ? str_printf("%s:%s", st->job.host_tools, dir) : NULL;
    if (!prefix)
        error_oom(err);
    return prefix;
}

void step_add_job_env(const struct step *st, struct strv *env)
{
    static const char *const names[JOB_WORDS] = JOB_WORD_VARIABLES;

    for (size_t i = 0; st->has_job && i < JOB_WORDS; i++)
        strv_env_set(env, names[i], st->job.argv.items[i]);
}

void step_release_job(struct step *st)
{
    lockfile_release(&st->claim);
    if (st->has_job)
        job_unit_release(&st->job);
    opened_lab_release(&st->lab);
    free(st->unit_text);
}
