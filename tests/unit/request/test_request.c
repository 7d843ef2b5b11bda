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
#include "request/request.h"

#define EVERY                                                                          \
    (FOR_RUN | FOR_EXEC | FOR_LAUNCH | FOR_LAB | FOR_JOB | FOR_LIST | FOR_JSON |       \
     FOR_CACHE | FOR_SHARED | FOR_CONFIG | FOR_STEP | FOR_ALL)
/* An argv or environment of literals, which the code under test only reads. */
#define WORDS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})

struct fixture {
    struct request r;
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;

    f.r = (struct request)REQUEST_INIT;
    error_clear(&f.err);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    request_release(&f->r);
    return 0;
}

#define PARSE(...) request_parse(&f->r, EVERY, WORDS(__VA_ARGS__), &f->err)
#define assert_usage(f, part)                                                          \
    do {                                                                               \
        assert_int_equal((f)->err.class, ERROR_USAGE);                                 \
        if (!strstr((f)->err.text, part))                                              \
            fail_msg("'%s' lacks '%s'", (f)->err.text, part);                          \
    } while (0)

static enum request_origin origin_of(const struct request *r,
                                     const struct request_option *o)
{
    enum request_origin origin;

    memcpy(&origin, (const char *)r + o->origin_offset, sizeof(origin));
    return origin;
}

/* A value that the option takes, and whether it arrived. */
static const char *sample_value(const struct request_option *o)
{
    switch (o->type) {
    case REQUEST_NUMBER:
        return "7";
    case REQUEST_FLAG:
        return "yes";
    case REQUEST_COUNT:
        return "2";
    case REQUEST_STRING:
    case REQUEST_LIST:
    default:
        return "/value";
    }
}

static void assert_arrived(const struct request *r, const struct request_option *o)
{
    const void *field = (const char *)r + o->offset;

    switch (o->type) {
    case REQUEST_NUMBER:
        assert_int_equal(*(const uint64_t *)field, 7);
        break;
    case REQUEST_FLAG:
        assert_true(*(const bool *)field);
        break;
    case REQUEST_COUNT:
        assert_int_equal(*(const unsigned *)field, 2);
        break;
    case REQUEST_STRING:
        assert_string_equal(*(char *const *)field, "/value");
        break;
    case REQUEST_LIST:
    default:
        assert_int_equal(((const struct strv *)field)->count, 1);
        assert_string_equal(((const struct strv *)field)->items[0], "/value");
    }
}

static void test_every_option_from_argv(void **state)
{
    struct fixture *f = *state;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    assert_true(n >= 25);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *joined =
            str_printf("--%s=%s", o[i].name, sample_value(&o[i]));

        request_release(&f->r);
        assert_int_equal(PARSE(joined), 0);
        assert_arrived(&f->r, &o[i]);
        assert_int_equal(origin_of(&f->r, &o[i]), REQUEST_COMMAND_LINE);
        /* No other option was touched. */
        for (size_t k = 0; k < n; k++)
            if (k != i)
                assert_int_equal(origin_of(&f->r, &o[k]), REQUEST_UNSET);
    }
}

static void test_every_letter(void **state)
{
    struct fixture *f = *state;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        char word[3] = {'-', o[i].letter, '\0'};
        char value[] = "7";

        if (!o[i].letter)
            continue;
        request_release(&f->r);
        if (o[i].arg)
            assert_int_equal(PARSE(word, value), 0);
        else
            assert_int_equal(PARSE(word), 0);
        assert_int_equal(origin_of(&f->r, &o[i]), REQUEST_COMMAND_LINE);
        assert_int_equal(f->r.args.count, 0);
    }
}

/* REPX_MOUNT_PATH=..., written without the code under test. */
static char *variable(const char *option, const char *value)
{
    char *text = str_printf("REPX_%s=%s", option, value);

    for (char *p = text; *p != '='; p++)
        *p = *p == '-' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    return text;
}

static void test_every_option_from_env(void **state)
{
    struct fixture *f = *state;
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *entry = variable(o[i].name, sample_value(&o[i]));
        char *env[] = {entry, NULL};

        request_release(&f->r);
        assert_int_equal(request_read_env(&f->r, env, &f->err), 0);
        if (strcmp(o[i].name, "help") == 0 || o[i].commands == FOR_STEP) {
            assert_int_equal(origin_of(&f->r, &o[i]), REQUEST_UNSET);
            continue;
        }
        assert_arrived(&f->r, &o[i]);
        assert_int_equal(origin_of(&f->r, &o[i]), REQUEST_ENVIRONMENT);
    }
}

static void test_letters_and_names_are_unique(void **state)
{
    const struct request_option *o;
    size_t n;

    o = request_options(&n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            assert_string_not_equal(o[i].name, o[k].name);
            if (o[i].letter)
                assert_int_not_equal(o[i].letter, o[k].letter);
        }
}

static void test_forms_of_values(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        PARSE("--lab", "a", "-b/base", "-j4", "-m", "/x", "-m/y", "--json"), 0);
    assert_string_equal(f->r.lab, "a");
    assert_string_equal(f->r.base_path, "/base");
    assert_int_equal(f->r.jobs, 4);
    assert_int_equal(f->r.mount_paths.count, 2);
    assert_string_equal(f->r.mount_paths.items[1], "/y");
    assert_true(f->r.json);
    request_release(&f->r);
    assert_int_equal(PARSE("-vvj", "12", "-qv", "--lab=a=b"), 0);
    assert_int_equal(f->r.verbose, 3);
    assert_int_equal(f->r.jobs, 12);
    assert_true(f->r.quiet);
    assert_string_equal(f->r.lab, "a=b");
}

static void test_the_last_of_two_wins(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(PARSE("--lab=a", "--lab=b", "--rerun", "--rerun=no"), 0);
    assert_string_equal(f->r.lab, "b");
    assert_false(f->r.rerun);
    assert_int_equal(f->r.rerun_origin, REQUEST_COMMAND_LINE);
}

static void test_positionals_and_command(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(PARSE("job1", "--json", "-", "job2", "--", "-x", "--lab", "--"),
                     0);
    assert_true(f->r.has_command);
    assert_int_equal(f->r.command_at, 3);
    assert_int_equal(f->r.args.count, 6);
    assert_string_equal(f->r.args.items[1], "-");
    assert_string_equal(f->r.args.items[3], "-x");
    assert_string_equal(f->r.args.items[5], "--");
    assert_null(f->r.lab);
    request_release(&f->r);
    assert_int_equal(PARSE("job", "--"), 0);
    assert_true(f->r.has_command);
    assert_int_equal(f->r.command_at, 1);
    request_release(&f->r);
    assert_int_equal(PARSE("job"), 0);
    assert_false(f->r.has_command);
}

static void test_unique_prefixes(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(PARSE("--run=native", "--node", "/n"), 0);
    assert_string_equal(f->r.runtime, "native");
    assert_string_equal(f->r.node_local_path, "/n");
    assert_int_equal(PARSE("--mount=x"), -1);
    assert_usage(f,
                 "--mount is ambiguous; it could be --mount-host-paths, --mount-path");
    /* Options of other commands do not make a prefix ambiguous. */
    error_clear(&f->err);
    assert_int_equal(request_parse(&f->r, FOR_CONFIG, WORDS("--ba=/b"), &f->err), 0);
}

static void test_misspelt_options(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(PARSE("--runtme=bwrap"), -1);
    assert_usage(f, "unknown option --runtme; did you mean --runtime?");
    assert_int_equal(PARSE("--base_path=/x"), -1);
    assert_usage(f, "did you mean --base-path?");
    assert_int_equal(PARSE("--xyzzyxyzzy"), -1);
    assert_usage(f, "unknown option --xyzzyxyzzy; --help");
    assert_int_equal(PARSE("-X"), -1);
    assert_usage(f, "unknown option -X");
    assert_int_equal(PARSE("--=x"), -1);
    assert_usage(f, "unknown option --");
}

static void test_options_of_other_commands(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request_parse(&f->r, FOR_LAB, WORDS("--jobs=2"), &f->err), -1);
    assert_usage(f, "option --jobs does not apply to this command");
    assert_int_equal(request_parse(&f->r, FOR_LAB, WORDS("-j2"), &f->err), -1);
    assert_usage(f, "option -j (--jobs) does not apply to this command");
    /* FOR_ALL goes everywhere. */
    assert_int_equal(request_parse(&f->r, 0, WORDS("--quiet"), &f->err), 0);
}

static void test_missing_and_bad_values(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(PARSE("--lab"), -1);
    assert_usage(f, "option --lab needs a value: --lab LAB");
    assert_int_equal(PARSE("-vj"), -1);
    assert_usage(f, "option --jobs needs a value");
    assert_int_equal(PARSE("--lab="), -1);
    assert_usage(f, "option --lab: the value is empty");
    assert_int_equal(PARSE("--env="), -1);
    assert_usage(f, "option --env: the value is empty");
    for (size_t i = 0; i < 6; i++) {
        const char *bad[] = {"x", "-1", " 1", "1k", "", "18446744073709551616"};
        _cleanup_free_ char *word = str_printf("--jobs=%s", bad[i]);

        assert_int_equal(PARSE(word), -1);
        assert_usage(f, "option --jobs: ");
    }
    assert_int_equal(PARSE("--rerun=maybe"), -1);
    assert_usage(f, "option --rerun: 'maybe' is neither yes nor no");
    assert_int_equal(PARSE("--verbose=10"), -1);
    assert_usage(f, "option --verbose");
}

static void test_env_lists(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request_read_env(&f->r,
                                      WORDS("REPX_MOUNT_PATH=/a,/b\\,c,,/d",
                                            "REPX_ENV=A=1,2\nB=x\\,y\n"),
                                      &f->err),
                     0);
    assert_int_equal(f->r.mount_paths.count, 3);
    assert_string_equal(f->r.mount_paths.items[1], "/b,c");
    assert_string_equal(f->r.mount_paths.items[2], "/d");
    assert_int_equal(f->r.env.count, 2);
    assert_string_equal(f->r.env.items[0], "A=1,2");
    assert_string_equal(f->r.env.items[1], "B=x\\,y");
}

static void test_env_flags_and_faults(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        request_read_env(&f->r,
                         WORDS("REPX_BWRAP=0", "REPX_LAB=", "REPX_UNKNOWN=x",
                               "REPX_HELP=x", "REPX_RERUN=ON"),
                         &f->err),
        0);
    assert_false(f->r.force_bwrap);
    assert_int_equal(f->r.force_bwrap_origin, REQUEST_ENVIRONMENT);
    assert_null(f->r.lab);
    assert_int_equal(f->r.lab_origin, REQUEST_UNSET);
    assert_true(f->r.rerun);
    assert_int_equal(request_read_env(&f->r, WORDS("REPX_JSON=perhaps"), &f->err), -1);
    assert_usage(f, "environment variable REPX_JSON: 'perhaps'");
    assert_int_equal(request_read_env(&f->r, WORDS("REPX_GRACE=5s"), &f->err), -1);
    assert_usage(f, "environment variable REPX_GRACE: '5s'");
}

static void test_command_line_beats_env(void **state)
{
    struct fixture *f = *state;
    char *const *env =
        WORDS("REPX_LAB=env", "REPX_ENV=A,B", "REPX_VERBOSE=3", "REPX_RERUN=1");

    assert_int_equal(request_read_env(&f->r, env, &f->err), 0);
    assert_int_equal(f->r.env.count, 2);
    assert_int_equal(PARSE("--lab=cli", "--env=C", "--env=D", "-v", "--rerun=no"), 0);
    assert_string_equal(f->r.lab, "cli");
    assert_int_equal(f->r.env.count, 2);
    assert_string_equal(f->r.env.items[0], "C");
    assert_int_equal(f->r.verbose, 1);
    assert_false(f->r.rerun);
    /* In either order. */
    assert_int_equal(request_read_env(&f->r, env, &f->err), 0);
    assert_string_equal(f->r.lab, "cli");
    assert_int_equal(f->r.lab_origin, REQUEST_COMMAND_LINE);
}

static void assert_runtime(struct fixture *f, const char *expected)
{
    const char *runtime = "unset";

    assert_int_equal(request_runtime(&f->r, &runtime, &f->err), 0);
    if (expected)
        assert_string_equal(runtime, expected);
    else
        assert_null(runtime);
}

static void test_runtime(void **state)
{
    struct fixture *f = *state;
    const char *runtime;

    assert_runtime(f, NULL);
    assert_int_equal(request_read_env(&f->r, WORDS("REPX_RUNTIME=podman"), &f->err), 0);
    assert_runtime(f, "podman");
    assert_int_equal(PARSE("--native"), 0);
    assert_runtime(f, "native");
    assert_int_equal(PARSE("--runtime=native"), 0);
    assert_runtime(f, "native");
    assert_int_equal(PARSE("--bwrap"), 0);
    assert_int_equal(request_runtime(&f->r, &runtime, &f->err), -1);
    assert_usage(f, "two runtimes are asked for: native and bwrap");
    request_release(&f->r);
    assert_int_equal(PARSE("--bwrap=no"), 0);
    assert_runtime(f, NULL);
    assert_int_equal(
        request_read_env(&f->r, WORDS("REPX_DOCKER=1", "REPX_PODMAN=1"), &f->err), 0);
    assert_int_equal(request_runtime(&f->r, &runtime, &f->err), -1);
    assert_usage(f, "in the environment: podman and docker");
}

static void test_validate(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *word, *complaint;
    } bad[] = {
        {"--runtime=bwarp", "unknown runtime 'bwarp'; there are bwrap, podman, docker, "
                            "native; did you mean bwrap?"},
        {"--runtime=x", "unknown runtime 'x'"},
        {"--network=bridge", "option --network: 'bridge'"},
        {"--gpus=,0", "option --gpus: ',0' is neither"},
        {"--gpus=0,", "option --gpus: '0,' is neither"},
        {"--gpus=0,auto", "option --gpus: '0,auto' is neither"},
        {"--gpus=none,0", "option --gpus: 'none,0' is neither"},
        {"--gpus=0 1", "option --gpus: '0 1' is neither"},
        {"--env==1", "option --env: ''"},
        {"--env=1A=2", "option --env: '1A'"},
        {"--env=A B=2", "option --env: 'A B'"},
        {"--mount-path=/a:b", "option --mount-path: mount '/a:b'"},
        {"--mount-path=:/b", "the source is empty"},
        {"--stage=sbcast", "option --stage: 'sbcast' is not auto, shared or bcast"},
        {"--jobs=0", "option --jobs: 0 is too few"},
        {"--workdir=here", "option --workdir: 'here'"},
        {"-vq", "--verbose and --quiet"},
    };

    assert_int_equal(PARSE("--runtime=podman", "--network=host", "--env=A",
                           "-e_B1=x y=", "-ma:/b:rw", "-j1", "--grace=0", "-w/w", "-v"),
                     0);
    assert_int_equal(request_validate(&f->r, &f->err), 0);
    for (size_t i = 0; i < array_size(bad); i++) {
        char *word = strdup(bad[i].word);

        request_release(&f->r);
        assert_int_equal(PARSE(word), 0);
        assert_int_equal(request_validate(&f->r, &f->err), -1);
        assert_usage(f, bad[i].complaint);
        free(word);
    }
}

static void test_to_argv_round_trip(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ struct strv first = STRV_INIT, second = STRV_INIT;
    struct request again = REQUEST_INIT;

    assert_int_equal(
        PARSE("--lab", "a b", "-vv", "--rerun=no", "--json", "-j3", "-eA=1", "-eB"), 0);
    request_to_argv(&f->r, EVERY, &first);
    assert_int_equal(first.count, 7);
    assert_string_equal(first.items[0], "--lab=a b");
    assert_string_equal(first.items[1], "--env=A=1");
    assert_true(strv_contains(&first, "--rerun=no"));
    assert_true(strv_contains(&first, "--verbose=2"));
    assert_int_equal(request_parse(&again, EVERY, strv_argv(&first), &f->err), 0);
    request_to_argv(&again, EVERY, &second);
    assert_int_equal(second.count, first.count);
    for (size_t i = 0; i < first.count; i++)
        assert_string_equal(first.items[i], second.items[i]);
    request_release(&again);
    strv_release(&second);
    request_to_argv(&f->r, FOR_LAB, &second);
    assert_true(strv_contains(&second, "--lab=a b"));
    assert_false(strv_contains(&second, "--jobs=3"));
}

static void test_to_env_round_trip(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ struct strv env = STRV_INIT, words = STRV_INIT, again = STRV_INIT;
    struct request read = REQUEST_INIT;

    assert_int_equal(PARSE("--lab=a b", "-vv", "--native=no", "--grace=3", "-eA=1,2",
                           "--mount-path=/a", "--mount-path=/b,c", "--job=J", "--bwrap",
                           "--batch-script"),
                     0);
    request_to_env(&f->r, &env);
    assert_string_equal(strv_env_get(strv_argv(&env), "REPX_ENV"), "A=1,2\n");
    assert_string_equal(strv_env_get(strv_argv(&env), "REPX_NATIVE"), "no");
    assert_null(strv_env_get(strv_argv(&env), "REPX_JOB"));
    assert_int_equal(env.count, 7);
    assert_int_equal(request_read_env(&read, strv_argv(&env), &f->err), 0);
    request_to_argv(&f->r, EVERY & ~FOR_STEP, &words);
    request_to_argv(&read, EVERY & ~FOR_STEP, &again);
    assert_int_equal(words.count, again.count);
    for (size_t i = 0; i < words.count; i++)
        assert_string_equal(words.items[i], again.items[i]);
    request_release(&read);
}

/* "--job" has to stay short for --jobs where no step is meant. */
static void test_options_of_steps_are_no_others(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request_parse(&f->r, FOR_RUN, WORDS("--job", "4"), &f->err), 0);
    assert_int_equal(f->r.jobs, 4);
    assert_int_equal(request_parse(&f->r, FOR_RUN, WORDS("--batch-script"), &f->err),
                     -1);
    assert_usage(f, "unknown option --batch-script");
}

static void test_help_fits(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT;
    const struct request_option *o;
    size_t n;

    request_help(EVERY, &out);
    for (const char *line = buf_str(&out); *line;) {
        size_t len = strcspn(line, "\n");

        assert_int_equal(line[len], '\n');
        assert_in_range(len, 1, 80);
        line += len + 1;
    }
    o = request_options(&n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *name = str_printf("--%s", o[i].name);

        assert_non_null(strstr(buf_str(&out), name));
    }
    assert_non_null(strstr(buf_str(&out), "  -l, --lab LAB            the lab: "));
    assert_non_null(strstr(buf_str(&out), "      --bwrap              short for"));
    buf_reset(&out);
    request_help(FOR_CONFIG, &out);
    assert_null(strstr(buf_str(&out), "--jobs"));
    assert_null(strstr(buf_str(&out), "--json"));
    assert_non_null(strstr(buf_str(&out), "--quiet"));
}

static void test_request_set_for_other_readers(void **state)
{
    struct fixture *f = *state;
    const struct request_option *o;
    size_t n, i;

    o = request_options(&n);
    for (i = 0; strcmp(o[i].name, "mount-path") != 0; i++)
        ;
    assert_int_equal(request_set(&f->r, &o[i], "/a", REQUEST_ENVIRONMENT, &f->err), 0);
    assert_int_equal(request_set(&f->r, &o[i], "/b", REQUEST_COMMAND_LINE, &f->err), 0);
    assert_int_equal(f->r.mount_paths.count, 1);
    assert_int_equal(request_set(&f->r, &o[i], NULL, REQUEST_COMMAND_LINE, &f->err),
                     -1);
    assert_usage(f, "the value is empty");
    assert_int_equal(
        request_set_text(&f->r, &o[i], "/c,/d", REQUEST_COMMAND_LINE, &f->err), 0);
    assert_int_equal(f->r.mount_paths.count, 3);
    assert_string_equal(f->r.mount_paths.items[2], "/d");
    assert_int_equal(
        request_set_text(&f->r, &o[i], NULL, REQUEST_COMMAND_LINE, &f->err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_option_from_argv),
        TEST(test_every_letter),
        TEST(test_every_option_from_env),
        TEST(test_letters_and_names_are_unique),
        TEST(test_forms_of_values),
        TEST(test_the_last_of_two_wins),
        TEST(test_positionals_and_command),
        TEST(test_unique_prefixes),
        TEST(test_misspelt_options),
        TEST(test_options_of_other_commands),
        TEST(test_missing_and_bad_values),
        TEST(test_env_lists),
        TEST(test_env_flags_and_faults),
        TEST(test_command_line_beats_env),
        TEST(test_runtime),
        TEST(test_validate),
        TEST(test_to_argv_round_trip),
        TEST(test_to_env_round_trip),
        TEST(test_options_of_steps_are_no_others),
        TEST(test_help_fits),
        TEST(test_request_set_for_other_readers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
