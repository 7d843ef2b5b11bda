#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "launch/cdi.h"

#define assert_error(err, part)                                                        \
    do {                                                                               \
        if (!strstr((err)->text, (part)))                                              \
            fail_msg("'%s' is not in the error: %s", (part), (err)->text);             \
    } while (0)

static char *yaml_as_json(const char *text)
{
    struct error err = ERROR_INIT;
    json_t *doc = cdi_yaml_load(text, strlen(text), &err);
    char *json;

    if (!doc)
        fail_msg("%s", err.text);
    json = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    json_decref(doc);
    return json;
}

static void test_yaml_values(void **state)
{
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"a: 1\nb: \"1\"\nc: 0.5.0\nd: -7\n",
         "{\"a\":1,\"b\":\"1\",\"c\":\"0.5.0\",\"d\":-7}"},
        {"a: 012\nb: 0\nc: 1.5\nd: 99999999999999999999\n",
         "{\"a\":\"012\",\"b\":0,\"c\":\"1.5\",\"d\":\"99999999999999999999\"}"},
        {"a: true\nb: false\nc: 'true'\nd: yes\ne: ~\nf:\ng: null\n",
         "{\"a\":true,\"b\":false,\"c\":\"true\",\"d\":\"yes\",\"e\":null,\"f\":null,"
         "\"g\":null}"},
        {"---\n- x\n- [1, {y: z}]\n- - n\n...\n", "[\"x\",[1,{\"y\":\"z\"}],[\"n\"]]"},
        {"{\"k\": [\"\\u00e9\", null]}", "{\"k\":[\"\xc3\xa9\",null]}"},
        {"|\n  two\n  lines\n", "\"two\\nlines\\n\""},
    };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        char *json = yaml_as_json(cases[i].yaml);

        assert_string_equal(json, cases[i].json);
        free(json);
    }
}

static void assert_yaml_refused(const char *text, size_t len, const char *part)
{
    struct error err = ERROR_INIT;

    assert_null(cdi_yaml_load(text, len, &err));
    assert_error(&err, part);
}

static void test_yaml_refused(void **state)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"", "is empty"},
        {"# nothing\n", "is empty"},
        {"a: &x 1\nb: *x\n", "line 1: anchors, aliases and tags"},
        {"b: *x\n", "anchors, aliases and tags"},
        {"&a [*a]\n", "anchors, aliases and tags"},
        {"a: !!binary aGk=\n", "anchors, aliases and tags"},
        {"a: 1\nb: 2\na: 3\n", "line 3: a key that is there already"},
        {"? [x]\n: 1\n", "a key that is not plain text"},
        {"a: 1\n---\nb: 2\n", "a second document"},
        {"a: [1, 2\n", "not valid YAML, line"},
        {"a: \"x\\0y\"\n", "a NUL character"},
        {"\t- a\n", "not valid YAML"},
    };
    struct buf deep = BUF_INIT;

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++)
        assert_yaml_refused(cases[i].yaml, strlen(cases[i].yaml), cases[i].part);
    for (int i = 0; i < 40; i++)
        buf_addc(&deep, '[');
    for (int i = 0; i < 40; i++)
        buf_addc(&deep, ']');
    assert_yaml_refused(deep.data, deep.len, "too deep");
    buf_reset(&deep);
    for (int i = 0; i < 50001; i++)
        buf_adds(&deep, "- 1\n");
    assert_yaml_refused(deep.data, deep.len, "too many values");
    assert_yaml_refused("\xff\xfe\x00", 3, "YAML");
    buf_release(&deep);
}

static int parse(const char *yaml, struct cdi_spec *spec, struct error *err)
{
    json_t *doc = cdi_yaml_load(yaml, strlen(yaml), err);
    int r = doc ? cdi_spec_parse(doc, spec, err) : -1;

    json_decref(doc);
    return r;
}

#define HEAD "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\n"

static struct cdi one(struct cdi_spec *spec, const char *yaml)
{
    struct error err = ERROR_INIT;

    if (parse(yaml, spec, &err) < 0)
        fail_msg("%s", err.text);
    return (struct cdi){.specs = spec, .n = 1};
}

static void test_spec(void **state)
{
    struct cdi_spec *spec = calloc(1, sizeof(*spec));
    struct cdi cdi = one(
        spec, HEAD
        "devices:\n"
        "- name: 0\n"
        "  containerEdits:\n"
        "    deviceNodes: [{path: /dev/a}, {path: /dev/b, hostPath: /dev/c}]\n"
        "    env: [A=1, B=]\n"
        "- name: all\n"
        "containerEdits:\n"
        "  mounts:\n"
        "  - {hostPath: /h/l, containerPath: /c/l, options: [ro, bind]}\n"
        "  - {hostPath: /h/s, containerPath: /c/s, options: [rw]}\n"
        "  - {hostPath: tmpfs, containerPath: /c/t, type: tmpfs}\n"
        "  hooks:\n"
        "  - {hookName: createContainer, path: /x/nvidia-ctk, args: [nvidia-ctk, "
        "hook,\n"
        "     create-symlinks, --link, a::/l/a, --link=../b::/l/b]}\n"
        "  - {hookName: createContainer, path: /x/hook, args: [x, create-symlinks,\n"
        "     --link, c::/l/c]}\n"
        "  - {hookName: createContainer, path: /x/n, args: [n, hook, update-ldcache]}\n"
        "  - {hookName: createContainer, path: /x/n, args: [n, chmod, --mode, '755']}\n"
        "  - {hookName: prestart, path: /x/other, args: [other]}\n"
        "  - {hookName: prestart, path: /x/none}\n");

    (void)state;
    assert_string_equal(spec->kind, "nvidia.com/gpu");
    assert_true(cdi_is_gpu(spec));
    assert_int_equal(spec->n_devices, 2);
    assert_string_equal(spec->devices[0].name, "0");
    assert_int_equal(spec->devices[0].edits.n_nodes, 2);
    assert_string_equal(spec->devices[0].edits.nodes[0].host_path, "/dev/a");
    assert_string_equal(spec->devices[0].edits.nodes[1].path, "/dev/b");
    assert_string_equal(spec->devices[0].edits.nodes[1].host_path, "/dev/c");
    assert_string_equal(spec->devices[0].edits.env.items[1], "B=");
    assert_int_equal(spec->devices[1].edits.n_nodes, 0);
    assert_int_equal(spec->edits.n_mounts, 2);
    assert_false(spec->edits.mounts[0].writable);
    assert_true(spec->edits.mounts[1].writable);
    assert_int_equal(spec->edits.n_links, 3);
    assert_string_equal(spec->edits.links[1].target, "../b");
    assert_string_equal(spec->edits.links[2].path, "/l/c");
    assert_int_equal(spec->edits.ignored.count, 3);
    assert_string_equal(spec->edits.ignored.items[0], "a mount of type tmpfs");
    assert_string_equal(spec->edits.ignored.items[1], "the hook /x/other");
    assert_string_equal(spec->edits.ignored.items[2], "the hook /x/none");
    cdi_release(&cdi);
}

static void test_spec_refused(void **state)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"[1]", "kind is not"},
        {"kind: gpu\ndevices: []\ncdiVersion: 0.5.0\n", "kind is not"},
        {"kind: a/b=c\ndevices: []\ncdiVersion: 0.5.0\n", "kind is not"},
        {"kind: a/b\ndevices: []\n", "cdiVersion is missing"},
        {HEAD, "devices is not a list"},
        {HEAD "devices: [{}]\n", "devices, entry 0: has no name"},
        {HEAD "devices: [{name: ''}]\n", "has no name"},
        {HEAD "devices: [{name: x, containerEdits: 1}]\n", "device x"},
        {HEAD "devices: []\ncontainerEdits: {env: [x]}\n", "env, entry 0"},
        {HEAD "devices: []\ncontainerEdits: {env: ['=x']}\n", "env, entry 0"},
        {HEAD "devices: []\ncontainerEdits: {env: x}\n", "env is not a list"},
        {HEAD "devices: []\ncontainerEdits: {deviceNodes: [{path: dev/x}]}\n",
         "deviceNodes, entry 0: path is not an absolute path"},
        {HEAD "devices: []\ncontainerEdits: {mounts: [{hostPath: /x}]}\n",
         "mounts, entry 0: containerPath"},
        {HEAD "devices: []\ncontainerEdits: {hooks: [{args: [a]}]}\n",
         "hooks, entry 0 has no path"},
        {HEAD "devices: []\ncontainerEdits: {hooks: [{path: /x, args: [x, "
              "create-symlinks, --link, 'a::b']}]}\n",
         "link 'a::b' is not TARGET::PATH"},
    };

    (void)state;
    for (size_t i = 0; i < array_size(cases); i++) {
        struct cdi cdi = {.specs = calloc(1, sizeof(struct cdi_spec)), .n = 1};
        struct error err = ERROR_INIT;

        assert_int_equal(parse(cases[i].yaml, cdi.specs, &err), -1);
        assert_error(&err, cases[i].part);
        cdi_release(&cdi);
    }
}

static struct cdi several(void)
{
    static const struct {
        const char *yaml, *file;
        size_t rank;
    } specs[] = {
        {HEAD "devices: [{name: '0'}, {name: '1'}, {name: twice}]\n", "/etc/a", 0},
        {HEAD "devices: [{name: twice}]\n", "/etc/b", 0},
        {HEAD "devices: [{name: '1'}]\n", "/run/c", 1},
        {"cdiVersion: 0.5.0\nkind: amd.com/gpu\ndevices: [{name: '0'}, {name: '5'}]\n",
         "/run/d", 1},
        {"cdiVersion: 0.5.0\nkind: v.com/net\ndevices: [{name: '7'}]\n", "/run/e", 1},
    };
    struct cdi cdi = {.specs = calloc(array_size(specs), sizeof(struct cdi_spec))};
    struct error err = ERROR_INIT;

    for (size_t i = 0; i < array_size(specs); i++) {
        struct cdi_spec *s = &cdi.specs[cdi.n++];

        if (parse(specs[i].yaml, s, &err) < 0)
            fail_msg("%s", err.text);
        s->file = strdup(specs[i].file);
        s->rank = specs[i].rank;
    }
    return cdi;
}

static void test_find(void **state)
{
    struct cdi cdi = several();
    struct error err = ERROR_INIT;
    struct cdi_choice c;
    char *name;

    (void)state;
    assert_int_equal(cdi_find(&cdi, "5", &c, &err), 0);
    name = cdi_name(&c);
    assert_string_equal(name, "amd.com/gpu=5");
    free(name);
    /* the later directory counts */
    assert_int_equal(cdi_find(&cdi, "1", &c, &err), 0);
    assert_string_equal(c.spec->file, "/run/c");
    assert_int_equal(cdi_find(&cdi, "nvidia.com/gpu=0", &c, &err), 0);
    assert_string_equal(c.spec->file, "/etc/a");
    assert_int_equal(cdi_find(&cdi, "v.com/net=7", &c, &err), 0);
    assert_false(cdi_is_gpu(c.spec));
    assert_int_equal(cdi_find(&cdi, "0", &c, &err), -1);
    assert_error(&err, "ambiguous: nvidia.com/gpu=0 and amd.com/gpu=0");
    assert_int_equal(cdi_find(&cdi, "twice", &c, &err), -1);
    assert_error(&err, "in two CDI specifications, /etc/a and /etc/b");
    assert_int_equal(cdi_find(&cdi, "7", &c, &err), -1);
    assert_error(&err, "there is no device '7'");
    assert_int_equal(cdi_find(&cdi, "nvidia.com/gp=0", &c, &err), -1);
    assert_int_equal(cdi_find(&cdi, "nvidia.com/gpu=", &c, &err), -1);
    cdi_release(&cdi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_yaml_values), cmocka_unit_test(test_yaml_refused),
        cmocka_unit_test(test_spec),        cmocka_unit_test(test_spec_refused),
        cmocka_unit_test(test_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
