#include "outcome/layout.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/parse.h"

static int parse_step(char *text, struct unit *out)
{
    char *name = strchr(text, ':');
    uint64_t branch;

    if (!name)
        return -1;
    *name++ = '\0';
    if (!parse_u64(text, &branch) || branch > SIZE_MAX / 2 || !is_path_component(name))
        return -1;
    *out = (struct unit){.kind = UNIT_STEP, .branch = (size_t)branch, .step = name};
    return 0;
}

int unit_parse(char *text, struct unit *out, struct error *err)
{
    *out = (struct unit){.kind = UNIT_SIMPLE};
    if (strcmp(text, "simple") == 0)
        return 0;
    if (strcmp(text, "scatter") == 0) {
        out->kind = UNIT_SCATTER;
        return 0;
    }
    if (strcmp(text, "gather") == 0) {
        out->kind = UNIT_GATHER;
        return 0;
    }
    if (strncmp(text, "step:", 5) == 0 && parse_step(text + 5, out) == 0)
        return 0;
    error_usage(err, "--unit %s is not a unit", text);
    return error_hint(err, "give simple, scatter, step:BRANCH:NAME or gather");
}

char *unit_text(const struct unit *u)
{
    switch (u->kind) {
    case UNIT_SCATTER:
        return strdup("scatter");
    case UNIT_STEP:
        return str_printf("step:%zu:%s", u->branch, u->step);
    case UNIT_GATHER:
        return strdup("gather");
    case UNIT_SIMPLE:
        break;
    }
    return strdup("simple");
}

char *layout_job_dir(const char *base, const char *job)
{
    return str_printf("%s/outputs/%s", base, job);
}

/* Where the phases of a scatter-gather job live; gather uses the composite's own out.
 */
static char *layout_dir(const char *base, const char *job, const struct unit *u,
                        const char *leaf)
{
    switch (u->kind) {
    case UNIT_SCATTER:
        return str_printf("%s/outputs/%s/scatter/%s", base, job, leaf);
    case UNIT_STEP:
        return str_printf("%s/outputs/%s/branch-%zu/step-%s/%s", base, job, u->branch,
                          u->step, leaf);
    case UNIT_SIMPLE:
    case UNIT_GATHER:
        break;
    }
    return str_printf("%s/outputs/%s/%s", base, job, leaf);
}

char *layout_out_dir(const char *base, const char *job, const struct unit *u)
{
    return layout_dir(base, job, u, "out");
}

char *layout_repx_dir(const char *base, const char *job, const struct unit *u)
{
    return layout_dir(base, job, u, "repx");
}
