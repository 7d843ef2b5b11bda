/* elf_soname: the name by which programs ask for a shared library, read from the file:
 * what ldconfig makes links of. */
#ifndef REPX_LAUNCH_ELF_SONAME_H
#define REPX_LAUNCH_ELF_SONAME_H

/* DT_SONAME of a 64-bit little-endian ELF file; owned by the caller. NULL: it is no
 * such library, has none, or one that is no file name. Reads a few hundred bytes,
 * whatever the file says about itself. */
char *elf_soname(int fd);

#endif
