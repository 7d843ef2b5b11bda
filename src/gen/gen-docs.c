/* gen-docs man|bash|markdown: the man page, the bash completion and the option
 * reference, made from the tables that the program itself runs on. Their copies in the
 * tree are committed; tests/cli/docs.bats fails when they differ. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "cmd/command.h"
#include "request/request.h"

static bool takes(const struct command *c, const struct request_option *o)
{
    return ((c->options | FOR_ALL) & o->commands) != 0;
}

/* Options that only the plugin has are no options of a command. */
static bool is_for_steps(const struct request_option *o)
{
    return o->commands == FOR_STEP;
}

static bool has_variable(const struct request_option *o)
{
    _cleanup_buf_ struct buf name = BUF_INIT;

    return request_variable(o, &name);
}

static void put_variable(const struct request_option *o)
{
    _cleanup_buf_ struct buf name = BUF_INIT;

    request_variable(o, &name);
    printf("%s", buf_str(&name));
}

/* The commands that take the option: "all", or their names. */
static void put_commands(const struct request_option *o)
{
    const struct command *const *all;
    bool first = true;
    size_t n;

    if (o->commands & FOR_ALL) {
        printf("all");
        return;
    }
    all = commands(&n);
    for (size_t i = 0; i < n; i++)
        if (takes(all[i], o)) {
            printf("%s%s", first ? "" : ", ", all[i]->name);
            first = false;
        }
}

/* --- man --- */

/* Text of at most len bytes as roff; '-' stays one that can be pasted. */
static void put_roff_n(const char *s, size_t len)
{
    for (size_t i = 0; i < len && s[i]; i++) {
        if (s[i] == '-')
            printf("\\-");
        else if (s[i] == '\\')
            printf("\\e");
        else if (s[i] == '\'')
            printf("\\(aq");
        else if (s[i] == '`')
            printf("\\(ga");
        else
            putchar(s[i]);
    }
}

static void put_roff(const char *s)
{
    put_roff_n(s, strlen(s));
}

/* The text of --help: paragraphs, and indented lines that are shown as they are. */
static void put_roff_details(const char *s)
{
    while (*s) {
        size_t n = strcspn(s, "\n");

        if (n == 0) {
            printf(".PP\n");
        } else if (s[0] == ' ') {
            printf(".PP\n.RS 4\n.nf\n");
            put_roff_n(s + 2, n - 2);
            printf("\n.fi\n.RE\n");
        } else {
            if (s[0] == '.' || s[0] == '\'')
                printf("\\&");
            put_roff_n(s, n);
            putchar('\n');
        }
        s += n + (s[n] == '\n');
    }
}

static void man_commands(void)
{
    const struct command *const *all;
    size_t n;

    all = commands(&n);
    printf(".SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        printf(".SS \"");
        put_roff(all[i]->name);
        printf("\"\n.B repx\\-launch ");
        put_roff(all[i]->name);
        printf("\n");
        put_roff(all[i]->synopsis);
        printf("\n.PP\n");
        put_roff(all[i]->summary);
        printf(".\n");
        if (all[i]->details) {
            printf(".PP\n");
            put_roff_details(all[i]->details);
        }
    }
}

static void man_options(void)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    printf(
        ".SH OPTIONS\n"
        "Options stand before or after other arguments; \\(dq\\-\\-\\(dq ends them.\n"
        "Each has a variable, which the command line overrides: see ENVIRONMENT.\n");
    for (size_t i = 0; i < n; i++) {
        if (is_for_steps(&o[i]))
            continue;
        printf(".TP\n");
        if (o[i].letter)
            printf("\\fB\\-%c\\fR, ", o[i].letter);
        printf("\\fB\\-\\-");
        put_roff(o[i].name);
        printf("\\fR");
        if (o[i].arg) {
            printf(" \\fI");
            put_roff(o[i].arg);
            printf("\\fR");
        }
        printf("\n");
        put_roff(o[i].help);
        printf(".\nCommands: ");
        put_commands(&o[i]);
        printf(".\n");
    }
}

static void man_environment(void)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    printf(".SH ENVIRONMENT\n"
           "An empty variable counts as not given. Flags take true or false. Lists\n"
           "are split at newlines or, when there are none, at commas.\n");
    for (size_t i = 0; i < n; i++) {
        if (!has_variable(&o[i]))
            continue;
        printf(".TP\n.B ");
        put_variable(&o[i]);
        printf("\nThe same as \\fB\\-\\-");
        put_roff(o[i].name);
        printf("\\fR.\n");
    }
}

static const char man_head[] =
    ".\\\" Made by gen-docs; change src/request/options.def or src/cmd/ instead.\n"
    ".TH REPX\\-LAUNCH 1 \"\" \"repx\\-launch\" \"User Commands\"\n"
    ".SH NAME\n"
    "repx\\-launch \\- run RepX labs and container images on this machine\n"
    ".SH SYNOPSIS\n"
    ".B repx\\-launch\n"
    ".I COMMAND\n"
    "[\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
    ".SH DESCRIPTION\n"
    "Runs the jobs of a RepX lab, or any command in a container image, inside a\n"
    "sandbox that shows the job what it declares and nothing else. It is made to be\n"
    "called from\n"
    ".BR sbatch (1)\n"
    "scripts, and works the same without Slurm.\n";

static const char man_tail[] =
    ".SH FILES\n"
    ".TP\n"
    ".I /etc/repx/repx.ini\n"
    "The site's configuration; it must belong to root.\n"
    ".TP\n"
    ".IR $XDG_CONFIG_HOME/repx/config.toml \", \" $XDG_CONFIG_HOME/repx/repx.ini\n"
    "The user's configuration.\n"
    ".TP\n"
    ".I BASE/outputs/JOB/out\n"
    "What a job leaves behind.\n"
    ".TP\n"
    ".I BASE/outputs/JOB/repx\n"
    "Its logs, its SUCCESS or FAIL marker, inputs.json, parameters.json, launch.json.\n"
    ".TP\n"
    ".I NODE_LOCAL_PATH/repx/store\\-v1\n"
    "The images of this node.\n"
    ".SH EXIT STATUS\n"
    "The job's own; 128+N when signal N killed it.\n"
    "The launcher's own faults:\n"
    ".TP\n"
    ".B 2\n"
    "the command line or a REPX_ variable is wrong\n"
    ".TP\n"
    ".B 125\n"
    "the launcher, its configuration or its input is at fault\n"
    ".TP\n"
    ".B 126\n"
    "the command is there but cannot be executed\n"
    ".TP\n"
    ".B 127\n"
    "the command does not exist\n"
    ".SH SEE ALSO\n"
    ".BR bwrap (1),\n"
    ".BR sbatch (1)\n";

static void man(void)
{
    printf("%s", man_head);
    man_commands();
    man_options();
    man_environment();
    printf("%s", man_tail);
}

/* --- bash --- */

static const char bash_head[] =
    "# bash completion for repx-launch\n"
    "# Made by gen-docs; change src/request/options.def or src/cmd/ instead.\n"
    "_repx_launch()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local command=${COMP_WORDS[1]} i\n"
    "\n"
    "    COMPREPLY=()\n"
    "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
    "        [[ ${COMP_WORDS[i]} != -- ]] || return 0\n"
    "    done\n"
    "    # --name=value comes as three words\n"
    "    if [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    elif [[ $cur == = ]]; then\n"
    "        cur=\n"
    "    fi\n";

/* What the shell can offer as the option's argument, if anything. */
static void put_argument_action(const struct request_option *o)
{
    char words[64];

    if (strcmp(o->name, "runtime") == 0)
        snprintf(words, sizeof(words), "-W 'bwrap podman docker native'");
    else if (strcmp(o->arg, "none|host") == 0)
        snprintf(words, sizeof(words), "-W 'none host'");
    else if (strcmp(o->arg, "DIR") == 0)
        snprintf(words, sizeof(words), "-d");
    else if (strcmp(o->arg, "LAB") == 0 || strcmp(o->arg, "FILE") == 0 ||
             strcmp(o->arg, "IMAGE") == 0 || strncmp(o->arg, "SRC", 3) == 0)
        snprintf(words, sizeof(words), "-f");
    else
        return;
    printf("        mapfile -t COMPREPLY < <(compgen %s -- \"$cur\")\n", words);
}

static void bash_arguments(void)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    printf("    case $prev in\n");
    for (size_t i = 0; i < n; i++) {
        if (!o[i].arg || is_for_steps(&o[i]))
            continue;
        printf("    --%s", o[i].name);
        if (o[i].letter)
            printf(" | -%c", o[i].letter);
        printf(")\n");
        put_argument_action(&o[i]);
        printf("        return 0\n        ;;\n");
    }
    printf("    esac\n");
}

/* The words at a place of the command's name: all first words, or those behind
 * `first`, each once. */
static void put_words(const char *first)
{
    const struct command *const *all;
    size_t len = first ? strlen(first) : 0, n;
    const char *last = "";

    all = commands(&n);
    for (size_t i = 0; i < n; i++) {
        const char *name = all[i]->name;
        size_t word = strcspn(name, " ");

        if (first) {
            if (word == len && name[len] == ' ' && strncmp(name, first, len) == 0)
                printf(" %s", name + len + 1);
        } else if (strncmp(last, name, word) != 0 || last[word] != ' ') {
            printf(" %.*s", (int)word, name);
        }
        last = name;
    }
}

/* "image" and "cache" need a second word. */
static void bash_names(void)
{
    const struct command *const *all;
    const char *last = "";
    size_t n;

    printf("    if ((COMP_CWORD == 1)); then\n        mapfile -t COMPREPLY < "
           "<(compgen -W '--help --version");
    put_words(NULL);
    printf("' -- \"$cur\")\n        return 0\n    fi\n    case $command in\n");
    all = commands(&n);
    for (size_t i = 0; i < n; i++) {
        char first[32];
        size_t word = strcspn(all[i]->name, " ");

        if (!all[i]->name[word] || strncmp(last, all[i]->name, word + 1) == 0)
            continue;
        last = all[i]->name;
        snprintf(first, sizeof(first), "%.*s", (int)word, last);
        printf("    %s)\n        if ((COMP_CWORD == 2)); then\n"
               "            mapfile -t COMPREPLY < <(compgen -W '",
               first);
        put_words(first);
        printf("' -- \"$cur\")\n            return 0\n        fi\n"
               "        command+=\" ${COMP_WORDS[2]}\"\n        ;;\n");
    }
    printf("    esac\n");
}

static void bash_options(void)
{
    const struct request_option *o;
    const struct command *const *all;
    size_t n, n_options;

    all = commands(&n);
    o = request_options(&n_options);
    printf(
        "    if [[ $cur != -* ]]; then\n        mapfile -t COMPREPLY < "
        "<(compgen -f -- \"$cur\")\n        return 0\n    fi\n    case $command in\n");
    for (size_t i = 0; i < n; i++) {
        printf("    '%s')\n        mapfile -t COMPREPLY < <(compgen -W '",
               all[i]->name);
        for (size_t k = 0; k < n_options; k++)
            if (takes(all[i], &o[k]))
                printf(" --%s", o[k].name);
        printf("' -- \"$cur\")\n        ;;\n");
    }
    printf("    esac\n}\ncomplete -o filenames -F _repx_launch repx-launch\n");
}

static void bash(void)
{
    printf("%s", bash_head);
    bash_names();
    bash_arguments();
    bash_options();
}

/* --- markdown --- */

/* '|' would end the cell of a table. */
static void put_cell(const char *s)
{
    for (; *s; s++) {
        if (*s == '|')
            putchar('\\');
        putchar(*s);
    }
}

static void markdown_commands(void)
{
    const struct command *const *all;
    size_t n;

    all = commands(&n);
    printf("## Commands\n\n| Command | What it does |\n|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        printf("| `repx-launch %s ", all[i]->name);
        put_cell(all[i]->synopsis);
        printf("` | %s |\n", all[i]->summary);
    }
}

static void markdown_options(void)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    printf("\n## Options\n\nThe command line wins over the variable, the variable over "
           "the configuration.\n\n"
           "| Option | Variable | Meaning (default) | Commands |\n|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (is_for_steps(&o[i]))
            continue;
        printf("| `");
        if (o[i].letter)
            printf("-%c, ", o[i].letter);
        printf("--%s", o[i].name);
        if (o[i].arg) {
            putchar(' ');
            put_cell(o[i].arg);
        }
        printf("` | ");
        if (has_variable(&o[i])) {
            putchar('`');
            put_variable(&o[i]);
            putchar('`');
        }
        printf(" | ");
        put_cell(o[i].help);
        printf(" | ");
        put_commands(&o[i]);
        printf(" |\n");
    }
}

/* What srun, sbatch and salloc take. */
static void markdown_plugin(void)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    printf(
        "\n## Options of srun, sbatch and salloc\n\n"
        "With the SPANK plugin. A flag is `--repx-NAME` or `--repx-NAME=no`; the items "
        "of a list\nare separated by commas (`\\,` is a comma of an item), and the "
        "option is given once.\n\n"
        "| Option | Meaning (default) |\n|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        if (!o[i].spank)
            continue;
        printf("| `--repx-%s", o[i].name);
        if (o[i].arg) {
            putchar('=');
            put_cell(o[i].arg);
        }
        if (o[i].type == REQUEST_LIST)
            printf(",...");
        printf("` | ");
        put_cell(o[i].help);
        printf(" |\n");
    }
}

static void markdown(void)
{
    printf("<!-- Made by gen-docs; change src/request/options.def or src/cmd/ instead. "
           "-->\n# Commands and options\n\n");
    markdown_commands();
    markdown_options();
    markdown_plugin();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } forms[] = {{"man", man}, {"bash", bash}, {"markdown", markdown}};

    for (size_t i = 0; argc == 2 && i < array_size(forms); i++) {
        if (strcmp(argv[1], forms[i].name) != 0)
            continue;
        forms[i].print();
        return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
    }
    fprintf(stderr, "usage: gen-docs man|bash|markdown\n");
    return 2;
}
