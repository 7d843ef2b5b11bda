#!/usr/bin/env bats
# What jobs of one node share and must not mix: two users, TMPDIR=/tmp, logs, bad disks.

load helpers

setup_file() {
    sandbox_start --nodes 1 --cpus 8
}

teardown_file() {
    sandbox_stop
}

setup() {
    TEST_BASE=$SHARED/store-$BATS_TEST_NUMBER
    export TEST_BASE
}

# in_node COMMAND...: as root on the node, where its disk is visible.
in_node() {
    srun -Q -n1 -N1 "$@"
}

@test "two users on a node at once, each with a store of its own" {
    local first second job base2=$SHARED/other-store
    make_lab users --sweep 1 --stages 1 --probe
    job=$(jobs_of "$LAB" sim stage-A)
    first=$(submit -- "$job" --lab "$LAB")
    second=$(as_other_user env TEST_BASE="$base2" sbatch --parsable \
        -o "$SHARED/slurm-%A_other.out" "$SHARED/job.sh" "$job" --lab "$LAB")
    finish "$first"
    finish "$second"
    ended_as "$first" COMPLETED 0:0
    ended_as "$second" COMPLETED 0:0
    [[ $(stat -c %U "$(out_dir "$job")/numbers.txt") == repx-sandbox ]]
    [[ $(stat -c %U "$base2/outputs/$job/out/numbers.txt") == "$OTHER_USER" ]]
    [[ $(cat "$base2/outputs/$job/out/probe.id") == *"($OTHER_USER)"* ]]
    for user in repx-sandbox "$OTHER_USER"; do
        run in_node stat -c '%U %a' "$LOCAL/$user"
        [[ $output == "$user 700" ]] || { echo "$output"; return 1; }
    done
}

@test "another user's node_local_path is refused, not used" {
    local id job base2=$SHARED/other-store
    make_lab foreign --sweep 1 --stages 1
    job=$(jobs_of "$LAB" sim stage-A)
    TEST_LOCAL=$LOCAL/mine
    export TEST_LOCAL
    id=$(submit -- "$job" --lab "$LAB")
    finish "$id"
    ended_as "$id" COMPLETED 0:0
    id=$(as_other_user env TEST_BASE="$base2-2" sbatch --parsable \
        -o "$SHARED/slurm-%A_other.out" "$SHARED/job.sh" "$job" --lab "$LAB")
    finish "$id"
    ended_as "$id" FAILED 125:0
    grep -qF "$LOCAL/mine" "$SHARED/slurm-${id}_other.out"
    [[ ! -e $base2-2/outputs/$job/repx/SUCCESS ]]
}

@test "a node_local_path that cannot be written: one sentence with the path, exit 125" {
    local id job
    make_lab unwritable --sweep 1 --stages 1
    job=$(jobs_of "$LAB" sim stage-A)
    in_node mkdir -m 0755 "$LOCAL/of-root"
    TEST_LOCAL=$LOCAL/of-root/repx
    export TEST_LOCAL
    id=$(submit -- "$job" --lab "$LAB")
    finish "$id"
    ended_as "$id" FAILED 125:0
    grep -qF "$LOCAL/of-root" "$SHARED/slurm-$id"_*.out
    [[ $(grep -c . "$SHARED/slurm-$id"_*.out) -le 2 ]]
}

@test "TMPDIR=/tmp: logs of jobs at the same time are each job's own" {
    local id job jobs
    make_lab logs --sweep 4 --stages 1 --sleep 0.5
    mapfile -t jobs < <(jobs_of "$LAB" sim stage-A)
    TMPDIR=/tmp
    export TMPDIR
    for job in "${jobs[@]}"; do
        id=$(submit -- "$job" --lab "$LAB")
    done
    for id in $(squeue -h -o %A); do
        finish "$id"
    done
    for job in "${jobs[@]}"; do
        marked "$job" SUCCESS
        [[ $(grep -c . "$(repx_dir "$job")/stdout.log") -eq 1 ]]
        grep -q "outputs/$job/out" "$(repx_dir "$job")/stdout.log"
        [[ $(grep -c . "$(repx_dir "$job")/stderr.log") -eq 1 ]]
    done
    [[ ! -e /tmp/repx-logs ]]
}

@test "a rerun does not mix with the run before" {
    local id job
    make_lab rerun --sweep 1 --stages 1
    job=$(jobs_of "$LAB" sim stage-A)
    for _ in 1 2; do
        id=$(submit -- --rerun "$job" --lab "$LAB")
        finish "$id"
        ended_as "$id" COMPLETED 0:0
    done
    [[ $(grep -c . "$(repx_dir "$job")/stdout.log") -eq 1 ]]
    [[ $(record "$job" .slurm.SLURM_JOB_ID) == "$id" ]]
}

@test "exec in an sbatch job: a death by signal is 128+n for Slurm" {
    local id image
    make_lab signal --sweep 1 --stages 1
    image=$(echo "$LAB"/images/*)
    id=$(as_user sbatch --parsable -o "$SHARED/slurm-%A_x.out" --wrap "exec $SHARED/bin/repx-launch \
        exec --bwrap --image $image --base-path $TEST_BASE --node-local-path $LOCAL/%u \
        -- /bin/sh -c 'kill -KILL \$\$'")
    finish "$id"
    ended_as "$id" FAILED 137:0
}

@test "the node is idle again and was never drained" {
    [[ $(sinfo -h -o %T) == idle ]]
}
