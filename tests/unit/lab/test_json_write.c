#include "unit/lab/fixture.h"

#include <float.h>

#include "lab/json_write.h"
#include "lab/labjson.h"

static void assert_real(double v, const char *text)
{
    struct buf b = BUF_INIT;

    json_write_real(&b, v);
    assert_string_equal(buf_str(&b), text);
    buf_release(&b);
}

/* The right column is what serde_json (ryu) prints. */
static void test_reals(void **state)
{
    assert_real(0.0, "0.0");
    assert_real(-0.0, "-0.0");
    assert_real(1.0, "1.0");
    assert_real(-1.5, "-1.5");
    assert_real(0.1, "0.1");
    assert_real(0.1 + 0.2, "0.30000000000000004");
    assert_real(100.0, "100.0");
    assert_real(123456.789, "123456.789");
    assert_real(1e15, "1000000000000000.0");
    assert_real(1e16, "1e16");
    assert_real(1.5e16, "1.5e16");
    assert_real(1234567890123456.0, "1234567890123456.0");
    assert_real(12345678901234567.0, "1.2345678901234568e16");
    assert_real(0.0001, "0.0001");
    assert_real(0.00001, "0.00001");
    assert_real(0.000012345, "0.000012345");
    assert_real(1e-6, "1e-6");
    assert_real(1e-7, "1e-7");
    assert_real(1.25e-7, "1.25e-7");
    assert_real(5e-324, "5e-324");
    assert_real(DBL_MAX, "1.7976931348623157e308");
    assert_real(2.2250738585072014e-308, "2.2250738585072014e-308");
}

static void test_reals_read_back(void **state)
{
    uint64_t bits = 0x9e3779b97f4a7c15u;

    for (int i = 0; i < 20000; i++) {
        struct buf b = BUF_INIT;
        double v, w;

        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&v, &bits, sizeof(v));
        if (v - v != 0) /* infinite or no number */
            continue;
        json_write_real(&b, v);
        w = strtod(buf_str(&b), NULL);
        assert_memory_equal(&v, &w, sizeof(v));
        buf_release(&b);
    }
}

static void assert_text(const char *json, const char *pretty, const char *compact)
{
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    json_t *doc = labjson_load(json, strlen(json), 0, &err);

    assert_non_null(doc);
    json_write_pretty(&b, doc);
    assert_string_equal(buf_str(&b), pretty);
    buf_reset(&b);
    json_write_compact(&b, doc);
    assert_string_equal(buf_str(&b), compact);
    json_decref(doc);
    buf_release(&b);
}

static void test_documents(void **state)
{
    assert_text("{}", "{}", "{}");
    assert_text("[]", "[]", "[]");
    assert_text("{\"b\":[1,2.0,{}],\"a\":{\"y\":null,\"x\":[[]]},\"B\":true}",
                "{\n"
                "  \"B\": true,\n"
                "  \"a\": {\n"
                "    \"x\": [\n"
                "      []\n"
                "    ],\n"
                "    \"y\": null\n"
                "  },\n"
                "  \"b\": [\n"
                "    1,\n"
                "    2.0,\n"
                "    {}\n"
                "  ]\n"
                "}",
                "{\"B\":true,\"a\":{\"x\":[[]],\"y\":null},\"b\":[1,2.0,{}]}");
    assert_text("[9223372036854775807,-9223372036854775808,false]",
                "[\n  9223372036854775807,\n  -9223372036854775808,\n  false\n]",
                "[9223372036854775807,-9223372036854775808,false]");
}

static void test_strings(void **state)
{
    assert_text("[\"\\u00e9\\u4e2d\\ud83d\\ude00/\\/\\u007f\"]",
                "[\n  \"\303\251\344\270\255\360\237\230\200//\177\"\n]",
                "[\"\303\251\344\270\255\360\237\230\200//\177\"]");
    assert_text("[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"]",
                "[\n  \"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"\n]",
                "[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_reals_read_back),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
