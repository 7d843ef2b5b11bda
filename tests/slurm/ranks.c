/* Two tasks of a step on one node: each reads the other's memory directly
 * (process_vm_readv, what MPI libraries call CMA), finding it through POSIX shared
 * memory. Prints "rank R read W" with W the other's number. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct meeting {
    _Atomic int pid[2];
    int *_Atomic where[2];
    _Atomic int done;
};

static int wait_for(_Atomic int *value, int least)
{
    for (int i = 0; *value < least; i++) {
        if (i > 30000)
            return 0;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    return 1;
}

int main(void)
{
    int rank = atoi(getenv("SLURM_PROCID")), other = 1 - rank, mine = 100 + rank,
        got = -1;
    int fd = shm_open("/repx-ranks", O_RDWR | O_CREAT, 0600);
    struct meeting *m;
    struct iovec to = {&got, sizeof(got)}, from;

    if (fd < 0 || ftruncate(fd, sizeof(*m)) < 0)
        return perror("shm"), 1;
    m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m == MAP_FAILED)
        return perror("mmap"), 1;
    m->where[rank] = &mine;
    m->pid[rank] = getpid();
    if (!wait_for(&m->pid[other], 1))
        return fprintf(stderr, "rank %d is alone\n", rank), 1;
    from = (struct iovec){m->where[other], sizeof(int)};
    if (process_vm_readv(m->pid[other], &to, 1, &from, 1, 0) != sizeof(int))
        return perror("process_vm_readv"), 1;
    m->done++;
    if (!wait_for(&m->done, 2))
        return 1;
    printf("rank %d read %d\n", rank, got);
    return 0;
}
