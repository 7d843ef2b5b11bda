/* exec_command: becoming the user's command inside a sandbox, the same way in every
 * program that does it: the search of execvp(3), but without its shell for files
 * without
 * "#!" and without the current directory for empty entries of PATH. */
#ifndef REPX_INIT_EXEC_COMMAND_H
#define REPX_INIT_EXEC_COMMAND_H

#include <stdint.h>

struct exec_failure {
    int32_t errnum;
    uint32_t stage; /* enum init_stage */
};

/* Executes argv[0], looked up in the PATH of env when it has no '/'. Returns only when
 * that failed. */
struct exec_failure exec_command(char *const *argv, char *const *env);

#endif
