/* golden: compares a text with a file below data/. With REPX_UPDATE_GOLDEN set the file
 * is written instead, to be looked at with git diff. */
#ifndef REPX_TESTS_GOLDEN_H
#define REPX_TESTS_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

static inline void golden_check(const char *dir, const char *name, const char *text)
{
    struct buf path = BUF_INIT, want = BUF_INIT;
    char chunk[4096];
    size_t n;
    FILE *f;

    buf_addf(&path, "%s/%s", dir, name);
    if (getenv("REPX_UPDATE_GOLDEN")) {
        f = fopen(buf_str(&path), "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
    }
    f = fopen(buf_str(&path), "r");
    if (!f)
        fail_msg("no golden file %s", buf_str(&path));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(&want, chunk, n);
    fclose(f);
    assert_string_equal(text, buf_str(&want));
    buf_release(&path);
    buf_release(&want);
}

#endif
