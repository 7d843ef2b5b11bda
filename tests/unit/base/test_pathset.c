#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/pathset.h"

static const char *cover(const struct pathset *s, const char *path)
{
    const struct pathset_item *i = pathset_cover(s, path);

    return i ? i->path : "-";
}

static void nearest_above(void **state)
{
    struct pathset s = PATHSET_INIT;

    assert_string_equal(cover(&s, "/a"), "-");
    assert_true(pathset_add(&s, "/a/b", 1));
    assert_true(pathset_add(&s, "/a", 2));
    assert_true(pathset_add(&s, "/a/b/c/d", 3));
    assert_true(pathset_add(&s, "/a-b", 4));
    assert_false(pathset_add(&s, "/a/b", 5));
    assert_string_equal(cover(&s, "/a"), "/a");
    assert_string_equal(cover(&s, "/a/x/y"), "/a");
    assert_string_equal(cover(&s, "/a/b/c"), "/a/b");
    assert_string_equal(cover(&s, "/a/b/c/d"), "/a/b/c/d");
    assert_string_equal(cover(&s, "/a/b/c/dd"), "/a/b");
    assert_string_equal(cover(&s, "/a-b/x"), "/a-b");
    assert_string_equal(cover(&s, "/ab"), "-");
    assert_string_equal(cover(&s, "/"), "-");
    assert_int_equal(pathset_cover(&s, "/a/b/z")->value, 1);
    assert_true(pathset_add(&s, "/", 6));
    assert_string_equal(cover(&s, "/"), "/");
    assert_string_equal(cover(&s, "/zzz/y"), "/");
    assert_string_equal(cover(&s, "/a/q"), "/a");
    pathset_release(&s);
}

/* Neighbours in the order of bytes hide a directory that is not right before. */
static void siblings_between(void **state)
{
    struct pathset s = PATHSET_INIT;

    (void)state;
    pathset_add(&s, "/a/b", 1);
    pathset_add(&s, "/a/b-c", 2);
    pathset_add(&s, "/a/b.d/e", 3);
    pathset_add(&s, "/a/b/c+/d", 4);
    assert_string_equal(cover(&s, "/a/b/c"), "/a/b");
    assert_string_equal(cover(&s, "/a/b/c/d"), "/a/b");
    assert_string_equal(cover(&s, "/a/b/c+/e"), "/a/b");
    assert_string_equal(cover(&s, "/a/b/c+/d/e"), "/a/b/c+/d");
    assert_string_equal(cover(&s, "/a/b.d/f"), "-");
    pathset_add(&s, "/", 5);
    assert_string_equal(cover(&s, "/a/b.d/f"), "/");
    pathset_release(&s);
}

static void exactly_there(void **state)
{
    struct pathset s = PATHSET_INIT;

    (void)state;
    assert_null(pathset_find(&s, "/a"));
    pathset_add(&s, "/a", 1);
    pathset_add(&s, "/a/b", 2);
    assert_int_equal(pathset_find(&s, "/a")->value, 1);
    assert_int_equal(pathset_find(&s, "/a/b")->value, 2);
    assert_null(pathset_find(&s, "/a/b/c"));
    assert_null(pathset_find(&s, "/a/"));
    assert_null(pathset_find(&s, "/"));
    pathset_release(&s);
}

/* Against the obvious way, for many paths of a small alphabet. */
static void as_a_list_would_say(void **state)
{
    static char paths[400][32];
    struct pathset s = PATHSET_INIT;
    unsigned seed = 1;

    for (size_t i = 0; i < 400; i++) {
        size_t n = 0, depth;

        seed = seed * 1103515245u + 12345u;
        depth = 1 + seed / 65536u % 4;
        for (size_t d = 0; d < depth; d++) {
            seed = seed * 1103515245u + 12345u;
            n += (size_t)snprintf(paths[i] + n, sizeof(paths[i]) - n, "/%c%s",
                                  "ab-"[seed / 65536u % 3],
                                  seed / 65536u % 7 == 0 ? "x" : "");
        }
    }
    for (size_t i = 0; i < 200; i++)
        pathset_add(&s, paths[i], i);
    for (size_t i = 0; i < 400; i++) {
        const char *best = "-";
        size_t most = 0;

        for (size_t k = 0; k < 200; k++) {
            size_t n = strlen(paths[k]);

            if (n > most && strncmp(paths[i], paths[k], n) == 0 &&
                (paths[i][n] == '/' || paths[i][n] == '\0')) {
                best = paths[k];
                most = n;
            }
        }
        assert_string_equal(cover(&s, paths[i]), best);
    }
    pathset_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearest_above),
        cmocka_unit_test(siblings_between),
        cmocka_unit_test(exactly_there),
        cmocka_unit_test(as_a_list_would_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
