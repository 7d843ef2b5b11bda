/* stamp: when something started.
 *
 *   stamp COMMAND ARG...   prints the nanoseconds of the monotonic clock, becomes
 * COMMAND stamp --read FILE      prints them, SLURM_NODEID and how many bytes it could
 * read
 *
 * One clock serves all processes of a machine, whatever namespaces they are in: what
 * the second prints in a step's sandbox minus what the first printed before it became
 * srun is how long the step's start took. Static: it is a program of an image without a
 * libc.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__attribute__((noreturn)) static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static unsigned long long now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long long)t.tv_sec * 1000000000u + (unsigned long long)t.tv_nsec;
}

static long long size_of(const char *path)
{
    static char chunk[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long long size = 0;
    ssize_t n;

    if (fd < 0)
        fail(path);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0)
        size += n;
    if (n < 0)
        fail(path);
    close(fd);
    return size;
}

int main(int argc, char **argv)
{
    unsigned long long ns = now();
    const char *node = getenv("SLURM_NODEID");

    if (argc == 3 && strcmp(argv[1], "--read") == 0) {
        printf("%llu %s %lld\n", ns, node ? node : "-", size_of(argv[2]));
        return fflush(stdout) == 0 ? 0 : 2;
    }
    if (argc < 2) {
        fprintf(stderr, "stamp: it needs a command or --read FILE\n");
        return 2;
    }
    printf("%llu\n", ns);
    if (fflush(stdout) != 0)
        fail("stamp: standard output");
    execv(argv[1], argv + 1);
    fail(argv[1]);
}
