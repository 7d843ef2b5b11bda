/* repx-job: the command with which a task of a step starts the script of the step's job
 * (srun --repx-lab=L --repx-job=J repx-job), with its three arguments, which RepX calls
 * SCRIPT OUT INPUTS_JSON PARAMETERS_JSON (CONTRACT section 6). Static: the image may
 * have no libc. repx-launch step has put the words into the environment.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/job_protocol.h"

extern char **environ;

enum { EXIT_USAGE = 2, EXIT_LAUNCHER = 125, EXIT_CANNOT = 126, EXIT_NOT_FOUND = 127 };

int main(int argc, char **argv)
{
    static const char *const names[JOB_WORDS] = JOB_WORD_VARIABLES;
    static char line[8192];
    char *words[JOB_WORDS + 1] = {0};
    int errnum;

    (void)argv;
    /* one write for each line: tasks beside this one write there, too */
    setvbuf(stderr, line, _IOLBF, sizeof(line));
    if (argc > 1) {
        fprintf(stderr, "repx-job: takes no arguments; the job's script has its own\n");
        return EXIT_USAGE;
    }
    for (int i = 0; i < JOB_WORDS; i++) {
        words[i] = getenv(names[i]);
        if (!words[i]) {
            fprintf(stderr,
                    "repx-job: %s is not set: this step has no job; start it with "
                    "srun --repx-lab=LAB --repx-job=JOB\n",
                    names[i]);
            return EXIT_LAUNCHER;
        }
    }
    execve(words[0], words, environ);
    errnum = errno;
    fprintf(stderr, "repx-job: cannot execute %s: %s\n", words[0], strerror(errnum));
    return errnum == ENOENT && access(words[0], F_OK) < 0 ? EXIT_NOT_FOUND
                                                          : EXIT_CANNOT;
}
