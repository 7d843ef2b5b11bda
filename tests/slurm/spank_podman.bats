#!/usr/bin/env bats
# srun --repx-runtime=podman: the tasks of a step share a container on each node, of which
# nothing is left but what they are in.
# shellcheck disable=SC2154 # status: of step

load helpers

setup_file() {
    plugin_start --nodes 2
    podman_nodes
    "$SOURCE/tests/make_images.py" "$SHARED/images"
    # MPI programs, a shell, and the host's /usr with the libraries
    mkdir -p "$SHARED/image/usr" "$SHARED/mpi"
    for link in bin lib lib64; do
        [[ ! -L /$link ]] || ln -s "usr/$link" "$SHARED/image/$link"
    done
    "mpicc.openmpi" -O1 -o "$SHARED/mpi/openmpi" "$BATS_TEST_DIRNAME/ring.c"
    "mpicc.mpich" -O1 -o "$SHARED/mpi/mpich" "$BATS_TEST_DIRNAME/ring.c"
    gcc -O1 -static -o "$SHARED/mpi/ranks" "$BATS_TEST_DIRNAME/ranks.c"
    IMAGE=$SHARED/images/docker.tar
    export IMAGE
}

teardown_file() {
    sandbox_stop
}

setup() {
    cd "$SHARED" || return
    OUT=$BATS_TEST_TMPDIR/out ERR=$BATS_TEST_TMPDIR/err
    JOB=repx-podman-$BATS_TEST_NUMBER
}

# Whatever a test did.
teardown() {
    scancel --name "$JOB"
    await 20 no_container
    nodes_up
}

# step SRUN-ARGUMENT...: as the user; sets status, out and err.
step() {
    status=0
    as_user timeout 100 srun -J "$JOB" --repx-image="$IMAGE" --repx-runtime=podman "$@" \
        </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
}

# mpi SRUN-ARGUMENT...
mpi() {
    IMAGE=$SHARED/image step \
        --repx-mount-path="/usr,/etc/ld.so.cache,/etc/alternatives,/etc/openmpi,$SHARED/mpi" "$@"
    out=$(sort "$OUT")
}

# engines NODE: what is below that node's directory for containers.
engines() {
    as_user srun -Q -w "$1" -n1 --overlap ls "$LOCAL/repx-sandbox/repx/engines"
}

@test "two nodes: one container on each, shared by its tasks, isolated, gone when they run" {
    local running
    as_user mkdir "$SHARED/meet"
    step -N2 --ntasks-per-node=2 --repx-mount-path="$SHARED/meet:/meet:rw" sh -c '
        echo $SLURM_PROCID >/dev/shm/$SLURM_LOCALID
        : >/meet/$SLURM_PROCID; until [ "$(ls /meet | wc -l)" -ge 5 ]; do sleep 0.1; done
        echo $SLURM_NODEID $(readlink /proc/self/ns/mnt) $(cat /dev/shm/0 /dev/shm/1) $(id -u) $(ip -o link | wc -l) \
            $(touch /x 2>&1 | sed "s/.*: //") $(awk "/^Cap(Eff|Bnd)|^NoNew/ { print \$2 }" /proc/self/status)' &
    running=$!
    # while they are in it there is no process of a container, and no file
    await 60 all_met
    no_container
    [[ $(engines n1) == lock && $(engines n2) == lock ]]
    touch "$SHARED/meet/go"
    wait "$running"
    out=$(sort "$OUT") err=$(<"$ERR")
    [[ $(cut -d' ' -f1-2 <<<"$out" | uniq -c | awk '{ print $1 }' | tr '\n' ' ') == '2 2 ' &&
        $(cut -d' ' -f2 <<<"$out" | sort -u | wc -l) -eq 2 ]] || show "not one container a node"
    [[ $(cut -d' ' -f3- <<<"$out" | sed 's/^\(.\) \(.\)/\1\2/' | cut -d' ' -f2- | sort -u) == \
        "$(id -u repx-sandbox) 1 Read-only file system 0000000000000000 0000000000000000 1" ]] ||
        show "not isolated, or somebody else"
    [[ $(cut -d' ' -f3-4 <<<"$out" | sort -u | wc -l) -eq 2 ]] || show "/dev/shm is not shared"
}

all_met() {
    [[ $(find "$SHARED/meet" -type f | wc -l) -ge 4 ]]
}

@test "tasks read each other's memory" {
    mpi -N1 -n2 "$SHARED/mpi/ranks"
    ends 0
    prints "rank 0 read 101"$'\n'"rank 1 read 100"
}

@test "exit codes and signals are the tasks' own" {
    local code
    for code in 0 3 126 255; do
        step -n1 sh -c "exit $code"
        ends "$code"
    done
    step -n1 sh -c 'kill -9 $$'
    ends 137
    step -n1 no-such-command
    ends 127
    says "'no-such-command' is not there"
    # shellcheck disable=SC2030
    status=0
    echo a line | as_user srun -J "$JOB" --repx-image="$IMAGE" --repx-podman -n2 -N1 \
        sh -c 'read x; echo "$x"; echo e >&2' >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    ends 0
    prints "a line"$'\n'"a line"
    [[ $err == "e"$'\n'"e" ]] || show "not what the tasks said"
}

@test "scancel: the tasks get the signal, and nothing is left" {
    local running
    as_user srun -J "$JOB" -N2 -n4 --repx-image="$IMAGE" --repx-podman \
        sh -c 'trap "echo trapped; exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
        </dev/null >"$OUT" 2>"$ERR" &
    running=$!
    await 60 grep -q ready "$OUT"
    all_ready() {
        [[ $(grep -c ready "$OUT") -eq 4 ]]
    }
    await 30 all_ready
    scancel --name "$JOB"
    wait "$running" || true
    [[ $(grep -c trapped "$OUT") -eq 4 ]]
    await 20 no_container
    [[ $(engines n1) == lock && $(engines n2) == lock ]]
}

@test "Open MPI over PMIx, two nodes with two ranks each; MPICH over PMI-2 without a network" {
    local four
    four=$(printf 'rank %d of 4: sum 4, got %d\n' 0 3 1 0 2 1 3 2)
    open_mpi -N2 --ntasks-per-node=2 --mpi=pmix --repx-network=host "$SHARED/mpi/openmpi"
    ends 0
    prints "$four"
    [[ $err != *PMIX* && $err != *ERROR* ]] || show "something is missing in the sandbox"
    mpi -N1 -n4 --mpi=pmi2 "$SHARED/mpi/mpich"
    ends 0
    prints "$four"
}

@test "a terminal, the batch script, the host's file system, a wrong mount" {
    local id
    run as_user script -qec "srun -J $JOB --repx-image=$IMAGE --repx-podman --pty sh -c 'tty; test -t 0 && echo yes'" /dev/null
    [[ $output == */dev/pts/*yes* ]] || { echo "$output"; return 1; }
    printf '#!/bin/sh\necho $(cat /data/keep) in $0\nls -d /.repx\n' >"$SHARED/script.sh"
    id=$(as_user sbatch --parsable -J "$JOB" --repx-image="$IMAGE" --repx-podman --repx-batch-script \
        -o "$SHARED/script.out" "$SHARED/script.sh")
    finish "$id"
    [[ $(<"$SHARED/script.out") == "keep in /"*slurm_script$'\n/.repx' ]] || { cat "$SHARED/script.out"; return 1; }
    step -n1 --repx-mount-host-paths sh -c 'touch /usr/x 2>&1 | sed "s/.*: //"; cat "$0"; [ $$ != 1 ] && echo end' "$SHARED/script.sh"
    ends 0
    prints $'Read-only file system\n#!/bin/sh\necho $(cat /data/keep) in $0\nls -d /.repx\nend'
    step -n1 --repx-mount-path=/etc:/data,/usr:/data/lacking true
    ends 125
    says "repx: n" "cannot mount /usr at /data/lacking in podman"
}

@test "a step in the sandbox of a lab's job" {
    local job
    make_lab job --sweep 1 --stages 1
    job=$(jobs_of "$LAB" sim stage-A)
    status=0
    as_user srun -J "$JOB" -N2 -n2 --repx-podman --repx-lab="$LAB" --repx-job="$job" \
        --repx-base-path="$BASE" repx-job </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    ends 0
    [[ $(grep -c "^job script .* args: $(out_dir "$job") $(repx_dir "$job")/inputs.json" "$OUT") -eq 2 &&
        $(stat -c %U "$(out_dir "$job")/numbers.txt") == repx-sandbox ]] || show "not the job's script"
}

@test "a node where podman does not work: one sentence, 125; the next runtime where one is listed" {
    # the second user has no subordinate ids
    status=0
    as_other_user srun -J "$JOB" -w n1 -n2 --repx-image="$IMAGE" --repx-podman cat /data/keep \
        </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    ends 125
    [[ -z $out && $(grep -c '^repx: n1: ' "$ERR") -eq 1 ]] || show "not one sentence"
    says "subuid"
    cat >>"$PLUGIN/repx.ini" <<'CONF'
[targets.local.slurm]
execution_types = ["podman", "bwrap"]
CONF
    status=0
    as_other_user srun -J "$JOB" -w n1 -n1 --repx-image="$IMAGE" \
        sh -c 'ls -d /.repx; cat /data/keep' </dev/null >"$OUT" 2>"$ERR" || status=$?
    out=$(<"$OUT") err=$(<"$ERR")
    [[ $out != */.repx* && -n $out ]] || show "not bwrap"
    step -n1 --repx-runtime=docker cat /data/keep
    ends 125
    says "cannot enter a sandbox of docker; use --repx-runtime=bwrap"
}
