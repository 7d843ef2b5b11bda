/* timer: how long programs take, measured from as near as a program can be.
 *
 *   timer [--together] [--out FILE] [--err FILE] <COMMANDS
 *
 * COMMANDS are argument vectors: each argument ends with a NUL, each command with one
 * more. They run one after the other, or all at once with --together, with /dev/null as
 * standard input and output unless files are named. A line for each command, in the
 * order given:
 *
 *   NANOSECONDS STATUS MAXRSS_KIB USER_US SYSTEM_US READ_BYTES
 *
 * from before the spawn (of the first command, with --together) until the end was
 * waited for. READ_BYTES is what the command and the children it waited for got from
 * read calls, from the page cache too; -1 when the kernel does not say. STATUS is the
 * exit code, 128+N for signal N. Exits with 2 when it cannot measure.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct command {
    char **argv;
    pid_t pid;
    uint64_t ns;
    int status;
    struct rusage usage;
    long long read_bytes;
};

struct commands {
    struct command *list;
    size_t count;
};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static void *grow(void *old, size_t count, size_t size)
{
    void *grown = reallocarray(old, count, size);

    if (!grown)
        fail("timer: memory");
    return grown;
}

static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static char *read_input(size_t *size)
{
    char *data = NULL;
    ssize_t n;

    *size = 0;
    do {
        data = grow(data, *size + 65536, 1);
        n = read(STDIN_FILENO, data + *size, 65536);
        if (n < 0)
            fail("timer: standard input");
        *size += (size_t)n;
    } while (n > 0);
    return data;
}

static void add_command(struct commands *c, char **argv)
{
    c->list = grow(c->list, c->count + 1, sizeof(*c->list));
    c->list[c->count++] = (struct command){.argv = argv};
}

static struct commands split(char *data, size_t size)
{
    struct commands c = {0};
    char **argv = NULL;
    size_t argc = 0;
    char *p = data;

    while (p < data + size) {
        char *end = memchr(p, '\0', (size_t)(data + size - p));

        if (!end)
            break;
        argv = grow(argv, argc + 1, sizeof(*argv));
        argv[argc++] = end == p ? NULL : p;
        if (end == p) {
            add_command(&c, argv);
            argv = NULL;
            argc = 0;
        }
        p = end + 1;
    }
    if (argc > 0 || p < data + size) {
        fprintf(stderr, "timer: the last command has no end\n");
        exit(2);
    }
    return c;
}

static void start(struct command *c, const posix_spawn_file_actions_t *files)
{
    int rc = posix_spawn(&c->pid, c->argv[0], files, NULL, c->argv, environ);

    if (rc != 0) {
        fprintf(stderr, "timer: %s: %s\n", c->argv[0], strerror(rc));
        exit(2);
    }
}

static int exit_code(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Of an ended process that was not waited for yet. */
static long long bytes_read(pid_t pid)
{
    char path[64], line[128];
    long long bytes = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/io", (int)pid);
    f = fopen(path, "re");
    if (!f)
        return -1;
    if (fgets(line, sizeof(line), f) && strncmp(line, "rchar: ", 7) == 0)
        bytes = strtoll(line + 7, NULL, 10);
    fclose(f);
    return bytes;
}

static void run_each(struct commands *c, const posix_spawn_file_actions_t *files)
{
    for (size_t i = 0; i < c->count; i++) {
        uint64_t begin = now();
        int status;

        siginfo_t info;

        start(&c->list[i], files);
        if (waitid(P_PID, (id_t)c->list[i].pid, &info, WEXITED | WNOWAIT) < 0)
            fail("timer: wait");
        c->list[i].ns = now() - begin;
        c->list[i].read_bytes = bytes_read(c->list[i].pid);
        if (wait4(c->list[i].pid, &status, 0, &c->list[i].usage) < 0)
            fail("timer: wait");
        c->list[i].status = exit_code(status);
    }
}

static void run_together(struct commands *c, const posix_spawn_file_actions_t *files)
{
    uint64_t begin = now();

    for (size_t i = 0; i < c->count; i++)
        start(&c->list[i], files);
    for (size_t left = c->count; left > 0;) {
        struct rusage usage;
        int status;
        pid_t pid = wait4(-1, &status, 0, &usage);

        if (pid < 0)
            fail("timer: wait");
        for (size_t i = 0; i < c->count; i++) {
            if (c->list[i].pid != pid)
                continue;
            c->list[i].ns = now() - begin;
            c->list[i].status = exit_code(status);
            c->list[i].usage = usage;
            c->list[i].read_bytes = -1;
            left--;
        }
    }
}

static long micros(struct timeval t)
{
    return t.tv_sec * 1000000 + t.tv_usec;
}

static void print(const struct commands *c)
{
    for (size_t i = 0; i < c->count; i++)
        printf("%llu %d %ld %ld %ld %lld\n", (unsigned long long)c->list[i].ns,
               c->list[i].status, c->list[i].usage.ru_maxrss,
               micros(c->list[i].usage.ru_utime), micros(c->list[i].usage.ru_stime),
               c->list[i].read_bytes);
}

int main(int argc, char **argv)
{
    const char *out = "/dev/null", *err = NULL;
    posix_spawn_file_actions_t files;
    bool together = false;
    struct commands c;
    size_t size;
    char *data;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--together") == 0)
            together = true;
        else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
            out = argv[++i];
        else if (strcmp(argv[i], "--err") == 0 && i + 1 < argc)
            err = argv[++i];
        else {
            fprintf(stderr, "timer: unknown argument %s\n", argv[i]);
            return 2;
        }
    }
    data = read_input(&size);
    c = split(data, size);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out, O_WRONLY | O_CREAT | O_APPEND,
                                     0666);
    if (err)
        posix_spawn_file_actions_addopen(&files, 2, err, O_WRONLY | O_CREAT | O_APPEND,
                                         0666);
    if (together)
        run_together(&c, &files);
    else
        run_each(&c, &files);
    print(&c);
    return fflush(stdout) == 0 ? 0 : 2;
}
