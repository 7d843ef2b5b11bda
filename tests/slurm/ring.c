/* An MPI program: a sum over all ranks, and 4 MB from each to the next. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { INTS = 1 << 20 };

int main(int argc, char **argv)
{
    int rank, size, one = 1, sum = 0;
    int *out = malloc(INTS * sizeof(int)), *in = malloc(INTS * sizeof(int));

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    for (int i = 0; i < INTS; i++)
        out[i] = rank;
    MPI_Sendrecv(out, INTS, MPI_INT, (rank + 1) % size, 0, in, INTS, MPI_INT,
                 (rank + size - 1) % size, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    printf("rank %d of %d: sum %d, got %d\n", rank, size, sum, in[INTS - 1]);
    MPI_Finalize();
    return 0;
}
