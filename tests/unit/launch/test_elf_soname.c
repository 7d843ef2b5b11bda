#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launch/elf_soname.h"

/* The least that is a library: headers, a dynamic section, its strings. */
struct library {
    Elf64_Ehdr e;
    Elf64_Phdr p[2];
    Elf64_Dyn d[3];
    char strings[64];
};

#define BASE 0x10000

static struct library good(void)
{
    struct library l = {
        .e = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
              .e_type = ET_DYN,
              .e_phoff = offsetof(struct library, p),
              .e_phentsize = sizeof(Elf64_Phdr),
              .e_phnum = 2},
        .p = {{.p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = sizeof(l)},
              {.p_type = PT_DYNAMIC,
               .p_offset = offsetof(struct library, d),
               .p_filesz = sizeof(l.d)}},
        .d = {{.d_tag = DT_SONAME, .d_un = {.d_val = 5}},
              {.d_tag = DT_STRTAB,
               .d_un = {.d_ptr = BASE + offsetof(struct library, strings)}}},
        .strings = "\0abc\0libx.so.1",
    };

    return l;
}

static char *soname_of(const void *data, size_t len)
{
    int fd = memfd_create("library", MFD_CLOEXEC);
    char *name;

    assert_int_equal(write(fd, data, len), len);
    name = elf_soname(fd);
    close(fd);
    return name;
}

static void assert_name(const struct library *l, const char *want)
{
    char *name = soname_of(l, sizeof(*l));

    if (want)
        assert_string_equal(name, want);
    else
        assert_null(name);
    free(name);
}

static void test_name(void **state)
{
    struct library l = good();

    (void)state;
    assert_name(&l, "libx.so.1");
    l.d[0].d_un.d_val = 1;
    assert_name(&l, "abc");
}

static void test_no_library(void **state)
{
    struct library l = good();

    (void)state;
    assert_null(soname_of("", 0));
    assert_null(soname_of("#!/bin/sh\n", 10));
    for (size_t len = 0; len < offsetof(struct library, strings) + 6; len += 7)
        assert_null(soname_of(&l, len));
    l.e.e_type = ET_EXEC;
    assert_name(&l, NULL);
    l = good();
    l.e.e_ident[EI_CLASS] = ELFCLASS32;
    assert_name(&l, NULL);
    l = good();
    l.d[0].d_tag = DT_NULL;
    assert_name(&l, NULL);
}

/* Numbers that lead outside the file, or around the end of all numbers. */
static void test_lies(void **state)
{
    struct library l = good();

    (void)state;
    l.e.e_phoff = UINT64_MAX - 8;
    assert_name(&l, NULL);
    l = good();
    l.e.e_phnum = 65000;
    assert_name(&l, NULL);
    l = good();
    l.e.e_phentsize = 1;
    assert_name(&l, NULL);
    l = good();
    l.p[1].p_offset = UINT64_MAX - 100;
    assert_name(&l, NULL);
    l = good();
    l.p[1].p_filesz = UINT64_MAX;
    memset(l.strings + 16, 'x', sizeof(l.strings) - 16);
    l.d[2].d_tag = DT_NEEDED; /* no end: reading stops at the file's */
    assert_name(&l, NULL);
    l = good();
    l.d[1].d_un.d_ptr = BASE - 1;
    assert_name(&l, NULL);
    l = good();
    l.d[0].d_un.d_val = UINT64_MAX;
    assert_name(&l, NULL);
    l = good();
    l.d[0].d_un.d_val = sizeof(l);
    assert_name(&l, NULL);
    l = good();
    l.p[0].p_offset = INT64_MAX;
    assert_name(&l, NULL);
    l = good();
    memset(l.strings, 'x', sizeof(l.strings)); /* a name without an end */
    assert_name(&l, NULL);
}

/* It becomes the name of a link. */
static void test_names_that_are_none(void **state)
{
    static const char *const names[] = {"../../x", "a/b", "..", "."};

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        struct library l = good();

        memcpy(l.strings + 5, names[i], strlen(names[i]) + 1);
        assert_name(&l, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_names_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
