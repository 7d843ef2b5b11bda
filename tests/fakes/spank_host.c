/* spank-host: a fake Slurm that loads the real repx.so and calls it as srun, sbatch and
 * slurmstepd 22.05 do, so that what is hard to have from a real one can be tested.
 *
 *   spank-host ROLE --plugin FILE [OPTION...] -- CMD ARG...
 *
 *   srun      local callbacks; when they succeed, stepd with what they made of command
 *             and environment
 *   sbatch    callbacks of the allocator
 *   stepd     remote callbacks, then the tasks execute CMD
 *   slurmd    init and exit there
 *
 *   --arg TEXT       an argument of plugstack.conf
 *   --opt NAME[=V]   as typed by the user
 *   --tasks N        of the step on this node (1)
 *   --step HEX       the step's number (0)
 *   --uid N          who the tasks are (this user)
 *   --components N   of a heterogeneous step (1)
 *   --missing ITEM   spank_get_item fails for argv, env, uid or stepid
 *   --no-setenv      spank_setenv fails in tasks
 *   --optional       an optional plugin: failures are ignored
 *   --contain        task_post_fork as with contain_spank: memory is shared,
 *                    descriptors are not
 *   --hide DIR       tasks see an empty directory there, as with job_container/tmpfs
 *   --signal N       sends N to all tasks once the plugin has prepared them
 *
 * What it finds out goes to stderr as "host: ...". Exit code: the highest of the tasks;
 * 1 when the plugin refuses locally; 99 when it does what no plugin may. Built with
 * HOST_PREPENDS it has spank_prepend_task_argv, as Slurm since 23.11.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <slurm/spank.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX = 64, MISBEHAVED = 99 };

extern char **environ;

/* What Slurm's header declares for plugins only. */
struct spank_handle {
    spank_context_t context;
};

static struct {
    char **raw;
    const char *role, *plugin;
    char *args[MAX], *opts[MAX];
    int n_args, n_opts;
    int tasks, components, signal;
    uint32_t step;
    uid_t uid;
    const char *missing, *hide;
    bool no_setenv, optional, contain;
    char **argv;
    int argc;
} host = {.tasks = 1, .components = 1};

static struct spank_handle handle;
static struct spank_option *registered[MAX];
static int n_registered, task_id = -1;
static char **task_argv; /* what a task executes; the same vector as host.argv */

static _Noreturn void die(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "host: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(MISBEHAVED);
}

/* --- what a plugin may call --- */

spank_context_t spank_context(void)
{
    return handle.context;
}

const char *spank_strerror(spank_err_t err)
{
    return err == ESPANK_SUCCESS ? "Success" : "Failure";
}

spank_err_t spank_option_register(spank_t sp, struct spank_option *opt)
{
    if (sp != &handle || n_registered == MAX)
        return ESPANK_BAD_ARG;
    if (strlen(opt->name) > SPANK_OPTION_MAXLEN || !opt->cb)
        die("the option %s is none", opt->name);
    registered[n_registered++] = opt;
    return ESPANK_SUCCESS;
}

static bool is_missing(const char *item)
{
    return host.missing && strcmp(host.missing, item) == 0;
}

spank_err_t spank_get_item(spank_t sp, spank_item_t item, ...)
{
    spank_err_t rc = ESPANK_SUCCESS;
    va_list ap;

    va_start(ap, item);
    if (item == S_JOB_ARGV && !is_missing("argv")) {
        *va_arg(ap, int *) = host.argc;
        *va_arg(ap, char ***) = host.argv;
    } else if (item == S_JOB_ENV && !is_missing("env")) {
        *va_arg(ap, char ***) = environ;
    } else if (item == S_JOB_UID && !is_missing("uid")) {
        *va_arg(ap, uid_t *) = host.uid;
    } else if (item == S_JOB_GID) {
        *va_arg(ap, gid_t *) = host.uid;
    } else if (item == S_JOB_STEPID && !is_missing("stepid")) {
        *va_arg(ap, uint32_t *) = host.step;
    } else if (item == S_JOB_LOCAL_TASK_COUNT || item == S_JOB_TOTAL_TASK_COUNT) {
        *va_arg(ap, uint32_t *) = (uint32_t)host.tasks;
    } else if (item == S_JOB_ID || item == S_JOB_NNODES) {
        *va_arg(ap, uint32_t *) = 1;
    } else if (item == S_TASK_ID && task_id >= 0) {
        *va_arg(ap, int *) = task_id;
    } else {
        rc = ESPANK_BAD_ARG;
    }
    va_end(ap);
    return sp == &handle ? rc : ESPANK_BAD_ARG;
}

spank_err_t spank_setenv(spank_t sp, const char *name, const char *value, int overwrite)
{
    if (sp != &handle || handle.context != S_CTX_REMOTE ||
        (host.no_setenv && task_id >= 0))
        return ESPANK_NOT_REMOTE;
    return setenv(name, value, overwrite) == 0 ? ESPANK_SUCCESS : ESPANK_NOSPACE;
}

spank_err_t spank_unsetenv(spank_t sp, const char *name)
{
    if (sp != &handle || handle.context != S_CTX_REMOTE)
        return ESPANK_NOT_REMOTE;
    return unsetenv(name) == 0 ? ESPANK_SUCCESS : ESPANK_ENV_NOEXIST;
}

#ifdef HOST_PREPENDS
spank_err_t spank_prepend_task_argv(spank_t sp, int argc, const char *argv[]);

spank_err_t spank_prepend_task_argv(spank_t sp, int argc, const char *argv[])
{
    char **longer = calloc((size_t)(argc + host.argc) + 1, sizeof(*longer));

    if (!longer || sp != &handle || task_id < 0)
        return ESPANK_BAD_ARG;
    for (int i = 0; i < argc; i++)
        longer[i] = strdup(argv[i]);
    memcpy(longer + argc, host.argv, (size_t)host.argc * sizeof(*longer));
    task_argv = longer;
    return ESPANK_SUCCESS;
}
#endif

static void say(const char *kind, const char *fmt, va_list ap)
{
    fprintf(stderr, "%s: %s", host.role, kind);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
}

void slurm_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("error: ", fmt, ap);
    va_end(ap);
}

void slurm_info(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("", fmt, ap);
    va_end(ap);
}

/* --- the stack --- */

static void *library;

static int call(const char *name)
{
    spank_f *f = NULL;
    void *symbol = dlsym(library, name);

    if (!symbol)
        return 0;
    memcpy(&f, &symbol, sizeof(f));
    return f(&handle, host.n_args, host.args);
}

/* In slurmstepd, up to task_init, anything but 0 drains a node or is ignored. */
static void call_remote(const char *name)
{
    int rc = call(name);

    if (rc != 0)
        die("%s returned %d in slurmstepd", name, rc);
}

static void load(spank_context_t context)
{
    handle.context = context;
    library = dlopen(host.plugin, RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        die("%s", dlerror());
}

static struct spank_option *find(const char *name, size_t len)
{
    for (int i = 0; i < n_registered; i++)
        if (strlen(registered[i]->name) == len &&
            strncmp(registered[i]->name, name, len) == 0)
            return registered[i];
    return NULL;
}

/* "_SLURM_SPANK_OPTION_repx_repx_image" */
static void variable_of(const struct spank_option *o, const char *prefix, char *out)
{
    snprintf(out, 256, "%srepx_%s", prefix, o->name);
    for (; *out; out++)
        if (*out == '-')
            *out = '_';
}

static void give_local(const struct spank_option *o, const char *value)
{
    char name[256];

    if (o->cb(o->val, value, 0) != 0) {
        fprintf(stderr, "%s: error: Invalid --%s argument: %s\n", host.role, o->name,
                value ? value : "(null)");
        exit(255);
    }
    variable_of(o, "_SLURM_SPANK_OPTION_", name);
    setenv(name, value ? value : "", 1);
}

/* What the job has, then what was typed. */
static void local_options(void)
{
    for (int i = 0; i < n_registered; i++) {
        char name[256];
        const char *value;

        variable_of(registered[i], "SLURM_SPANK__SLURM_SPANK_OPTION_", name);
        value = getenv(name);
        if (value)
            give_local(registered[i], value);
    }
    for (int i = 0; i < host.n_opts; i++) {
        const char *eq = strchr(host.opts[i], '=');
        size_t len = eq ? (size_t)(eq - host.opts[i]) : strlen(host.opts[i]);
        const struct spank_option *o = find(host.opts[i], len);

        if (!o || (o->has_arg == 1 && !eq)) {
            fprintf(stderr, "%s: unrecognized option '--%s'\n", host.role,
                    host.opts[i]);
            exit(255);
        }
        give_local(o, eq ? eq + 1 : NULL);
    }
}

/* Twice, as 22.05 does: once from the launch message, once from the environment, from
 * which the variable is taken. */
static void remote_options(void)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < n_registered; i++) {
            char name[256];
            const char *value;

            variable_of(registered[i], "_SLURM_SPANK_OPTION_", name);
            value = getenv(name);
            if (!value)
                continue;
            if (round == 0 && !*value && registered[i]->has_arg != 1)
                value = NULL;
            if (registered[i]->cb(registered[i]->val, value, 1) != 0)
                die("the callback of %s fails in slurmstepd", registered[i]->name);
            if (round == 1)
                unsetenv(name);
        }
}

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* --- the roles --- */

static int play_local(void)
{
    bool srun = strcmp(host.role, "srun") == 0;

    load(srun ? S_CTX_LOCAL : S_CTX_ALLOCATOR);
    if (call("slurm_spank_init") < 0)
        return 1;
    for (int i = 0; i < host.components; i++) {
        local_options();
        if (call("slurm_spank_init_post_opt") < 0 && !host.optional)
            return 1;
    }
    if (srun && call("slurm_spank_local_user_init") < 0 && !host.optional)
        return 1;
    return 0;
}

/* The same command line with another role and command. */
static _Noreturn void become_stepd(void)
{
    char *argv[4 * MAX];
    int n = 0;

    for (; strcmp(host.raw[n], "--") != 0; n++)
        argv[n] = host.raw[n];
    argv[1] = strdup("stepd");
    argv[n++] = strdup("--");
    for (int i = 0; i < host.argc; i++)
        argv[n++] = host.argv[i];
    argv[n] = NULL;
    execv("/proc/self/exe", argv);
    die("cannot execute myself: %s", strerror(errno));
}

static _Noreturn void run_task(int go)
{
    char c;
    int rc;

    while (read(go, &c, 1) < 0 && errno == EINTR)
        ;
    close(go);
    if (host.hide && (unshare(CLONE_NEWNS) < 0 ||
                      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                      mount("tmpfs", host.hide, "tmpfs", 0, NULL) < 0))
        die("cannot hide %s: %s", host.hide, strerror(errno));
    if (host.uid != getuid() &&
        (setgroups(0, NULL) < 0 || setgid(host.uid) < 0 || setuid(host.uid) < 0))
        die("cannot become %u: %s", host.uid, strerror(errno));
    rc = call("slurm_spank_task_init");
    if (rc < 0 && !host.optional)
        _exit(1);
    execvp(task_argv[0], task_argv);
    slurm_error("execve(): %s: %s", task_argv[0], strerror(errno));
    _exit(errno);
}

static int post_fork(void *unused)
{
    (void)unused;
    return call("slurm_spank_task_post_fork");
}

static void call_post_fork(void)
{
    static char stack[256 * 1024] __attribute__((aligned(16)));
    int status = 0;
    pid_t pid;

    if (!host.contain) {
        call_remote("slurm_spank_task_post_fork");
        return;
    }
    pid = clone(post_fork, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        die("task_post_fork in a child: %d", status);
}

static int wait_for_tasks(const pid_t *pids)
{
    int highest = 0;

    for (int i = 0; i < host.tasks; i++) {
        int status, code;

        if (waitpid(pids[i], &status, 0) < 0)
            die("waitpid: %s", strerror(errno));
        code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        highest = code > highest ? code : highest;
    }
    return highest;
}

static int play_tasks(void)
{
    pid_t pids[MAX];
    int go[2], code;

    if (pipe(go) < 0)
        die("pipe: %s", strerror(errno));
    for (int i = 0; i < host.tasks; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            task_id = i;
            close(go[1]);
            run_task(go[0]);
        }
    }
    close(go[0]);
    for (int i = 0; i < host.tasks; i++)
        call_post_fork();
    fprintf(stderr, "host: %d descriptors stay\n", open_descriptors() - 1);
    close(go[1]);
    if (host.signal > 0)
        for (int i = 0; i < host.tasks; i++)
            kill(pids[i], host.signal);
    code = wait_for_tasks(pids);
    call_remote("slurm_spank_exit");
    return code;
}

static int play_stepd(void)
{
    int before;

    load(S_CTX_REMOTE);
    before = open_descriptors();
    call_remote("slurm_spank_init");
    remote_options();
    call_remote("slurm_spank_init_post_opt");
    fprintf(stderr, "host: %d descriptors more\n", open_descriptors() - before);
    task_argv = host.argv;
    return play_tasks();
}

static int play_slurmd(void)
{
    load(S_CTX_SLURMD);
    call_remote("slurm_spank_init");
    if (n_registered > 0)
        die("options are of no use in slurmd");
    call_remote("slurm_spank_slurmd_exit");
    return 0;
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"plugin", 1, NULL, 'p'},     {"arg", 1, NULL, 'a'},
        {"opt", 1, NULL, 'o'},        {"tasks", 1, NULL, 'n'},
        {"step", 1, NULL, 's'},       {"uid", 1, NULL, 'u'},
        {"components", 1, NULL, 'c'}, {"missing", 1, NULL, 'm'},
        {"signal", 1, NULL, 'k'},     {"hide", 1, NULL, 'h'},
        {"no-setenv", 0, NULL, 'e'},  {"optional", 0, NULL, 'O'},
        {"contain", 0, NULL, 'C'},    {NULL, 0, NULL, 0},
    };
    int c;

    if (argc < 2)
        die("which role?");
    host.raw = argv;
    host.role = argv[1];
    host.uid = getuid();
    while ((c = getopt_long(argc - 1, argv + 1, "+", known, NULL)) != -1) {
        if (c == 'p')
            host.plugin = optarg;
        else if (c == 'a' && host.n_args < MAX)
            host.args[host.n_args++] = optarg;
        else if (c == 'o' && host.n_opts < MAX)
            host.opts[host.n_opts++] = optarg;
        else if (c == 'n')
            host.tasks = (int)strtol(optarg, NULL, 10);
        else if (c == 's')
            host.step = (uint32_t)strtoul(optarg, NULL, 16);
        else if (c == 'u')
            host.uid = (uid_t)strtoul(optarg, NULL, 10);
        else if (c == 'c')
            host.components = (int)strtol(optarg, NULL, 10);
        else if (c == 'm')
            host.missing = optarg;
        else if (c == 'k')
            host.signal = (int)strtol(optarg, NULL, 10);
        else if (c == 'h')
            host.hide = optarg;
        else if (c == 'e')
            host.no_setenv = true;
        else if (c == 'O')
            host.optional = true;
        else if (c == 'C')
            host.contain = true;
        else
            die("see the head of its source");
    }
    host.argv = argv + 1 + optind;
    host.argc = argc - 1 - optind;
    if (!host.plugin || host.tasks < 1 || host.tasks > MAX)
        die("see the head of its source");
}

int main(int argc, char **argv)
{
    int rc;

    parse(argc, argv);
    close_range(3, ~0U, 0); /* of whoever started the test */
    if (strcmp(host.role, "stepd") == 0)
        return play_stepd();
    if (strcmp(host.role, "slurmd") == 0)
        return play_slurmd();
    rc = play_local();
    if (rc == 0 && strcmp(host.role, "srun") == 0)
        become_stepd();
    call("slurm_spank_exit");
    return rc;
}
