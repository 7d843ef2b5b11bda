#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "resolve/resolve.h"

/* An argv or environment of literals, which the code under test only reads. */
#define WORDS(...) ((char *const *)(uintptr_t)(const char *const[]){__VA_ARGS__, NULL})
#define EVERY                                                                          \
    (FOR_RUN | FOR_EXEC | FOR_LAUNCH | FOR_LAB | FOR_JOB | FOR_LIST | FOR_JSON |       \
     FOR_CONFIG | FOR_ALL)
#define HOME "HOME=/home/u"

struct fixture {
    struct request r;
    struct config c;
    struct settled s;
    struct error err;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    request_release(&f->r);
    config_release(&f->c);
    settled_release(&f->s);
    return 0;
}

static void config_text(struct fixture *f, const char *name, const char *text)
{
    if (config_parse(&f->c, text, strlen(text), name, true, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void ask(struct fixture *f, char *const *argv)
{
    if (request_parse(&f->r, EVERY, argv, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void ask_env(struct fixture *f, char *const *env)
{
    if (request_read_env(&f->r, env, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void settle_in(struct fixture *f, char *const *env)
{
    settled_release(&f->s);
    error_clear(&f->err);
    if (resolve(&f->s, &f->r, &f->c, env, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static void settle(struct fixture *f)
{
    settle_in(f, WORDS(HOME));
}

static void assert_refused_in(struct fixture *f, char *const *env,
                              const char *complaint)
{
    settled_release(&f->s);
    error_clear(&f->err);
    assert_int_equal(resolve(&f->s, &f->r, &f->c, env, &f->err), -1);
    if (!strstr(f->err.text, complaint))
        fail_msg("'%s' lacks '%s'", f->err.text, complaint);
    assert_null(f->s.target);
}

static void assert_refused(struct fixture *f, const char *complaint)
{
    assert_refused_in(f, WORDS(HOME), complaint);
}

static void assert_origin(const struct fixture *f, const char *name, const char *value,
                          const char *origin)
{
    const struct strv *o = &f->s.origins;

    assert_int_equal(o->count % 3, 0);
    for (size_t i = 0; i < o->count; i += 3) {
        if (strcmp(o->items[i], name) == 0) {
            assert_string_equal(o->items[i + 1], value);
            assert_string_equal(o->items[i + 2], origin);
            return;
        }
    }
    fail_msg("no origin of %s", name);
}

static void assert_runtimes(const struct fixture *f, const char *joined)
{
    _cleanup_buf_ struct buf all = BUF_INIT;

    for (size_t i = 0; i < f->s.runtimes.count; i++)
        buf_addf(&all, "%s%s", i ? " " : "", f->s.runtimes.items[i]);
    assert_string_equal(buf_str(&all), joined);
}

static void test_nothing_configured(void **state)
{
    struct fixture *f = *state;

    settle(f);
    assert_string_equal(f->s.target, "local");
    assert_string_equal(f->s.scheduler, "local");
    assert_string_equal(f->s.base_path, "/home/u/.repx/store");
    assert_null(f->s.node_local_path);
    assert_runtimes(f, "bwrap");
    assert_false(f->s.runtime_forced);
    assert_false(f->s.mount_host_paths);
    assert_false(f->s.network_host);
    assert_int_equal(f->s.grace, 25);
    assert_int_equal(f->s.cache_max_size, 0);
    assert_int_equal(f->s.mount_paths.count, 0);
    assert_true(strv_contains(&f->s.env_pass, "SLURM_*"));
    assert_origin(f, "target", "local", "built-in");
    assert_origin(f, "base_path", "/home/u/.repx/store", "built-in");
    assert_origin(f, "runtimes", "bwrap", "built-in");
    assert_origin(f, "network", "none", "built-in");
    assert_origin(f, "grace", "25", "built-in");
}

/* One key over every level, the weakest first. */
static void test_precedence_of_one_key(void **state)
{
    struct fixture *f = *state;

    settle(f);
    assert_origin(f, "base_path", "/home/u/.repx/store", "built-in");
    config_text(f, "site", "[targets.local]\nbase_path = /site\n");
    settle(f);
    assert_origin(f, "base_path", "/site", "site:2");
    config_text(f, "config.toml", "\n[targets.local]\nbase_path = \"/toml\"\n");
    settle(f);
    assert_origin(f, "base_path", "/toml", "config.toml:3");
    config_text(f, "repx.ini", "[targets.local]\nbase_path = /ini\n");
    settle(f);
    assert_origin(f, "base_path", "/ini", "repx.ini:2");
    config_text(f, "extra", "[targets.local]\nbase_path = /extra\n");
    settle(f);
    assert_origin(f, "base_path", "/extra", "extra:2");
    ask_env(f, WORDS("REPX_BASE_PATH=/env"));
    settle(f);
    assert_origin(f, "base_path", "/env", "environment REPX_BASE_PATH");
    ask(f, WORDS("--base-path=/cli"));
    settle(f);
    assert_origin(f, "base_path", "/cli", "command line --base-path");
    assert_string_equal(f->s.base_path, "/cli");
}

static void test_target_in_force(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.one]\nbase_path = /one\n");
    settle(f);
    assert_string_equal(f->s.target, "one");
    config_text(f, "g", "[targets.two]\nbase_path = /two\n");
    assert_refused(f,
                   "several targets are configured and none is chosen: one, two; give "
                   "--target");
    config_text(f, "h", "[targets.local]\nbase_path = /local\n");
    settle(f);
    assert_string_equal(f->s.base_path, "/local");
    config_text(f, "i", "submission_target = two\n");
    settle(f);
    assert_origin(f, "target", "two", "i:1");
    ask_env(f, WORDS("REPX_TARGET=local"));
    settle(f);
    assert_origin(f, "target", "local", "environment REPX_TARGET");
    ask(f, WORDS("-tone"));
    settle(f);
    assert_origin(f, "target", "one", "command line --target");
    assert_string_equal(f->s.base_path, "/one");
}

static void test_unknown_target(void **state)
{
    struct fixture *f = *state;

    ask(f, WORDS("--target=tow"));
    assert_refused(f, "unknown target 'tow' (command line --target): no configuration");
    config_text(f, "f", "submission_target = x\n[targets.one]\n[targets.two]\n");
    assert_refused(f,
                   "unknown target 'tow' (command line --target); there are: one, two; "
                   "did you mean two?");
    request_release(&f->r);
    assert_refused(f, "unknown target 'x' (f:1); there are: one, two");
    ask(f, WORDS("--target=local"));
    assert_refused(f, "unknown target 'local'");
}

static void test_scheduler(void **state)
{
    struct fixture *f = *state;
    char *const *in_job = WORDS(HOME, "SLURM_JOB_ID=7");

    settle_in(f, in_job);
    assert_string_equal(f->s.scheduler, "local");
    config_text(f, "f", "[targets.a.local]\nexecution_types = native\n");
    settle_in(f, in_job);
    assert_string_equal(f->s.scheduler, "local");
    assert_runtimes(f, "native");
    config_text(f, "g", "[targets.a.slurm]\nexecution_types = podman, bwrap\n");
    settle_in(f, in_job);
    assert_origin(f, "scheduler", "slurm", "environment SLURM_JOB_ID");
    assert_runtimes(f, "podman bwrap");
    settle(f);
    assert_string_equal(f->s.scheduler, "local");
    config_text(f, "h", "default_scheduler = slurm\n");
    settle(f);
    assert_origin(f, "scheduler", "slurm", "h:1");
    config_text(f, "i", "[targets.a]\ndefault_scheduler = local\n");
    settle(f);
    assert_origin(f, "scheduler", "local", "i:2");
    settle_in(f, in_job);
    assert_string_equal(f->s.scheduler, "slurm");
}

static void test_only_a_slurm_section(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a.slurm]\nexecution_types = podman\n");
    settle(f);
    assert_string_equal(f->s.scheduler, "slurm");
    assert_origin(f, "runtimes", "podman", "f:2");
    /* A section without the list does not borrow the other one's. */
    config_text(f, "g", "[targets.a.local]\n");
    settle(f);
    assert_string_equal(f->s.scheduler, "local");
    assert_runtimes(f, "bwrap");
}

static void test_default_execution_type(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f",
                "[targets.a]\ndefault_execution_type = podman\n"
                "[targets.a.local]\nexecution_types = bwrap, podman, bwrap\n");
    settle(f);
    assert_runtimes(f, "podman bwrap");
    config_text(f, "g", "[targets.a.local]\ndefault_execution_type = bwrap\n");
    settle(f);
    assert_runtimes(f, "bwrap podman");
    /* One that is not listed does not come in by this door. */
    config_text(f, "h", "[targets.a.local]\ndefault_execution_type = native\n");
    settle(f);
    assert_runtimes(f, "bwrap podman");
}

static void test_runtime_faults(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f",
                "[targets.a.local]\nexecution_types = [\"bwrap\", \"bwarp\"]\n");
    assert_refused(f, "f:2: execution_types: unknown runtime 'bwarp'");
    config_text(f, "g", "[targets.a.local]\nexecution_types = []\n");
    assert_refused(f, "g:2: execution_types is empty");
    ask(f, WORDS("--runtime=magic"));
    assert_refused(f, "command line --runtime: unknown runtime 'magic'");
    ask(f, WORDS("--runtime=bwrap", "--native"));
    assert_refused(f, "two runtimes are asked for");
    config_text(f, "h", "[policy]\nallowed_runtimes = bwarp\n");
    assert_refused(f, "h:2: allowed_runtimes: unknown runtime 'bwarp'");
}

static void test_forced_runtime(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a.local]\nexecution_types = bwrap\n");
    ask_env(f, WORDS("REPX_RUNTIME=podman", "REPX_NATIVE=0"));
    settle(f);
    assert_runtimes(f, "podman");
    assert_true(f->s.runtime_forced);
    assert_origin(f, "runtimes", "podman", "environment REPX_RUNTIME");
    ask(f, WORDS("--native"));
    settle(f);
    assert_origin(f, "runtimes", "native", "command line --native");
    config_text(f, "g", "[policy]\nallowed_runtimes = bwrap, podman\n");
    assert_refused(f, "runtime native (command line --native) is not allowed here: g:2 "
                      "sets allowed_runtimes = [bwrap, podman]");
}

static void test_allowed_runtimes(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f",
                "[targets.a.local]\nexecution_types = native, podman, bwrap\n"
                "[policy]\nallowed_runtimes = bwrap, podman\n");
    settle(f);
    assert_runtimes(f, "podman bwrap");
    config_text(f, "g", "[policy]\nallowed_runtimes = docker\n");
    assert_refused(f, "runtime native, podman, bwrap (f:2) is not allowed here: g:2");
    config_text(f, "h", "[policy]\nallowed_runtimes = []\n");
    assert_refused(f, "is not allowed here: h:2");
}

static void test_paths(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *cwd = getcwd(NULL, 0);
    _cleanup_free_ char *expected = str_printf("%s/here", cwd);

    config_text(f, "f", "[targets.a]\nbase_path = rel/x\n");
    assert_refused(f, "f:2: base_path 'rel/x' is not an absolute path");
    config_text(f, "g",
                "[targets.a]\nbase_path = /b//c/\nnode_local_path = /n/$NOPE\n");
    assert_refused(f, "g:3: node_local_path: '/n/$NOPE': $NOPE is not set");
    settle_in(f, WORDS(HOME, "NOPE=yes"));
    assert_string_equal(f->s.base_path, "/b/c");
    assert_origin(f, "node_local_path", "/n/yes", "g:3");
    ask(f, WORDS("-b", "./here", "--node-local-path=/n/%j"));
    assert_refused(f, "command line --node-local-path: node_local_path: '/n/%j': "
                      "$SLURM_JOB_ID is not set");
    settle_in(f, WORDS(HOME, "SLURM_JOB_ID=12"));
    assert_string_equal(f->s.base_path, expected);
    assert_string_equal(f->s.node_local_path, "/n/12");
}

static void test_mount_paths(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *cwd = getcwd(NULL, 0);
    _cleanup_free_ char *relative = str_printf("%s/data:/d:ro", cwd);

    config_text(f, "f",
                "[targets.a]\nmount_paths = [\"~/data\", \"/x:/y\", \"/z:/z:ro\"]\n"
                "[policy]\nforced_mounts = /motd, /w:/w:rw\n");
    ask(f, WORDS("--mount-path=/$V\\:c", "--mount-path=data:/d", "-m/e/../f:/g:rw"));
    settle_in(f, WORDS(HOME, "V=a:b"));
    assert_int_equal(f->s.mount_paths.count, 6);
    assert_string_equal(f->s.mount_paths.items[0], "/home/u/data:/home/u/data:rw");
    assert_string_equal(f->s.mount_paths.items[1], "/x:/y:rw");
    assert_string_equal(f->s.mount_paths.items[2], "/z:/z:ro");
    assert_string_equal(f->s.mount_paths.items[3], "/a\\:b\\:c:/a\\:b\\:c:ro");
    assert_string_equal(f->s.mount_paths.items[4], relative);
    assert_string_equal(f->s.mount_paths.items[5], "/f:/g:rw");
    assert_origin(f, "mount_paths", "/home/u/data:/home/u/data:rw", "f:2");
    assert_int_equal(f->s.forced_mounts.count, 2);
    assert_string_equal(f->s.forced_mounts.items[0], "/motd:/motd:ro");
    assert_string_equal(f->s.forced_mounts.items[1], "/w:/w:rw");
}

static void test_mount_faults(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a]\nmount_paths = /x:y\n");
    assert_refused(f, "f:2: mount_paths: mount '/x:y'");
    assert_int_equal(f->err.class, ERROR_LAUNCHER);
    config_text(f, "g", "[targets.a]\nmount_paths = $V\n");
    assert_refused_in(f, WORDS(HOME, "V=rel"),
                      "g:2: mount_paths: 'rel' is not an absolute path");
    config_text(f, "h", "[targets.a]\nmount_paths = []\n");
    ask(f, WORDS("-m/a:/b/$V"));
    assert_refused_in(f, WORDS(HOME, "V=../.."),
                      "command line --mount-path: mount_paths: "
                      "mount '/a:/b/../..:ro'");
    assert_int_equal(f->err.class, ERROR_USAGE);
}

static void test_network(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a]\nmount_host_paths = true\n");
    settle(f);
    assert_true(f->s.mount_host_paths);
    assert_true(f->s.network_host);
    assert_origin(f, "network", "host", "implied by mount_host_paths");
    ask(f, WORDS("--network=none"));
    settle(f);
    assert_false(f->s.network_host);
    ask(f, WORDS("--mount-host-paths=no"));
    settle(f);
    assert_origin(f, "mount_host_paths", "false", "command line --mount-host-paths");
    request_release(&f->r);
    config_text(f, "g", "[targets.a]\nmount_host_paths = false\nnetwork = host\n");
    settle(f);
    assert_origin(f, "network", "host", "g:3");
    config_text(f, "h", "[policy]\nallow_host_network = false\n");
    assert_refused(f, "network host (g:3) is not allowed here: h:2 sets "
                      "allow_host_network = false");
    ask(f, WORDS("--network=none"));
    settle(f);
    ask(f, WORDS("--network=host"));
    assert_refused(f, "network host (command line --network) is not allowed here: h:2");
    request_release(&f->r);
    config_text(f, "i", "[targets.b]\n");
    ask(f, WORDS("--mount-host-paths", "--target=b"));
    assert_refused(f, "network host (implied by mount_host_paths) is not allowed");
}

static void test_gpus(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a]\n");
    settle(f);
    assert_string_equal(f->s.gpus, "none");
    assert_origin(f, "gpus", "none", "built-in");
    assert_int_equal(f->s.cdi_dirs.count, 2);
    assert_string_equal(f->s.cdi_dirs.items[0], "/etc/cdi");
    config_text(f, "g",
                "[targets.a]\ngpus = auto\n[policy]\ncdi_dirs = [\"/opt/cdi\"]\n");
    settle(f);
    assert_origin(f, "gpus", "auto", "g:2");
    assert_int_equal(f->s.cdi_dirs.count, 1);
    assert_string_equal(f->s.cdi_dirs.items[0], "/opt/cdi");
    ask(f, WORDS("--gpus=0,1"));
    settle(f);
    assert_origin(f, "gpus", "0,1", "command line --gpus");
    config_text(f, "h", "[policy]\nallow_gpus = false\n");
    assert_refused(f, "gpus 0,1 (command line --gpus) is not allowed here: h:2 sets "
                      "allow_gpus = false");
    ask(f, WORDS("--gpus=none"));
    settle(f);
    config_text(f, "i", "[policy]\ncdi_dirs = [\"~/cdi\"]\n");
    assert_refused(f, "i:2: cdi_dirs must be absolute paths");
}

static void test_impure_refused(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f",
                "[policy]\nallow_impure = false\nforced_mounts = /motd\n"
                "[targets.a]\n");
    settle(f);
    assert_int_equal(f->s.forced_mounts.count, 1);
    ask_env(f, WORDS("REPX_MOUNT_HOST_PATHS=1"));
    assert_refused(
        f, "mount_host_paths (environment REPX_MOUNT_HOST_PATHS) is not allowed "
           "here: f:2 sets allow_impure = false");
    request_release(&f->r);
    ask(f, WORDS("-m/a"));
    assert_refused(f,
                   "mount_paths (command line --mount-path) is not allowed here: f:2");
    request_release(&f->r);
    config_text(f, "g", "[targets.a]\nmount_paths = /x\n");
    assert_refused(f, "mount_paths (g:2) is not allowed here: f:2");
}

static void test_forbidden_mounts(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *mount;
        bool refused;
    } cases[] = {
        {"/no/secret", true},   {"/no/secret/deep", true},
        {"/no/secrets", false}, {"/no/sec", false},
        {"/no", true},          {"/no/x/../secret", true},
        {"/elsewhere", false},  {"/home/u/keys/a", true},
    };

    config_text(f, "f", "[policy]\nforbidden_mounts = /no/secret/, ~/keys\n");
    for (size_t i = 0; i < array_size(cases); i++) {
        _cleanup_free_ char *word = str_printf("-m%s:/d", cases[i].mount);

        request_release(&f->r);
        ask(f, WORDS(word));
        if (cases[i].refused)
            assert_refused(f, "is not allowed here: f:2 forbids mounts of ");
        else
            settle(f);
    }
    request_release(&f->r);
    ask(f, WORDS("--mount-host-paths"));
    assert_refused(f, "mount_host_paths: '/' is not allowed here: f:2");
}

/* A link does not lead around the rule, from either side. */
static void test_forbidden_through_links(void **state)
{
    struct fixture *f = *state;
    const char *base = getenv("TMPDIR");
    _cleanup_free_ char *dir =
        str_printf("%s/repx-resolve-XXXXXX", base && *base ? base : "/tmp");
    _cleanup_free_ char *real = NULL, *link = NULL, *rule = NULL, *word = NULL;

    assert_non_null(mkdtemp(dir));
    real = str_printf("%s/real", dir);
    link = str_printf("%s/link", dir);
    rule = str_printf("[policy]\nforbidden_mounts = %s\n", real);
    word = str_printf("-m%s:/d", link);
    assert_int_equal(mkdir(real, 0755), 0);
    assert_int_equal(symlink(real, link), 0);
    config_text(f, "f", rule);
    ask(f, WORDS(word));
    assert_refused(f, "f:2 forbids mounts of ");
    free(rule);
    free(word);
    rule = str_printf("[policy]\nforbidden_mounts = %s\n", link);
    word = str_printf("-m%s:/d", real);
    config_text(f, "g", rule);
    request_release(&f->r);
    ask(f, WORDS(word));
    assert_refused(f, "g:2 forbids mounts of ");
    unlink(link);
    rmdir(real);
    rmdir(dir);
}

static void test_cache_limits(void **state)
{
    struct fixture *f = *state;

    config_text(f, "f", "[targets.a]\ncache_max_size = 10G\ncache_min_free = 1G\n");
    settle(f);
    assert_true(f->s.cache_max_size == 10ULL << 30);
    assert_origin(f, "cache_min_free", "1073741824", "f:3");
    config_text(f, "s", "[policy]\ncache_max_size = 20G\ncache_min_free = 512M\n");
    settle(f);
    assert_origin(f, "cache_max_size", "10737418240", "f:2");
    assert_origin(f, "cache_min_free", "1073741824", "f:3");
    config_text(f, "t", "[policy]\ncache_max_size = 5G\ncache_min_free = 2G\n");
    settle(f);
    assert_origin(f, "cache_max_size", "5368709120", "t:2");
    assert_origin(f, "cache_min_free", "2147483648", "t:3");
    config_text(f, "u", "[targets.a]\ncache_max_size = 0\n");
    settle(f);
    assert_origin(f, "cache_max_size", "5368709120", "t:2");
}

static void test_environment_and_grace(void **state)
{
    struct fixture *f = *state;
    _cleanup_strv_ struct strv passed = STRV_INIT;

    config_text(f, "f", "[targets.a]\nenv_pass = MY_*, ONE, TZ\ngrace = 1m\n");
    ask(f, WORDS("-eA=1", "-eB"));
    settle(f);
    assert_int_equal(f->s.env_set.count, 2);
    assert_string_equal(f->s.env_set.items[1], "B");
    assert_int_equal(f->s.grace, 60);
    resolve_env_pass(&f->s,
                     WORDS("ONE=1", "ONEMORE=1", "MY_=x", "PATH=/x", "SLURM_JOB_ID=3",
                           "SLURMD=1", "TZ=UTC", "LC_ALL=C", "LCX=1", "HOME=/x",
                           "CUDA_VISIBLE_DEVICES=0", "novalue", "MY=1"),
                     &passed);
    assert_int_equal(passed.count, 6);
    assert_string_equal(passed.items[0], "ONE=1");
    assert_string_equal(passed.items[1], "MY_=x");
    assert_string_equal(passed.items[2], "SLURM_JOB_ID=3");
    assert_string_equal(passed.items[5], "CUDA_VISIBLE_DEVICES=0");
    ask(f, WORDS("--grace=0"));
    settle(f);
    assert_int_equal(f->s.grace, 0);
    assert_origin(f, "grace", "0", "command line --grace");
}

static void test_images_allowed(void **state)
{
    struct fixture *f = *state;
    char hex[65];

    memset(hex, 'a', 64);
    hex[64] = '\0';
    assert_int_equal(resolve_image_allowed(&f->c, "/any", hex, &f->err), 0);
    config_text(f, "f",
                "[policy]\nallowed_images = [\n\"/srv/images/\",\n"
                "\"sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
                "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"\n]\n");
    assert_int_equal(resolve_image_allowed(&f->c, "/srv/images", hex, &f->err), 0);
    assert_int_equal(resolve_image_allowed(&f->c, "/srv/images/a.tar", NULL, &f->err),
                     0);
    assert_int_equal(resolve_image_allowed(&f->c, "/srv/images2", hex, &f->err), -1);
    assert_non_null(strstr(f->err.text, "image /srv/images2 (sha256:aaaa"));
    assert_non_null(strstr(f->err.text, "is not allowed here: f:2 lists"));
    memset(hex, 'b', 64);
    assert_int_equal(resolve_image_allowed(&f->c, "/srv/images2", hex, &f->err), 0);
    assert_int_equal(resolve_image_allowed(&f->c, NULL, hex, &f->err), 0);
    assert_int_equal(resolve_image_allowed(&f->c, NULL, NULL, &f->err), -1);
}

/* A tree that is used in place is shown as a mount is. */
static void test_tree_allowed(void **state)
{
    struct fixture *f = *state;
    char *env[] = {NULL};

    assert_int_equal(resolve_tree_allowed(&f->c, env, "/", &f->err), 0);
    config_text(f, "f",
                "[policy]\nallow_impure = false\nforbidden_mounts = [\"/secret\"]\n");
    assert_int_equal(resolve_tree_allowed(&f->c, env, "/srv/tree", &f->err), 0);
    assert_int_equal(resolve_tree_allowed(&f->c, env, "/secret/tree", &f->err), -1);
    assert_non_null(strstr(f->err.text, "forbids mounts of /secret"));
    assert_int_equal(resolve_tree_allowed(&f->c, env, "/", &f->err), -1);
    assert_non_null(strstr(f->err.text, "f:2"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_configured),
        TEST(test_precedence_of_one_key),
        TEST(test_target_in_force),
        TEST(test_unknown_target),
        TEST(test_scheduler),
        TEST(test_only_a_slurm_section),
        TEST(test_default_execution_type),
        TEST(test_runtime_faults),
        TEST(test_forced_runtime),
        TEST(test_allowed_runtimes),
        TEST(test_paths),
        TEST(test_mount_paths),
        TEST(test_mount_faults),
        TEST(test_network),
        TEST(test_gpus),
        TEST(test_impure_refused),
        TEST(test_tree_allowed),
        TEST(test_forbidden_mounts),
        TEST(test_forbidden_through_links),
        TEST(test_cache_limits),
        TEST(test_environment_and_grace),
        TEST(test_images_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
