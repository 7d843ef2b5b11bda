#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "config/config.h"
#include "sys/pathfd.h"

#define _cleanup_config_ __attribute__((cleanup(config_release)))

static int parse(struct config *c, const char *text, struct error *err)
{
    return config_parse(c, text, strlen(text), "f", false, err);
}

static void assert_parses(struct config *c, const char *text)
{
    struct error err = ERROR_INIT;

    if (parse(c, text, &err) < 0)
        fail_msg("%s", err.text);
}

static void assert_fault_of(const char *text, size_t len, bool trusted,
                            const char *complaint)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    struct error err = ERROR_INIT;

    assert_int_equal(config_parse(&c, text, len, "f", trusted, &err), -1);
    assert_int_equal(err.class, ERROR_LAUNCHER);
    if (strncmp(err.text, complaint, strlen(complaint)) != 0)
        fail_msg("'%s' does not begin with '%s'", err.text, complaint);
    assert_int_equal(c.files.count, 0);
}

static void assert_fault(const char *text, const char *complaint)
{
    assert_fault_of(text, strlen(text), false, complaint);
}

/* CONTRACT section 9, as it is printed there. */
static const char repx_sample[] =
    "    submission_target = \"local\"\n"
    "    [targets.local]\n"
    "    base_path = \"/home/user/.repx/store\"\n"
    "    [targets.local.local]\n"
    "    execution_types = [\"bwrap\", \"native\"]\n"
    "    [targets.cluster]\n"
    "    base_path = \"/scratch/user/repx\"\n"
    "    node_local_path = \"/tmp/user/repx\"\n"
    "    default_scheduler = \"slurm\"\n"
    "    mount_host_paths = false\n"
    "    mount_paths = [\"/home/user/data\", \"/opt/tools\"]\n"
    "    [targets.cluster.slurm]\n"
    "    execution_types = [\"podman\", \"native\"]\n";

static void check_sample(const char *text)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    const struct config_target *t;

    assert_parses(&c, text);
    assert_string_equal(c.submission_target.value, "local");
    assert_string_equal(c.submission_target.origin, "f:1");
    assert_int_equal(c.n_targets, 2);
    t = config_find_target(&c, "local");
    assert_string_equal(t->origin, "f:2");
    assert_string_equal(t->base_path.value, "/home/user/.repx/store");
    assert_int_equal(t->local.execution_types.value.count, 2);
    assert_string_equal(t->local.execution_types.value.items[1], "native");
    assert_string_equal(t->local.execution_types.origin, "f:5");
    assert_string_equal(t->local.origin, "f:4");
    assert_null(t->slurm.origin);
    t = config_find_target(&c, "cluster");
    assert_string_equal(t->node_local_path.value, "/tmp/user/repx");
    assert_string_equal(t->default_scheduler.value, "slurm");
    assert_false(t->mount_host_paths.value);
    assert_string_equal(t->mount_host_paths.origin, "f:10");
    assert_int_equal(t->mount_paths.value.count, 2);
    assert_string_equal(t->mount_paths.value.items[1], "/opt/tools");
    assert_string_equal(t->slurm.execution_types.value.items[0], "podman");
    assert_null(config_find_target(&c, "other"));
    assert_int_equal(c.files.count, 1);
    assert_string_equal(c.files.items[0], "f");
}

static void test_repx_sample(void **state)
{
    char flat[sizeof(repx_sample)], *out = flat;

    check_sample(repx_sample);
    /* And without the indentation. */
    for (const char *in = repx_sample; *in; in++)
        if (*in != ' ' || in[1] != ' ')
            *out++ = *in;
    *out = '\0';
    check_sample(flat);
}

/* What RepX 0.5 writes when it has no configuration. */
static void test_repx_default_file(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    const struct config_target *t;

    assert_parses(&c, "\ntheme = \"default\"\n\nsubmission_target = \"local\"\n\n"
                      "default_scheduler = \"local\"\n\n[logging]\nmax_files = 50\n"
                      "max_age_days = 7\n\n[targets]\n\n  [targets.local]\n"
                      "  base_path = \"~/Desktop/repx-store\"\n\n\n"
                      "  default_scheduler = \"local\"\n"
                      "  default_execution_type = \"bwrap\"\n\n"
                      "    [targets.local.local]\n"
                      "    execution_types = [\"bwrap\", \"native\"]\n"
                      "    local_concurrency = 4\n\n\n");
    assert_string_equal(c.default_scheduler.value, "local");
    t = config_find_target(&c, "local");
    assert_string_equal(t->base_path.value, "~/Desktop/repx-store");
    assert_string_equal(t->base_path.origin, "f:15");
    assert_string_equal(t->default_execution_type.value, "bwrap");
}

static void test_arrays_over_lines(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    const struct config_target *t;

    assert_parses(&c, "[targets.a]\n"
                      "mount_paths = [\n"
                      "    \"/a\",   # first\n"
                      "\n"
                      "    # between\n"
                      "/b;c, '/d = [x]',\n"
                      "\t\"/e ; f\"\n"
                      "]\n"
                      "env_pass = [ A,\n"
                      "  B ] ; done\n"
                      "grace = 2m\n");
    t = config_find_target(&c, "a");
    assert_int_equal(t->mount_paths.value.count, 4);
    assert_string_equal(t->mount_paths.value.items[1], "/b;c");
    assert_string_equal(t->mount_paths.value.items[2], "/d = [x]");
    assert_string_equal(t->mount_paths.value.items[3], "/e ; f");
    assert_string_equal(t->mount_paths.origin, "f:2");
    assert_int_equal(t->env_pass.value.count, 2);
    assert_string_equal(t->env_pass.origin, "f:9");
    assert_int_equal(t->grace.value, 120);
    assert_string_equal(t->grace.origin, "f:11");
}

static void test_ini_style(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    const struct config_target *t;

    assert_parses(&c, "\xef\xbb\xbfsubmission_target: a\r\n"
                      "[targets.a]\r\n"
                      "\tmount_host_paths = yes   ; impure\r\n"
                      "mount_paths = /a, \"/b c\"\r\n"
                      "  cache_max_size = 50G\r\n"
                      "'cache_min_free' = \"10GiB\"\r\n"
                      "env_pass = UCX_*\r\n"
                      "network = host # MPI\r\n"
                      "staging = off\r\n"
                      "gpus = \"nvidia.com/gpu=all\"\r\n"
                      "base_path = /home/o'neil #1");
    assert_string_equal(c.submission_target.value, "a");
    t = config_find_target(&c, "a");
    assert_true(t->mount_host_paths.value);
    assert_int_equal(t->mount_paths.value.count, 2);
    assert_string_equal(t->mount_paths.value.items[1], "/b c");
    assert_true(t->cache_max_size.value == 50ULL << 30);
    assert_true(t->cache_min_free.value == 10ULL << 30);
    assert_string_equal(t->env_pass.value.items[0], "UCX_*");
    assert_string_equal(t->network.value, "host");
    assert_string_equal(t->staging.value, "off");
    assert_string_equal(t->gpus.value, "nvidia.com/gpu=all");
    assert_string_equal(t->base_path.value, "/home/o'neil");
}

/* inih would take the semicolon for a comment. */
static void test_semicolon_in_quotes(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;

    assert_parses(&c, "[targets.a]\nbase_path = \"/a ; b # c\" ; d\n");
    assert_string_equal(c.targets[0].base_path.value, "/a ; b # c");
}

static void test_quoted_names(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;

    assert_parses(&c, "[ targets . \"my.cluster\" ]\nbase_path = /x\n"
                      "[targets.'my.cluster'.slurm]\nexecution_types = bwrap\n"
                      "[targets.a-b_1]\n");
    assert_int_equal(c.n_targets, 2);
    assert_string_equal(c.targets[0].name, "my.cluster");
    assert_string_equal(c.targets[0].base_path.value, "/x");
    assert_string_equal(c.targets[0].slurm.origin, "f:3");
    assert_string_equal(c.targets[1].name, "a-b_1");
}

static void test_later_file_wins_key_by_key(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    struct error err = ERROR_INIT;
    static const char more[] = "[targets.a]\nbase_path = /2\nmount_paths = /y\n";

    assert_parses(&c, "[targets.a]\nbase_path = /1\nnode_local_path = /n\n"
                      "mount_paths = /x, /z\n");
    assert_int_equal(config_parse(&c, more, strlen(more), "g", false, &err), 0);
    assert_int_equal(c.n_targets, 1);
    assert_string_equal(c.targets[0].base_path.value, "/2");
    assert_string_equal(c.targets[0].base_path.origin, "g:2");
    assert_string_equal(c.targets[0].node_local_path.origin, "f:3");
    assert_int_equal(c.targets[0].mount_paths.value.count, 1);
    assert_string_equal(c.targets[0].origin, "f:1");
    assert_int_equal(c.files.count, 2);
}

static void test_unknown(void **state)
{
    assert_fault(
        "\nsubmision_target = x\n",
        "f:2: unknown key 'submision_target'; did you mean submission_target?");
    assert_fault("[targets.a]\nbase_pth = /x",
                 "f:2: unknown key 'base_pth'; did you mean base_path?");
    assert_fault("[targets.a]\nexecution_types = [\n\"bwrap\"\n]\n",
                 "f:2: unknown key 'execution_types'; it belongs in "
                 "[targets.NAME.local] or [targets.NAME.slurm]");
    assert_fault("base_path = /x", "f:1: unknown key 'base_path'; it belongs in "
                                   "[targets.NAME]");
    assert_fault("[targets]\nbase_path = /x", "f:2: unknown key 'base_path'");
    assert_fault("zzzzzz = 1", "f:1: unknown key 'zzzzzz'; see the annotated repx.ini");
    assert_fault("= 1", "f:1: unknown key ''");
    assert_fault("\n\n[target.a]", "f:3: unknown section [target.a]; did you mean "
                                   "targets instead of target?");
    assert_fault("[targets.a.slrum]", "f:1: unknown section [targets.a.slrum]; did you "
                                      "mean slurm instead of slrum?");
    assert_fault("[targets.my.cluster.com]", "f:1: unknown section "
                                             "[targets.my.cluster.com]; there are");
    assert_fault("[policy.x]", "f:1: unknown section [policy.x]; there are");
    assert_fault("[zzzzzzz]", "f:1: unknown section [zzzzzzz]; there are");
}

static void test_malformed(void **state)
{
    assert_fault("[targets.a\n", "f:1: '[targets.a' is not a section header");
    assert_fault("[targets.a] x\n", "f:1: '[targets.a] x' is not a section header");
    assert_fault("[targets..a]\n", "f:1: '[targets..a]' is not a section header");
    assert_fault("[targets.\"a]b\"]\n", "f:1: '[targets.\"a]b\"]' is not a section");
    assert_fault("[targets.\"\"]\n", "f:1: '[targets.\"\"]' is not a section");
    assert_fault("[]\n", "f:1: '[]' is not a section header");
    assert_fault("[[targets]]\n", "f:1: '[[targets]]': lists of sections");
    assert_fault("# c\njust words\n", "f:2: 'just words' is neither [SECTION] nor");
    assert_fault("theme = \"x\n",
                 "f:1: theme: the quotes of the string are not closed");
    assert_fault("submission_target =\n", "f:1: submission_target: a value is missing");
    assert_fault("submission_target = \"\"\n", "f:1: submission_target: the value is "
                                               "empty");
    assert_fault("default_scheduler = pbs\n",
                 "f:1: default_scheduler: 'pbs' is neither");
    assert_fault("[targets.a]\n\nmount_host_paths = maybe",
                 "f:3: mount_host_paths: 'maybe' is neither true nor false");
    assert_fault("[targets.a]\nstaging = yes", "f:2: staging: 'yes' is none of auto");
    assert_fault("[targets.a]\ngpus = 0,,1", "f:2: gpus: '0,,1' is neither none nor");
    assert_fault("[targets.a]\nnetwork = bridge", "f:2: network: 'bridge' is neither");
    assert_fault("[targets.a]\ncache_max_size = big", "f:2: cache_max_size: 'big'");
    assert_fault("[targets.a]\ngrace = 5x", "f:2: grace: '5x' is not a duration");
    assert_fault("[targets.a]\nmount_paths = [\"x\"]",
                 "f:2: mount_paths: 'x' is not an "
                 "absolute path");
    assert_fault("[targets.a]\nenv_pass = [\"A B\"]",
                 "f:2: env_pass: 'A B' is neither");
    assert_fault("[targets.a]\nenv_pass = [\"1A\"]", "f:2: env_pass: '1A' is neither");
    assert_fault("[targets.a]\nenv_pass = [\"*\"]", "f:2: env_pass: '*' is neither");
    assert_fault("[targets.a.local]\nlocal_concurrency = many",
                 "f:2: local_concurrency: 'many' is not a whole number");
    assert_fault("[targets.a]\nbase_path = [\"/x\"]", "f:2: base_path: a list cannot");
}

static void test_faults_inside_arrays(void **state)
{
    assert_fault("[targets.a]\nmount_paths = [\n \"/a\",\n \"/b\n]\n",
                 "f:4: mount_paths: the quotes");
    assert_fault("[targets.a]\nmount_paths = [\n \"/a\"\n\n \"/b\"\n]\n",
                 "f:5: mount_paths: a comma or ] is missing behind '/a'");
    assert_fault("[targets.a]\nmount_paths = [\n \"/a\",\ngrace = 5\n",
                 "f:2: the array of 'mount_paths' is not closed");
    assert_fault("[targets.a]\nmount_paths = [\n[targets.b]\ngrace = 5\n",
                 "f:3: mount_paths: a list cannot stand here");
    assert_fault("= [\n \"a=b\",\n]\n", "f:1: ");
}

static void test_duplicates(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;

    assert_fault("theme = a\ntheme = b\n", "f:2: the key 'theme' is given twice");
    assert_fault("[targets.a]\ngrace = 1\n[targets.b]\n[targets.a]\ngrace = 1\n",
                 "f:5: the key 'grace' is given twice");
    assert_fault("[targets.a.slurm]\nexecution_types = a\nexecution_types = [\nb\n]\n",
                 "f:3: the key 'execution_types' is given twice");
    assert_parses(&c, "[targets.a]\ngrace = 1\n[targets.b]\ngrace = 2\n"
                      "[targets.a.slurm]\nexecution_types = a\n"
                      "[targets.a.local]\nexecution_types = a\n");
}

/* inih would cut each of these without a word. */
static void test_over_long(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    char text[1024], x[512];

    memset(x, 'x', sizeof(x));
    snprintf(text, sizeof(text), "\ntheme = %.190s\n", x);
    assert_parses(&c, text);
    snprintf(text, sizeof(text), "\ntheme = %.191s\n", x);
    assert_fault(text, "f:2: line is 199 bytes long, at most 198 are possible; split");
    snprintf(text, sizeof(text), "[targets.a]\nmount_paths = [\n  \"/%.400s\"\n]", x);
    assert_fault(text, "f:3: line is 404 bytes long, at most 198");
    snprintf(text, sizeof(text), "[targets.%.41s]\n", x);
    assert_parses(&c, text);
    snprintf(text, sizeof(text), "[targets.%.42s]\n", x);
    assert_fault(text, "f:1: the section name is 50 bytes long, at most 49");
    snprintf(text, sizeof(text), "%.60s = [\n\"a=b\",\n]\n", x);
    assert_fault(text, "f:1: unknown key 'xxxxxxxxxx");
    /* A comment loses nothing. */
    snprintf(text, sizeof(text), "# %.500s\ndefault_scheduler = slurm # %.300s\n", x,
             x);
    assert_parses(&c, text);
    assert_string_equal(c.default_scheduler.value, "slurm");
    assert_int_equal(strlen(c.targets[0].name), 41);
}

static void test_longest_line_arrives_whole(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    char path[190], text[512];

    memset(path, 'y', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    snprintf(text, sizeof(text), "[targets.a]\nmount_paths = [\n%s,\n/b]\n", path);
    assert_parses(&c, text);
    assert_int_equal(c.targets[0].mount_paths.value.count, 2);
    assert_string_equal(c.targets[0].mount_paths.value.items[0], path);
}

static void test_control_characters(void **state)
{
    static const char nul[] = "theme = a\ntheme\0 = b\n";

    assert_fault_of(nul, sizeof(nul) - 1, false,
                    "f:2: control character 0x00 in column "
                    "6");
    assert_fault("theme = \"a\x01\"\n", "f:1: control character 0x01 in column 11");
    assert_fault("theme = a\x7f\n", "f:1: control character 0x7f");
    assert_fault("theme = a\rb\n", "f:1: control character 0x0d");
}

static void test_policy(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;
    struct error err = ERROR_INIT;
    static const char text[] = "[policy]\nallowed_runtimes = bwrap\nallow_impure = no\n"
                               "allowed_images = /srv, sha256:"
                               "0123456789abcdef0123456789abcdef"
                               "0123456789abcdef0123456789abcdef\n";

    assert_fault(text, "f:1: [policy] counts only in the site file /etc/repx/repx.ini; "
                       "move it there");
    assert_int_equal(config_parse(&c, text, strlen(text), "s", true, &err), 0);
    assert_false(c.policy.allow_impure.value);
    assert_string_equal(c.policy.allow_impure.origin, "s:3");
    assert_null(c.policy.allow_host_network.origin);
    assert_int_equal(c.policy.allowed_images.value.count, 2);
    assert_fault_of("[policy]\nallowed_images = srv\n", 30, true,
                    "f:2: allowed_images: 'srv' is neither");
    assert_fault_of("[policy]\nforbidden_mounts = x\n", 30, true,
                    "f:2: forbidden_mounts: 'x' is not an absolute path");
    assert_fault_of("[policy]\nallowed_images = sha256:12\n", 36, true,
                    "f:2: allowed_images: 'sha256:12' is neither");
}

static void test_empty(void **state)
{
    _cleanup_config_ struct config c = CONFIG_INIT;

    assert_parses(&c, "");
    assert_parses(&c, "\xef\xbb\xbf");
    assert_parses(&c, "\n\n# nothing\n   ");
    assert_int_equal(c.n_targets, 0);
}

/* The annotated example is a valid site file and has every key there is. */
static void test_example_file(void **state)
{
    static const char path[] = TEST_DATA "/../../../../config/repx.ini";
    static const char *const keys[] = {
#define KEY(scope, name, type, check, member) #name,
#define REPX_ONLY(scope, name, check) #name,
#include "config/config_keys.def"
#undef KEY
#undef REPX_ONLY
    };
    _cleanup_config_ struct config c = CONFIG_INIT;
    _cleanup_buf_ struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    _cleanup_close_ int fd = -1;

    fd = pathfd_open_user(path, O_RDONLY | O_CLOEXEC, &err);
    if (fd < 0 || pathfd_read_all(fd, 1 << 20, &text, &err) < 0 ||
        config_parse(&c, buf_str(&text), text.len, "repx.ini", true, &err) < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < array_size(keys); i++) {
        _cleanup_free_ char *line = str_printf("\n%s = ", keys[i]);

        if (!strstr(buf_str(&text), line))
            fail_msg("%s is not explained", keys[i]);
    }
    assert_int_equal(c.policy.allowed_runtimes.value.count, 2);
    assert_int_equal(config_find_target(&c, "cluster")->mount_paths.value.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repx_sample),
        cmocka_unit_test(test_repx_default_file),
        cmocka_unit_test(test_arrays_over_lines),
        cmocka_unit_test(test_ini_style),
        cmocka_unit_test(test_semicolon_in_quotes),
        cmocka_unit_test(test_quoted_names),
        cmocka_unit_test(test_later_file_wins_key_by_key),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_faults_inside_arrays),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_over_long),
        cmocka_unit_test(test_longest_line_arrives_whole),
        cmocka_unit_test(test_control_characters),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_example_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
