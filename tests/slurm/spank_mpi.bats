#!/usr/bin/env bats
# MPI in sandboxed steps: Open MPI over PMIx on two nodes, MPICH over PMI-2 on one. The
# image is empty; the host's /usr is mounted into it, with the MPI libraries.

load helpers

setup_file() {
    local compiler
    plugin_start --nodes 2
    mkdir -p "$SHARED/image/usr" "$SHARED/mpi"
    for compiler in openmpi mpich; do
        "mpicc.$compiler" -O1 -o "$SHARED/mpi/$compiler" "$BATS_TEST_DIRNAME/ring.c"
    done
    for link in bin lib lib64; do
        [[ ! -L /$link ]] || ln -s "usr/$link" "$SHARED/image/$link"
    done
}

teardown_file() {
    sandbox_stop
}

setup() {
    cd "$SHARED" || return
}

# mpi SRUN-ARGUMENT...: sets status, out and err.
mpi() {
    status=0
    as_user timeout 100 srun -J mpi --repx-image="$SHARED/image" \
        --repx-mount-path="/usr,/etc/ld.so.cache,/etc/alternatives,/etc/openmpi,$SHARED/mpi" "$@" \
        >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null || status=$?
    out=$(sort "$BATS_TEST_TMPDIR/out") err=$(<"$BATS_TEST_TMPDIR/err")
}

FOUR='rank 0 of 4: sum 4, got 3
rank 1 of 4: sum 4, got 0
rank 2 of 4: sum 4, got 1
rank 3 of 4: sum 4, got 2'

@test "Open MPI over PMIx, two nodes with two ranks each" {
    open_mpi -N2 --ntasks-per-node=2 --mpi=pmix --repx-network=host "$SHARED/mpi/openmpi"
    [[ $status -eq 0 && $out == "$FOUR" ]] || show "wrong"
    [[ $err != *PMIX* && $err != *ERROR* ]] || show "something is missing in the sandbox"
}

@test "MPICH over PMI-2, four ranks on a node, without a network" {
    mpi -N1 -n4 --mpi=pmi2 "$SHARED/mpi/mpich"
    [[ $status -eq 0 && $out == "$FOUR" ]] || show "wrong"
    [[ $err != *ERROR* && $err != *network* ]] || show "something is missing in the sandbox"
}

@test "what needs the host's network and does not have it is told how to get it" {
    mpi -N1 -n2 --mpi=pmix "$SHARED/mpi/openmpi"
    [[ $status -ne 0 && $err == *"repx: n1: "*"MPI program (pmix) needs --repx-network=host"* ]] || show "no advice"
}
