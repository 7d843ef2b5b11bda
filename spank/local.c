/* srun, sbatch, salloc: wrong options fail here, with a sentence, before anything is
 * submitted. srun also puts repx-step-join in front of the command, so that a node
 * where no plugin prepared the step cannot run it outside of the sandbox. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "request/step_env.h"
#include "spank/multiprog.h"
#include "spank/plugin.h"

extern char **environ;

static int refuse(const struct error *err)
{
    plugin_report(err);
    return -1;
}

/* Slurm keeps the last text of an option. Losing a mount without a word would be bad;
 * what the job has and the step replaces is no loss. */
static int check_repetition(size_t row, const char *text, struct error *err)
{
    const struct request_option *o;
    struct options inherited = {0};
    bool lost;
    size_t n;

    o = &request_options(&n)[row];
    if (o->type != REQUEST_LIST || !options_differs(&plugin.options, row, text))
        return 0;
    if (options_from_env(&inherited, OPTIONS_INHERITED, environ, err) < 0) {
        options_release(&inherited);
        return -1;
    }
    lost = !inherited.text[row] ||
           options_differs(&inherited, row, plugin.options.text[row]);
    options_release(&inherited);
    if (!lost)
        return 0;
    error_usage(err, "--repx-%s is given twice", o->name);
    return error_hint(err, "give it once, with commas between the items");
}

int local_take(size_t row, const char *text)
{
    struct error err = ERROR_INIT;

    if (options_check(row, text, &err) < 0)
        return refuse(&err);
    if (check_repetition(row, text, &err) < 0) {
        /* #SBATCH lines may be replaced on the command line. */
        if (spank_context() != S_CTX_ALLOCATOR || err.class != ERROR_USAGE)
            return refuse(&err);
        slurm_info("repx: %s; the last one counts", err.text);
        error_clear(&err);
    }
    return options_take(&plugin.options, row, text, &err) < 0 ? refuse(&err) : 0;
}

static int refuse_components(struct error *err)
{
    error_fail(err,
               "a heterogeneous step cannot have --repx options: Slurm gives those "
               "of one component to all of them");
    return error_hint(err, "start the components as steps of their own, or use "
                           "repx-launch exec in each");
}

/* What contradicts the command line may be an option of the job. */
static int hint_inherited(struct error *err)
{
    struct options inherited = {0};
    struct error ignored = ERROR_INIT;

    if (options_from_env(&inherited, OPTIONS_INHERITED, environ, &ignored) == 0 &&
        inherited.any)
        error_hint(err, "the step inherits the job's options; an empty value, or =no "
                        "for a flag, takes one away");
    options_release(&inherited);
    return -1;
}

static int settle(spank_context_t context, struct error *err)
{
    if (options_from_env(&plugin.options, OPTIONS_OWN, environ, err) < 0)
        return -1;
    if (plugin.site_error.class != ERROR_NONE) {
        *err = plugin.site_error;
        return -1;
    }
    request_release(&plugin.request);
    if (options_request(&plugin.options, &plugin.request, err) < 0)
        return hint_inherited(err);
    if (context == S_CTX_LOCAL && plugin.components > 1 &&
        options_in_force(&plugin.options))
        return refuse_components(err);
    return 0;
}

int local_settle(spank_context_t context)
{
    struct error err = ERROR_INIT;

    plugin.components++;
    if (!plugin.options.any && !options_in_env(OPTIONS_OWN, environ))
        return 0;
    if (settle(context, &err) == 0)
        return 0;
    plugin.refused = true;
    return refuse(&err);
}

/* The whole file equals text? That is how srun hands over a --multi-prog file. */
static bool file_is(const char *path, const char *text)
{
    size_t len = strlen(text);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char chunk[4096];
    ssize_t n;

    if (fd < 0)
        return false;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        if ((size_t)n > len || memcmp(chunk, text, (size_t)n) != 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return n == 0 && len == 0;
}

/* Was srun called with --multi-prog, or an abbreviation that is no other option? The
 * command's own words, argc of them, are the last ones. */
static bool asked_for_multiprog(int argc)
{
    _cleanup_close_ int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    _cleanup_buf_ struct buf words = BUF_INIT;
    char chunk[4096];
    int n_words = 0;
    ssize_t n;

    while (fd >= 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
        buf_add(&words, chunk, (size_t)n);
    for (size_t i = 0; i < words.len; i++)
        n_words += words.data[i] == '\0';
    for (size_t i = 0; n_words > argc; n_words--, i += strlen(words.data + i) + 1) {
        const char *word = words.data + i;

        if (strncmp(word, "--mul", 5) == 0 &&
            strncmp("--multi-prog", word, strlen(word)) == 0)
            return true;
    }
    return false;
}

static int mark_multiprog(char **argv, const char *join, struct error *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT;
    char *copy;

    if (multiprog_prefix(argv[1], join, &text, err) < 0)
        return -1;
    copy = plugin_slurm_copy(buf_str(&text));
    if (!copy || setenv(STEP_MULTIPROG_VARIABLE, join, 1) < 0)
        return error_oom(err);
    argv[1] = copy;
    return 0;
}

static int mark_command(char **argv, const char *join, struct error *err)
{
    char *copy = plugin_slurm_copy(join);

    if (!copy || setenv(STEP_COMMAND_VARIABLE, argv[0], 1) < 0)
        return error_oom(err);
    argv[0] = copy;
    return 0;
}

static int mark(spank_t sp, struct error *err)
{
    char **argv = NULL;
    int argc = 0;

    if (spank_get_item(sp, S_JOB_ARGV, &argc, &argv) != ESPANK_SUCCESS || argc < 1)
        return error_fail(err, "Slurm does not tell the step's command");
    if (argc >= 2 && file_is(argv[0], argv[1]))
        return mark_multiprog(argv, plugin.site.join, err);
    if (asked_for_multiprog(argc))
        return error_fail(err,
                          "the --multi-prog file %s cannot be read again; it must be a "
                          "file that stays",
                          argv[0]);
    return mark_command(argv, plugin.site.join, err);
}

/* A variable from outside must not pass for our mark. Empty rather than unset: srun has
 * copied the environment already, and only adds to that. */
static int clear_marks(struct error *err)
{
    if (setenv(STEP_COMMAND_VARIABLE, "", 1) < 0 ||
        setenv(STEP_MULTIPROG_VARIABLE, "", 1) < 0 ||
        setenv(STEP_STAGED_VARIABLE, "", 1) < 0)
        return error_oom(err);
    return 0;
}

int local_mark(spank_t sp)
{
    struct error err = ERROR_INIT;

    if (!plugin.refused && !options_sandbox(&plugin.request))
        return 0;
    if (clear_marks(&err) < 0)
        return refuse(&err);
    /* Where srun goes on, the node refuses what is not marked. */
    if (plugin.refused)
        return -1;
    if (plugin_step_is_script(plugin_number(sp, S_JOB_STEPID, 0)) &&
        !plugin.request.batch_script)
        return 0;
    if (mark(sp, &err) == 0 && local_broadcast(sp, &err) == 0)
        return 0;
    return refuse(&err);
}
