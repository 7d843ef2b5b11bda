/* nothing: the command of the warm starts. Static, so that what is timed is the start
 * of a sandbox and not the loading of libraries.
 *
 *   nothing                  does nothing, whatever else it is given
 *   nothing --print FILE...  prints what is in the files
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char text[4096];

    if (argc < 2 || strcmp(argv[1], "--print") != 0)
        return 0;
    for (int i = 2; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

        if (n < 0 || write(STDOUT_FILENO, text, (size_t)n) != n)
            return 1;
        close(fd);
    }
    return 0;
}
