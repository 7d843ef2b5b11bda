#include "launch/elf_soname.h"

#include <elf.h>
#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

enum { HEADERS_MAX = 64, DYNAMIC_MAX = 256, NAME_LEN_MAX = 255 };

static bool read_at(int fd, uint64_t offset, void *out, size_t len)
{
    if (offset > INT64_MAX - len)
        return false;
    return pread(fd, out, len, (off_t)offset) == (ssize_t)len;
}

struct library {
    int fd;
    Elf64_Phdr headers[HEADERS_MAX];
    size_t n;
};

static bool read_headers(struct library *l)
{
    Elf64_Ehdr e;

    if (!read_at(l->fd, 0, &e, sizeof(e)) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
        e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_ident[EI_DATA] != ELFDATA2LSB ||
        le16toh(e.e_type) != ET_DYN || le16toh(e.e_phentsize) != sizeof(Elf64_Phdr) ||
        le16toh(e.e_phnum) > HEADERS_MAX)
        return false;
    l->n = le16toh(e.e_phnum);
    return read_at(l->fd, le64toh(e.e_phoff), l->headers, l->n * sizeof(Elf64_Phdr));
}

/* Where in the file an address is loaded from. */
static bool file_offset(const struct library *l, uint64_t address, uint64_t *offset)
{
    for (size_t i = 0; i < l->n; i++) {
        const Elf64_Phdr *p = &l->headers[i];
        uint64_t start = le64toh(p->p_vaddr);

        if (le32toh(p->p_type) != PT_LOAD || address < start ||
            address - start >= le64toh(p->p_filesz))
            continue;
        *offset = le64toh(p->p_offset) + (address - start);
        return true;
    }
    return false;
}

/* The offset of the name in the string table, and the table's address. */
static bool find_tags(const struct library *l, uint64_t *name, uint64_t *table)
{
    bool have_name = false, have_table = false;
    uint64_t at = 0, count = 0;
    Elf64_Dyn d;

    for (size_t i = 0; i < l->n; i++)
        if (le32toh(l->headers[i].p_type) == PT_DYNAMIC) {
            at = le64toh(l->headers[i].p_offset);
            count = le64toh(l->headers[i].p_filesz) / sizeof(d);
        }
    for (uint64_t i = 0; i < count && i < DYNAMIC_MAX; i++) {
        if (!read_at(l->fd, at + i * sizeof(d), &d, sizeof(d)))
            return false;
        switch ((int64_t)le64toh((uint64_t)d.d_tag)) {
        case DT_SONAME:
            *name = le64toh(d.d_un.d_val);
            have_name = true;
            break;
        case DT_STRTAB:
            *table = le64toh(d.d_un.d_ptr);
            have_table = true;
            break;
        case DT_NULL:
            return have_name && have_table;
        default:
            break;
        }
    }
    return have_name && have_table;
}

char *elf_soname(int fd)
{
    struct library l = {.fd = fd};
    char text[NAME_LEN_MAX + 1] = "";
    uint64_t name = 0, table = 0, offset;
    ssize_t n;

    if (!read_headers(&l) || !find_tags(&l, &name, &table) ||
        !file_offset(&l, table, &offset) || name > UINT32_MAX ||
        offset > INT64_MAX - name)
        return NULL;
    n = pread(fd, text, sizeof(text), (off_t)(offset + name));
    if (n <= 0 || !memchr(text, '\0', (size_t)n) || !is_path_component(text))
        return NULL;
    return strdup(text);
}
