#include "cmd/jobarg.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/strv.h"

/* The positional argument in front of "--". */
static int job_name(const struct request *req, const char **name, struct error *err)
{
    size_t n = req->has_command ? req->command_at : req->args.count;

    if (n == 0) {
        error_usage(err, "JOB is missing");
        return error_hint(err, "repx-launch list shows the lab's jobs");
    }
    if (n > 1) {
        error_usage(err, "one job at a time: %s is too much", req->args.items[1]);
        return error_hint(err, "a command of debug-run comes behind --");
    }
    *name = req->args.items[0];
    return 0;
}

int job_argument_init(struct job_argument *a, const struct request *req,
                      char *const *env, struct error *err)
{
    _cleanup_strv_ struct strv names = STRV_INIT;
    const char *name = NULL;

    if (job_name(req, &name, err) < 0)
        return -1;
    a->have_session = true;
    strv_add(&names, name);
    if (session_init(&a->session, req, env, err) < 0 || strv_check(&names, err) < 0 ||
        opened_lab_init_for(&a->lab, &a->session, &names, err) < 0)
        return -1;
    a->job = lab_find_job(&a->lab.lab, name, err);
    if (!a->job && lab_find_run(&a->lab.lab, name))
        return error_hint(err, "%s is a run: name one of its jobs", name);
    if (!a->job)
        return -1;
    a->unit =
        (struct unit){.kind = a->job->scatter_gather ? UNIT_SCATTER : UNIT_SIMPLE};
    if (!req->unit)
        return 0;
    a->unit_text = strdup(req->unit);
    if (!a->unit_text)
        return error_oom(err);
    return unit_parse(a->unit_text, &a->unit, err);
}

void job_argument_release(struct job_argument *a)
{
    opened_lab_release(&a->lab);
    if (a->have_session)
        session_release(&a->session);
    free(a->unit_text);
}
