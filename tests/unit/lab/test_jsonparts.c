/* jsonparts: whatever it accepts is what jansson reads as a whole. */
#include "unit/lab/fixture.h"

#include "lab/jsonparts.h"

static const char good[] = "{\"name\" : \"r\", \"jobs\":\n{ \"a\" : "
                           "{\"x\":[1,{\"y\":\"}]\\\"{\"}],\"z\":-1.5e3},"
                           "\"b\\u0041\\\\\":[ ], \"c\":\"\\\"\", \"d\" :null "
                           ",\"e\":12 } ,\"type\":\"run\"}\n";

static bool read_part(void *arg, size_t i)
{
    void *const *to = arg;
    const struct jsonparts *p = to[0];
    json_t *value = jsonparts_value(p, i);
    char *key = jsonparts_key(p, i);
    bool good_part = value && key;

    if (good_part)
        json_object_set(to[1], key, value);
    json_decref(value);
    free(key);
    return good_part;
}

/* What is read of the member in parts; NULL: it is left to jansson. */
static json_t *in_parts(const char *text, size_t len)
{
    struct jsonparts p = JSONPARTS_INIT;
    json_t *rest = NULL, *found = json_object();
    void *arg[] = {&p, found};
    bool accepted = jsonparts_find(&p, text, len, "jobs", '{', 0) &&
                    (rest = jsonparts_rest(&p)) && jsonparts_each(&p, read_part, arg);

    /* whoever uses the keys sees that one is repeated */
    accepted = accepted && json_object_size(found) == p.n;
    json_decref(rest);
    jsonparts_release(&p);
    if (accepted)
        return found;
    json_decref(found);
    return NULL;
}

/* True: it was accepted. */
static bool compare(const char *text, size_t len)
{
    json_t *whole = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    json_t *parts = in_parts(text, len);
    bool accepted = parts != NULL;

    if (accepted && (!whole || !json_equal(json_object_get(whole, "jobs"), parts)))
        fail_msg("accepted: %.*s", (int)len, text);
    json_decref(whole);
    json_decref(parts);
    return accepted;
}

static void what_is_accepted_is_what_it_is(void **state)
{
    assert_true(compare(good, strlen(good)));
    assert_true(compare("{\"jobs\":{}}", 11));
}

static void every_wrong_byte(void **state)
{
    static const char bytes[] = "{}[]\",:\\ \n0a\x01\xff\x00";
    size_t n = strlen(good);
    char text[sizeof(good) + 1];
    unsigned accepted = 0;

    for (size_t at = 0; at <= n; at++)
        for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
            memcpy(text, good, n);
            if (at < n) {
                text[at] = bytes[b];
                accepted += compare(text, n);
            }
            memcpy(text, good, at);
            text[at] = bytes[b];
            memcpy(text + at + 1, good + at, n - at);
            accepted += compare(text, n + 1);
        }
    /* blanks, and letters in strings */
    assert_in_range(accepted, 100, 2000);
}

static void every_byte_missing(void **state)
{
    size_t n = strlen(good);
    char text[sizeof(good)];

    for (size_t at = 0; at < n; at++) {
        memcpy(text, good, at);
        memcpy(text + at, good + at + 1, n - at - 1);
        compare(text, n - 1);
        assert_false(at > 0 && at < n - 1 && compare(good, at));
    }
}

static void what_is_left_to_jansson(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"jobs\":[]}",
        "{\"jobs\":7}",
        "{\"job\":{}}",
        "{\"\\u006aobs\":{}}",
        "{\"jobs\":{},\"jobs\":{}}",
        "{\"jobs\":{},\"\\u006aobs\":{}}",
        "{\"jobs\":{\"a\":1,\"\\u0061\":2}}",
        "{\"jobs\":{\"a\":1,}}",
        "{\"jobs\":{,}}",
        "{\"jobs\":{\"a\":}}",
        "{\"jobs\":{\"a\" 1}}",
        "{\"jobs\":{\"a\":1 2}}",
        "{\"jobs\":{\"a\":[}}}",
        "{\"jobs\":{}}x",
        "{\"x\":{\"jobs\":{}}}",
        "{\"jobs\":{\"a\":{\"b\":1,\"b\":2}}}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        if (compare(texts[i], strlen(texts[i])))
            fail_msg("accepted: %s", texts[i]);
}

/* What jansson refuses in the document only, because it is deeper there by two. */
static void depth(void **state)
{
    for (size_t n = 900; n <= 2100; n += n < 2030 ? 50 : 1) {
        struct buf text = BUF_INIT;

        buf_adds(&text, "{\"jobs\":{\"a\":");
        for (size_t i = 0; i < n; i++)
            buf_addc(&text, '[');
        for (size_t i = 0; i < n; i++)
            buf_addc(&text, ']');
        buf_adds(&text, "}}");
        assert_int_equal(compare(buf_str(&text), text.len), n < 1000);
        buf_release(&text);
    }
}

static void short_members(void **state)
{
    static const char text[] = "{\"jobs\":{\"a\":[1,2],\"b\":[1]}}";
    struct jsonparts p = JSONPARTS_INIT;

    assert_true(jsonparts_find(&p, text, strlen(text), "jobs", '{', 3));
    assert_int_equal(p.n, 2);
    jsonparts_release(&p);
    assert_false(jsonparts_find(&p, text, strlen(text), "jobs", '{', 4));
    jsonparts_release(&p);
}

/* More than one thread takes at once. */
static void many_jobs_in_order(void **state)
{
    struct lab_metadata_run run = {0};
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    char id[32];

    buf_adds(&text, "{\"name\":\"r\",\"jobs\":{");
    for (int i = 2000; i > 0; i--)
        buf_addf(&text,
                 "%s\"h-%d\":{\"executables\":{\"main\":{\"path\":\"jobs/h-%d/x\"}}}",
                 i < 2000 ? "," : "", i, i);
    buf_adds(&text, "}}");
    assert_int_equal(lab_metadata_parse_run(buf_str(&text), text.len, &run, &err), 0);
    assert_int_equal(run.n_jobs, 2000);
    for (int i = 0; i < 2000; i++) {
        snprintf(id, sizeof(id), "h-%d", 2000 - i);
        assert_string_equal(run.jobs[i].id, id);
    }
    lab_metadata_run_release(&run);
    /* the first of two that are wrong is named, a repeated one is refused */
    memcpy(strstr(text.data, "\"main\":{\"path\":\"jobs/h-1500/x"), "\"m_in\"", 6);
    memcpy(strstr(text.data, "\"main\":{\"path\":\"jobs/h-300/x"), "\"m_in\"", 6);
    assert_int_equal(lab_metadata_parse_run(buf_str(&text), text.len, &run, &err), -1);
    assert_error(&err, "job 'h-1500'");
    lab_metadata_run_release(&run);
    memcpy(strstr(text.data, "\"h-1999\""), "\"h-2000\"", 8);
    error_clear(&err);
    assert_int_equal(lab_metadata_parse_run(buf_str(&text), text.len, &run, &err), -1);
    assert_error(&err, "duplicate");
    lab_metadata_run_release(&run);
    buf_release(&text);
}

static void many_files_in_order(void **state)
{
    struct lab_manifest m = {0};
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;

    buf_adds(&text, "{\"labId\":\"l\",\"metadata\":\"revision/m\",\"files\":[");
    for (int i = 0; i < 2000; i++)
        buf_addf(&text, "%s{\"path\":\"jobs/%d\",\"sha256\":\"%064d\"}", i ? "," : "",
                 i, i);
    buf_adds(&text, "]}");
    assert_int_equal(lab_metadata_parse_manifest(buf_str(&text), text.len, &m, &err),
                     0);
    assert_int_equal(m.paths.count, 2000);
    assert_string_equal(m.paths.items[1234], "jobs/1234");
    assert_string_equal(m.sha256.items[1999] + 60, "1999");
    lab_manifest_release(&m);
    memcpy(strstr(text.data, "\"jobs/777\""), "\"/obs/777\"", 10);
    assert_int_equal(lab_metadata_parse_manifest(buf_str(&text), text.len, &m, &err),
                     -1);
    assert_error(&err, "files, entry 777");
    lab_manifest_release(&m);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_accepted_is_what_it_is),
        cmocka_unit_test(every_wrong_byte),
        cmocka_unit_test(every_byte_missing),
        cmocka_unit_test(what_is_left_to_jansson),
        cmocka_unit_test(depth),
        cmocka_unit_test(short_members),
        cmocka_unit_test(many_jobs_in_order),
        cmocka_unit_test(many_files_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
